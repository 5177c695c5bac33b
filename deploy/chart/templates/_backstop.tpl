{{/* Written by `make manifests` from the engine's rules; edit hack/backstop.py, not this. */}}
{{- define "gpuwarden.sharedValue" -}}
^(shared|time-slicing|mps|mig-[1-9][0-9]?g\.[1-9][0-9]{0,3}gb(?:\.me\.all|\.me|\.gfx|-me)?-shared|gke(-mig-[1-9][0-9]?g\.[1-9][0-9]{0,3}gb(?:\.me\.all|\.me|\.gfx|-me)?)?-(time-sharing|mps)-[0-9]+)$
{{- end -}}

{{- define "gpuwarden.leftToHami" -}}
(!has(object.spec.schedulerName) || object.spec.schedulerName in ['', 'default-scheduler']) &&
((has(object.spec.initContainers) ? object.spec.initContainers : []) +
(has(object.spec.containers) ? object.spec.containers : [])).exists(c, has(c.resources) && has(c.resources.limits) && c.resources.limits.exists(n,
  n in ['nvidia.com/gpucores', 'nvidia.com/gpumem', 'nvidia.com/gpumem-percentage', 'nvidia.com/priority'] &&
  quantity(string(c.resources.limits[n])).isGreaterThan(quantity('0'))))
{{- end -}}

{{- define "gpuwarden.backstopVariables" -}}
# Each container that requests GPUs. Kubernetes itself requires requests to equal limits.
- name: asks
  expression: |-
    ((has(object.spec.initContainers) ? object.spec.initContainers : []) +
    (has(object.spec.containers) ? object.spec.containers : []))
    .filter(c, has(c.resources) && has(c.resources.limits))
    .map(c, {'name': dyn(c.name), 'limits': dyn(c.resources.limits), 'gpus': dyn(c.resources.limits.filter(n,
      n.matches(r'^nvidia\.com/(gpu|mig-[1-9][0-9]?g\.[1-9][0-9]{0,3}gb(?:\.me\.all|\.me|\.gfx|-me)?)(\.shared)?$') &&
      quantity(string(c.resources.limits[n])).isGreaterThan(quantity('0'))))})
    .filter(ask, size(ask.gpus) > 0)
# Rule mixed-gpu-resources. Updates can't change the requests of a pod.
- name: mixed
  expression: |-
    request.operation == 'CREATE' ? variables.asks.filter(ask, size(ask.gpus) > 1) : []
# nodeSelector, in the format of node affinity requirements.
- name: selected
  expression: |-
    has(object.spec.nodeSelector) ? object.spec.nodeSelector.map(key,
      {'key': dyn(key), 'operator': dyn('In'), 'values': dyn([object.spec.nodeSelector[key]])}) : []
# The terms of the required node affinity that can match a node.
- name: terms
  expression: |-
    has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity) && has(object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution) ?
    object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.filter(term,
      (has(term.matchExpressions) && size(term.matchExpressions) > 0) ||
      (has(term.matchFields) && size(term.matchFields) > 0)) : []
# The requirements on node labels: one list per term, because terms are alternatives.
- name: alternatives
  expression: |-
    size(variables.terms) == 0 ? [variables.selected] : variables.terms.map(term, variables.selected +
      (has(term.matchExpressions) ? term.matchExpressions.map(e, {'key': dyn(e.key), 'operator': dyn(e.operator),
        'values': dyn(has(e.values) ? e.values : [])}) : []))
# Whether the pod's selectors contain any of GKE's labels.
- name: saysGke
  expression: |-
    variables.alternatives.exists(a, a.exists(e, e.key in ['cloud.google.com/gke-gpu-sharing-strategy', 'cloud.google.com/gke-max-shared-clients-per-gpu', 'cloud.google.com/gke-gpu-partition-size']))
# Whether GKE's labels select sharing, or only the number of clients.
- name: gkeShared
  expression: |-
    variables.saysGke && (
    variables.alternatives.all(a,
      !a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) &&
      (a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'time-sharing' in e.values : e.operator == 'NotIn' ? !('time-sharing' in e.values) : e.operator == 'Exists')) ||
      a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists')))) ||
    variables.alternatives.all(a,
      !a.all(e, e.key != 'cloud.google.com/gke-max-shared-clients-per-gpu' || e.operator in ['NotIn', 'DoesNotExist']) && (
      !a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) ||
      a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'time-sharing' in e.values : e.operator == 'NotIn' ? !('time-sharing' in e.values) : e.operator == 'Exists')) ||
      a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists')))))
# GKE's time-sharing rejects a second slot, whatever the policy permits.
- name: gkeTimeSharing
  expression: |-
    variables.saysGke ? variables.alternatives.all(a,
      !a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) && a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'time-sharing' in e.values : e.operator == 'NotIn' ? !('time-sharing' in e.values) : e.operator == 'Exists')) &&
      !a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists'))) :
    variables.policy.matches(r'^gke-(.+-)?time-sharing-[0-9]+$')
# Whether the message is that of a GKE node.
- name: gke
  expression: |-
    variables.saysGke || variables.policy.startsWith('gke-')
# Whether the pod selects only shared products.
- name: sharedProduct
  expression: |-
    variables.alternatives.all(a,
      a.exists(r, r.key == 'nvidia.com/gpu.product' && r.operator == 'In' &&
        r.values.exists(v, v.matches('.-SHARED$') && a.all(e, e.key != 'nvidia.com/gpu.product' || (e.operator == 'In' ? v in e.values : e.operator == 'NotIn' ? !(v in e.values) : e.operator == 'Exists'))) &&
        r.values.all(v, v.matches('.-SHARED$') || (variables.policy == 'any' && v.matches(r'.-MIG-[1-9][0-9]?g\.[1-9][0-9]{0,3}gb(?:\.me\.all|\.me|\.gfx|-me)?$')) ||
          !a.all(e, e.key != 'nvidia.com/gpu.product' || (e.operator == 'In' ? v in e.values : e.operator == 'NotIn' ? !(v in e.values) : e.operator == 'Exists')))))
# Whether the pod selects only nodes that share by MPS according to feature discovery.
- name: selectsMps
  expression: |-
    variables.alternatives.all(a,
      a.exists(r, r.key == 'nvidia.com/mps.capable' && r.operator == 'In') && a.all(e, e.key != 'nvidia.com/mps.capable' || (e.operator == 'In' ? 'true' in e.values : e.operator == 'NotIn' ? !('true' in e.values) : e.operator == 'Exists')) && !a.all(e, e.key != 'nvidia.com/mps.capable' || (e.operator == 'In' ? 'false' in e.values : e.operator == 'NotIn' ? !('false' in e.values) : e.operator == 'Exists')) &&
      (a.all(e, e.key != 'nvidia.com/gpu' + '.sharing-strategy' || (e.operator == 'In' ? 'time-slicing' in e.values : e.operator == 'NotIn' ? !('time-slicing' in e.values) : e.operator == 'Exists')) ||
      a.all(e, e.key != 'nvidia.com/gpu' + '.sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists')) ||
      !(a.all(e, e.key != 'nvidia.com/gpu' + '.sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) || a.all(e, e.key != 'nvidia.com/gpu' + '.sharing-strategy' || (e.operator == 'In' ? 'none' in e.values : e.operator == 'NotIn' ? !('none' in e.values) : e.operator == 'Exists')))))
# Whether the pod has selectors that distinguish forms.
- name: selects
  expression: |-
    variables.alternatives.exists(a, a.exists(e, e.key in ['cloud.google.com/gke-gpu-sharing-strategy', 'cloud.google.com/gke-max-shared-clients-per-gpu', 'cloud.google.com/gke-gpu-partition-size', 'nvidia.com/gpu.sharing-strategy', 'nvidia.com/gpu.product', 'nvidia.com/gpu.slices.gi', 'nvidia.com/gpu.slices.ci', 'nvidia.com/mps.capable', 'nvidia.com/mig.capable', 'nvidia.com/mig.strategy', 'nvidia.com/mig.config', 'nvidia.com/gpu.replicas'] ||
      variables.asks.exists(ask, ask.gpus.exists(n, e.key == n + '.sharing-strategy' || e.key == n + '.replicas'))))
# Whether the pod has only plain requests, and no selector of a form.
- name: silent
  expression: |-
    variables.asks.all(ask, ask.gpus.all(n, n == 'nvidia.com/gpu')) && !variables.selects
# Rule shared-request-above-one: because of the policy, the resource's name, or the selected nodes.
- name: slots
  expression: |-
    variables.asks.filter(ask, size(ask.gpus) == 1 &&
      quantity(string(ask.limits[ask.gpus[0]])).isGreaterThan(quantity('1')) && (
      variables.lifted ? ask.gpus[0] == 'nvidia.com/gpu' && variables.saysGke && variables.gkeTimeSharing :
      variables.sharesOnly || (variables.sharesFirst && variables.silent) ||
      ask.gpus[0].endsWith('.shared') ||
      (ask.gpus[0] == 'nvidia.com/gpu' && (variables.gkeShared || (!variables.saysGke && variables.sharedProduct))) ||
      (ask.gpus[0] == 'nvidia.com/gpu' && !variables.saysGke && variables.selectsMps) ||
      ((ask.gpus[0] != 'nvidia.com/gpu' || !variables.saysGke) && (variables.alternatives.all(a,
      !a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) &&
      !a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'none' in e.values : e.operator == 'NotIn' ? !('none' in e.values) : e.operator == 'Exists')) &&
      (a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'time-slicing' in e.values : e.operator == 'NotIn' ? !('time-slicing' in e.values) : e.operator == 'Exists')) ||
      a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists')))) ||
        variables.alternatives.all(a,
      !a.all(e, e.key != ask.gpus[0] + '.replicas' || e.operator in ['NotIn', 'DoesNotExist']) && !a.exists(e, e.key == ask.gpus[0] + '.replicas' && e.operator in ['Gt', 'Lt']) &&
      !a.all(e, e.key != ask.gpus[0] + '.replicas' || (e.operator == 'In' ? '0' in e.values : e.operator == 'NotIn' ? !('0' in e.values) : e.operator == 'Exists')) && !a.all(e, e.key != ask.gpus[0] + '.replicas' || (e.operator == 'In' ? '1' in e.values : e.operator == 'NotIn' ? !('1' in e.values) : e.operator == 'Exists')) &&
      (a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'time-slicing' in e.values : e.operator == 'NotIn' ? !('time-slicing' in e.values) : e.operator == 'Exists')) ||
      a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists')) ||
      !(a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) || a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'none' in e.values : e.operator == 'NotIn' ? !('none' in e.values) : e.operator == 'Exists')))))))))
# The existing pod.
- name: before
  expression: |-
    oldObject == null ? object : oldObject
# The same for the existing pod.
- name: beforeAsks
  expression: |-
    ((has(variables.before.spec.initContainers) ? variables.before.spec.initContainers : []) +
    (has(variables.before.spec.containers) ? variables.before.spec.containers : []))
    .filter(c, has(c.resources) && has(c.resources.limits))
    .map(c, {'name': dyn(c.name), 'limits': dyn(c.resources.limits), 'gpus': dyn(c.resources.limits.filter(n,
      n.matches(r'^nvidia\.com/(gpu|mig-[1-9][0-9]?g\.[1-9][0-9]{0,3}gb(?:\.me\.all|\.me|\.gfx|-me)?)(\.shared)?$') &&
      quantity(string(c.resources.limits[n])).isGreaterThan(quantity('0'))))})
    .filter(ask, size(ask.gpus) > 0)
# The same for the existing pod.
- name: beforeSelected
  expression: |-
    has(variables.before.spec.nodeSelector) ? variables.before.spec.nodeSelector.map(key,
      {'key': dyn(key), 'operator': dyn('In'), 'values': dyn([variables.before.spec.nodeSelector[key]])}) : []
# The same for the existing pod.
- name: beforeTerms
  expression: |-
    has(variables.before.spec.affinity) && has(variables.before.spec.affinity.nodeAffinity) && has(variables.before.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution) ?
    variables.before.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.filter(term,
      (has(term.matchExpressions) && size(term.matchExpressions) > 0) ||
      (has(term.matchFields) && size(term.matchFields) > 0)) : []
# The same for the existing pod.
- name: beforeAlternatives
  expression: |-
    size(variables.beforeTerms) == 0 ? [variables.beforeSelected] : variables.beforeTerms.map(term, variables.beforeSelected +
      (has(term.matchExpressions) ? term.matchExpressions.map(e, {'key': dyn(e.key), 'operator': dyn(e.operator),
        'values': dyn(has(e.values) ? e.values : [])}) : []))
# The same for the existing pod.
- name: beforeSaysGke
  expression: |-
    variables.beforeAlternatives.exists(a, a.exists(e, e.key in ['cloud.google.com/gke-gpu-sharing-strategy', 'cloud.google.com/gke-max-shared-clients-per-gpu', 'cloud.google.com/gke-gpu-partition-size']))
# The same for the existing pod.
- name: beforeGkeShared
  expression: |-
    variables.beforeSaysGke && (
    variables.beforeAlternatives.all(a,
      !a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) &&
      (a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'time-sharing' in e.values : e.operator == 'NotIn' ? !('time-sharing' in e.values) : e.operator == 'Exists')) ||
      a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists')))) ||
    variables.beforeAlternatives.all(a,
      !a.all(e, e.key != 'cloud.google.com/gke-max-shared-clients-per-gpu' || e.operator in ['NotIn', 'DoesNotExist']) && (
      !a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) ||
      a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'time-sharing' in e.values : e.operator == 'NotIn' ? !('time-sharing' in e.values) : e.operator == 'Exists')) ||
      a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists')))))
# The same for the existing pod.
- name: beforeGkeTimeSharing
  expression: |-
    variables.beforeSaysGke ? variables.beforeAlternatives.all(a,
      !a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) && a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'time-sharing' in e.values : e.operator == 'NotIn' ? !('time-sharing' in e.values) : e.operator == 'Exists')) &&
      !a.all(e, e.key != 'cloud.google.com/gke-gpu-sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists'))) :
    variables.policy.matches(r'^gke-(.+-)?time-sharing-[0-9]+$')
# The same for the existing pod.
- name: beforeGke
  expression: |-
    variables.beforeSaysGke || variables.policy.startsWith('gke-')
# The same for the existing pod.
- name: beforeSharedProduct
  expression: |-
    variables.beforeAlternatives.all(a,
      a.exists(r, r.key == 'nvidia.com/gpu.product' && r.operator == 'In' &&
        r.values.exists(v, v.matches('.-SHARED$') && a.all(e, e.key != 'nvidia.com/gpu.product' || (e.operator == 'In' ? v in e.values : e.operator == 'NotIn' ? !(v in e.values) : e.operator == 'Exists'))) &&
        r.values.all(v, v.matches('.-SHARED$') || (variables.policy == 'any' && v.matches(r'.-MIG-[1-9][0-9]?g\.[1-9][0-9]{0,3}gb(?:\.me\.all|\.me|\.gfx|-me)?$')) ||
          !a.all(e, e.key != 'nvidia.com/gpu.product' || (e.operator == 'In' ? v in e.values : e.operator == 'NotIn' ? !(v in e.values) : e.operator == 'Exists')))))
# The same for the existing pod.
- name: beforeSelectsMps
  expression: |-
    variables.beforeAlternatives.all(a,
      a.exists(r, r.key == 'nvidia.com/mps.capable' && r.operator == 'In') && a.all(e, e.key != 'nvidia.com/mps.capable' || (e.operator == 'In' ? 'true' in e.values : e.operator == 'NotIn' ? !('true' in e.values) : e.operator == 'Exists')) && !a.all(e, e.key != 'nvidia.com/mps.capable' || (e.operator == 'In' ? 'false' in e.values : e.operator == 'NotIn' ? !('false' in e.values) : e.operator == 'Exists')) &&
      (a.all(e, e.key != 'nvidia.com/gpu' + '.sharing-strategy' || (e.operator == 'In' ? 'time-slicing' in e.values : e.operator == 'NotIn' ? !('time-slicing' in e.values) : e.operator == 'Exists')) ||
      a.all(e, e.key != 'nvidia.com/gpu' + '.sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists')) ||
      !(a.all(e, e.key != 'nvidia.com/gpu' + '.sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) || a.all(e, e.key != 'nvidia.com/gpu' + '.sharing-strategy' || (e.operator == 'In' ? 'none' in e.values : e.operator == 'NotIn' ? !('none' in e.values) : e.operator == 'Exists')))))
# The same for the existing pod.
- name: beforeSelects
  expression: |-
    variables.beforeAlternatives.exists(a, a.exists(e, e.key in ['cloud.google.com/gke-gpu-sharing-strategy', 'cloud.google.com/gke-max-shared-clients-per-gpu', 'cloud.google.com/gke-gpu-partition-size', 'nvidia.com/gpu.sharing-strategy', 'nvidia.com/gpu.product', 'nvidia.com/gpu.slices.gi', 'nvidia.com/gpu.slices.ci', 'nvidia.com/mps.capable', 'nvidia.com/mig.capable', 'nvidia.com/mig.strategy', 'nvidia.com/mig.config', 'nvidia.com/gpu.replicas'] ||
      variables.beforeAsks.exists(ask, ask.gpus.exists(n, e.key == n + '.sharing-strategy' || e.key == n + '.replicas'))))
# The same for the existing pod.
- name: beforeSilent
  expression: |-
    variables.beforeAsks.all(ask, ask.gpus.all(n, n == 'nvidia.com/gpu')) && !variables.beforeSelects
# The same for the existing pod.
- name: beforeSlots
  expression: |-
    variables.beforeAsks.filter(ask, size(ask.gpus) == 1 &&
      quantity(string(ask.limits[ask.gpus[0]])).isGreaterThan(quantity('1')) && (
      variables.lifted ? ask.gpus[0] == 'nvidia.com/gpu' && variables.beforeSaysGke && variables.beforeGkeTimeSharing :
      variables.sharesOnly || (variables.sharesFirst && variables.beforeSilent) ||
      ask.gpus[0].endsWith('.shared') ||
      (ask.gpus[0] == 'nvidia.com/gpu' && (variables.beforeGkeShared || (!variables.beforeSaysGke && variables.beforeSharedProduct))) ||
      (ask.gpus[0] == 'nvidia.com/gpu' && !variables.beforeSaysGke && variables.beforeSelectsMps) ||
      ((ask.gpus[0] != 'nvidia.com/gpu' || !variables.beforeSaysGke) && (variables.beforeAlternatives.all(a,
      !a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) &&
      !a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'none' in e.values : e.operator == 'NotIn' ? !('none' in e.values) : e.operator == 'Exists')) &&
      (a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'time-slicing' in e.values : e.operator == 'NotIn' ? !('time-slicing' in e.values) : e.operator == 'Exists')) ||
      a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists')))) ||
        variables.beforeAlternatives.all(a,
      !a.all(e, e.key != ask.gpus[0] + '.replicas' || e.operator in ['NotIn', 'DoesNotExist']) && !a.exists(e, e.key == ask.gpus[0] + '.replicas' && e.operator in ['Gt', 'Lt']) &&
      !a.all(e, e.key != ask.gpus[0] + '.replicas' || (e.operator == 'In' ? '0' in e.values : e.operator == 'NotIn' ? !('0' in e.values) : e.operator == 'Exists')) && !a.all(e, e.key != ask.gpus[0] + '.replicas' || (e.operator == 'In' ? '1' in e.values : e.operator == 'NotIn' ? !('1' in e.values) : e.operator == 'Exists')) &&
      (a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'time-slicing' in e.values : e.operator == 'NotIn' ? !('time-slicing' in e.values) : e.operator == 'Exists')) ||
      a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'mps' in e.values : e.operator == 'NotIn' ? !('mps' in e.values) : e.operator == 'Exists')) ||
      !(a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || e.operator in ['NotIn', 'DoesNotExist']) || a.all(e, e.key != ask.gpus[0] + '.sharing-strategy' || (e.operator == 'In' ? 'none' in e.values : e.operator == 'NotIn' ? !('none' in e.values) : e.operator == 'Exists')))))))))
# An update is denied only for new findings.
- name: aboveOne
  expression: |-
    request.operation == 'CREATE' ? variables.slots :
    variables.slots.filter(ask, !variables.beforeSlots.exists(had, had.name == ask.name))
{{- end -}}

{{- define "gpuwarden.backstopValidations" -}}
# mixed-gpu-resources
- expression: size(variables.mixed) == 0
  reason: Forbidden
  messageExpression: |-
    'container "' + variables.mixed[0].name + '": requests ' + variables.mixed[0].gpus.filter(n, variables.mixed[0].gpus.all(m, n <= m))[0] + ' and ' + variables.mixed[0].gpus.filter(n, variables.mixed[0].gpus.all(m, n >= m))[0] + '; the container would be charged for all and see only one; keep one of them, or use a container for each'
# shared-request-above-one
- expression: size(variables.aboveOne) == 0
  reason: Forbidden
  messageExpression: |-
    variables.gkeTimeSharing ? (variables.policy == 'any' ? 'container "' + variables.aboveOne[0].name + '": ' + variables.aboveOne[0].gpus[0] + ': ' + string(variables.aboveOne[0].limits[variables.aboveOne[0].gpus[0]]) + ' is more than one slot of a shared GPU; a shared GPU is access, not capacity, and the kubelet would reject it ("invalid request for sharing GPU (time-sharing), at most 1 nvidia.com/gpu can be requested on GPU nodes"); request 1, or use whole GPUs instead' + (variables.selects ? ', and do not select labels of shared nodes' : '') : 'container "' + variables.aboveOne[0].name + '": ' + variables.aboveOne[0].gpus[0] + ': ' + string(variables.aboveOne[0].limits[variables.aboveOne[0].gpus[0]]) + ' cannot be shared under namespace policy "' + variables.policy + '"; a shared GPU is access, not capacity, and the kubelet would reject it ("invalid request for sharing GPU (time-sharing), at most 1 nvidia.com/gpu can be requested on GPU nodes"); request 1, or use a namespace whose policy permits whole GPUs' + (variables.selects ? ', and do not select labels of shared nodes' : '')) :
    variables.gke ? (variables.policy == 'any' ? 'container "' + variables.aboveOne[0].name + '": ' + variables.aboveOne[0].gpus[0] + ': ' + string(variables.aboveOne[0].limits[variables.aboveOne[0].gpus[0]]) + ' is more than one slot of a shared GPU; a shared GPU is access, not capacity, and the kubelet would reject it ("invalid request for sharing GPU (MPS), at most 1 nvidia.com/gpu can be requested on multi-GPU nodes"); request 1, or use whole GPUs instead' + (variables.selects ? ', and do not select labels of shared nodes' : '') : 'container "' + variables.aboveOne[0].name + '": ' + variables.aboveOne[0].gpus[0] + ': ' + string(variables.aboveOne[0].limits[variables.aboveOne[0].gpus[0]]) + ' cannot be shared under namespace policy "' + variables.policy + '"; a shared GPU is access, not capacity, and the kubelet would reject it ("invalid request for sharing GPU (MPS), at most 1 nvidia.com/gpu can be requested on multi-GPU nodes"); request 1, or use a namespace whose policy permits whole GPUs' + (variables.selects ? ', and do not select labels of shared nodes' : '')) :
    (variables.policy == 'any' ? 'container "' + variables.aboveOne[0].name + '": ' + variables.aboveOne[0].gpus[0] + ': ' + string(variables.aboveOne[0].limits[variables.aboveOne[0].gpus[0]]) + ' is more than one slot of a shared GPU; a shared GPU is access, not capacity, and the kubelet would reject it ("maximum request size for shared resources is 1; found ' + string(quantity(string(variables.aboveOne[0].limits[variables.aboveOne[0].gpus[0]])).asInteger()) + '"); request 1, or use whole GPUs instead' + (variables.selects ? ', and do not select labels of shared nodes' : '') : 'container "' + variables.aboveOne[0].name + '": ' + variables.aboveOne[0].gpus[0] + ': ' + string(variables.aboveOne[0].limits[variables.aboveOne[0].gpus[0]]) + ' cannot be shared under namespace policy "' + variables.policy + '"; a shared GPU is access, not capacity, and the kubelet would reject it ("maximum request size for shared resources is 1; found ' + string(quantity(string(variables.aboveOne[0].limits[variables.aboveOne[0].gpus[0]])).asInteger()) + '"); request 1, or use a namespace whose policy permits whole GPUs' + (variables.selects ? ', and do not select labels of shared nodes' : ''))
{{- end -}}
