{{/*
CEL: whether an annotation's key, of which this takes the expression, may name devices to a container runtime. The table is
DEVICE_ANNOTATIONS of webhook/engine/rules/device_access.py (tests/deploy/test_guard_conditions.py compares them). If a pod has
very many annotations, it is sent without checking each, so that no number of them exceeds what a condition may cost.
*/}}
{{- define "gpuwarden.namesDevices" -}}
['cdi.k8s.io', 'nri.io', 'noderesource.dev', 'devices.crio.io', 'io.kubernetes.cri-o.Devices'].exists(domain, {{ . }}.contains(domain))
{{- end -}}

{{/*
CEL: whether a pod, or the template of one, may reach GPUs without asking for them. It is wider than what the rules of
webhook/engine/guard.py mind, never narrower (tests/deploy/test_guard_conditions.py): which paths of a node lead to GPUs, say,
is left to gpuwarden. Takes (dict "root" $ "pod" "object"), the pod being an expression that has a spec.
*/}}
{{- define "gpuwarden.reachesGpus" -}}
{{- $pod := .pod -}}
{{- $spec := printf "%s.spec" .pod -}}
{{- $classes := list -}}
{{- range .root.Values.config.policies -}}
{{- with .runtimeClassName -}}{{- $classes = append $classes . -}}{{- end -}}
{{- end -}}
((has({{ $spec }}.nodeName) && {{ $spec }}.nodeName != '') ||
(has({{ $spec }}.runtimeClassName) && ({{ $spec }}.runtimeClassName.startsWith('nvidia') ||
{{ $spec }}.runtimeClassName in {{ $classes | uniq | sortAlpha | toJson }})) ||
(has({{ $pod }}.metadata) && has({{ $pod }}.metadata.annotations) && (
size({{ $pod }}.metadata.annotations) > 1000 ||
{{ $pod }}.metadata.annotations.exists(key, {{ include "gpuwarden.namesDevices" "key" }}))) ||
(has({{ $spec }}.volumes) && {{ $spec }}.volumes.exists(volume, has(volume.hostPath))) ||
{{ include "gpuwarden.containersReachGpus" (printf "(has(%[1]s.containers) ? %[1]s.containers : []) +\n(has(%[1]s.initContainers) ? %[1]s.initContainers : []) +\n(has(%[1]s.ephemeralContainers) ? %[1]s.ephemeralContainers : [])" $spec) }} ||
[{{ $spec }}].map(spec, has(spec.resources), spec.resources).exists(resources,
(has(resources.limits) && resources.limits.exists(name, name.startsWith('nvidia.com/'))) ||
(has(resources.requests) && resources.requests.exists(name, name.startsWith('nvidia.com/')))))
{{- end -}}

{{/*
CEL: whether containers, a list, may reach GPUs without asking for them.
*/}}
{{- define "gpuwarden.containersReachGpus" -}}
({{ . }}).exists(container,
(has(container.securityContext) && has(container.securityContext.privileged) &&
container.securityContext.privileged) ||
(has(container.env) &&
container.env.exists(variable, variable.name in ['NVIDIA_VISIBLE_DEVICES', 'CUDA_VERSION'])) ||
(has(container.volumeMounts) &&
container.volumeMounts.exists(mount, mount.mountPath.contains('nvidia-container-devices'))))
{{- end -}}

{{/*
The webhooks that are called for such pods, instead of validate.gpuwarden.io, which fails closed.
If a pod gets ephemeral containers, only these are checked, so that most pods can be debugged while no replica answers.
*/}}
{{- define "gpuwarden.guard" -}}
{{- range (include "gpuwarden.guardParts" . | fromJson).webhooks }}
- name: {{ .name }}.gpuwarden.io
  {{- include "gpuwarden.webhook" (dict "root" $ "path" "/validate" "namespaces" .namespaces) | nindent 2 }}
  rules:
    - apiGroups: [""]
      apiVersions: [v1]
      operations: [CREATE]
      resources: [pods]
      scope: Namespaced
    - apiGroups: [""]
      apiVersions: [v1]
      operations: [UPDATE]
      resources: [pods/ephemeralcontainers]
      scope: Namespaced
  matchConditions:
    - name: requests-no-gpu-resources
      expression: >-
        !has(object.spec) || !({{- include "gpuwarden.requestsOrClaims" $ | nindent 8 }})
    - name: may-reach-gpus-otherwise
      expression: >-
        has(object.spec) && (request.operation == 'UPDATE' ?
        {{- include "gpuwarden.containersReachGpus" "has(object.spec.ephemeralContainers) ? object.spec.ephemeralContainers : []" | nindent 8 }} :
        {{- include "gpuwarden.reachesGpus" (dict "root" $ "pod" "object") | nindent 8 }})
    {{- if eq .failurePolicy "Fail" }}
    {{- include "gpuwarden.notExempt" $ | nindent 4 }}
    {{- end }}
  failurePolicy: {{ .failurePolicy }}
  timeoutSeconds: {{ $.Values.webhooks.guard.timeoutSeconds }}
{{- end }}
{{- end -}}

{{/*
CEL: whether an update changes which nodes a pod may get, by what decisions read. Kubernetes permits it while the pod has
scheduling gates.
*/}}
{{- define "gpuwarden.nodesChange" -}}
has(oldObject.spec.schedulingGates) && size(oldObject.spec.schedulingGates) > 0 &&
[[object, oldObject].map(pod, [
has(pod.spec.nodeSelector) ? pod.spec.nodeSelector : {},
has(pod.spec.affinity) && has(pod.spec.affinity.nodeAffinity) &&
has(pod.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution) ?
pod.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution : {}])
].exists(nodes, nodes[0] != nodes[1])
{{- end -}}

{{/*
The webhook that is called for updates of a pod, only if they change what gpuwarden decides by: the node constraints, which
Kubernetes allows to change while the pod has scheduling gates, and annotations that name devices, which are read whenever
a container starts. Removing gates or finalizers, changing labels, and any update of a pod that is being deleted never
wait for gpuwarden.
*/}}
{{- define "gpuwarden.updates" -}}
- name: updates.gpuwarden.io
  {{- include "gpuwarden.webhook" (dict "root" $ "path" "/validate") | nindent 2 }}
  rules:
    - apiGroups: [""]
      apiVersions: [v1]
      operations: [UPDATE]
      resources: [pods]
      scope: Namespaced
  matchConditions:
    - name: not-being-deleted
      expression: "!has(object.metadata.deletionTimestamp)"
    - name: nodes-or-devices-change
      expression: >-
        ({{- include "gpuwarden.nodesChange" . | nindent 8 }} &&
        {{- include "gpuwarden.requestsGpus" (dict "root" $ "spec" "object.spec") | nindent 8 }})
        {{- if .Values.webhooks.guard.enabled }} ||
        (has(object.metadata.annotations) &&
        [has(oldObject.metadata.annotations) ? oldObject.metadata.annotations : {}].exists(had,
        object.metadata.annotations != had && (
        size(object.metadata.annotations) > 1000 ||
        object.metadata.annotations.exists(key, {{ include "gpuwarden.namesDevices" "key" }} &&
        !(key in had && had[key] == object.metadata.annotations[key])))))
        {{- end }}
  # Like validate.gpuwarden.io, because a pod must not change unnoticed after it was checked.
  failurePolicy: {{ eq .Values.install.mode "audit" | ternary "Ignore" "Fail" }}
  timeoutSeconds: {{ .Values.webhooks.validate.timeoutSeconds }}
{{- end -}}
