{{/* Written by `make manifests` from webhook/application/workload_kinds.py; edit that and hack/workload_rules.py, not this. */}}

{{/* The rules of what /advise is sent. */}}
{{- define "gpuwarden.advisedRules" -}}
- apiGroups: [apps]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  scope: Namespaced
- apiGroups: [batch]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [cronjobs, jobs]
  scope: Namespaced
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [replicationcontrollers, podtemplates]
  scope: Namespaced
{{- end -}}

{{/* CEL: the template of a workload of Kubernetes' own kinds; an empty map where it has none. */}}
{{- define "gpuwarden.template" -}}
has(object.template) ?
object.template :
has(object.spec) && has(object.spec.template) ?
object.spec.template :
has(object.spec) && has(object.spec.jobTemplate) && has(object.spec.jobTemplate.spec) && has(object.spec.jobTemplate.spec.template) ?
object.spec.jobTemplate.spec.template :
{}
{{- end -}}

{{/* CEL: the kinds that make workloads that /advise is sent. */}}
{{- define "gpuwarden.makers" -}}
['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob']
{{- end -}}

{{/* RBAC: what a change of a namespace's label is previewed on. */}}
{{- define "gpuwarden.previewedKinds" -}}
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  verbs: [list]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [list]
- apiGroups: [""]
  resources: [replicationcontrollers, pods]
  verbs: [list]
{{- end -}}

{{/* RBAC: what an audit reads. */}}
{{- define "gpuwarden.auditedKinds" -}}
- apiGroups: [""]
  resources: [pods, replicationcontrollers, podtemplates]
  verbs: [list]
- apiGroups: [apps]
  resources: [replicasets, daemonsets, statefulsets, deployments]
  verbs: [list]
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: [list]
{{- end -}}
