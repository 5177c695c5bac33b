{{/*
CEL: whether the resource `name` may hand out GPUs. A DeviceClass (DRA) can hand them out by any name with a domain, and gpuwarden knows
which, so pods with any such name are sent, except for names of gpuwarden.neverGpus and those that the configuration lists in full as
not GPUs (tests/deploy/test_match_conditions.py). Names have no quotes in them (values.schema.json). Takes the root.
*/}}
{{- define "gpuwarden.mayBeGpu" -}}
{{- $others := include "gpuwarden.neverGpus" . | splitList " " -}}
{{- $gpus := dig "resources" "gpus" list .Values.config | default list -}}
{{- range dig "resources" "notGPUs" list .Values.config | default list -}}
{{- if not (or (hasSuffix "*" .) (hasPrefix "nvidia.com/" .) (hasPrefix "deviceclass.resource.kubernetes.io/" .)) -}}
{{- $others = append $others . -}}
{{- end -}}
{{- end -}}
{{- $tests := list "name.contains('/')" -}}
{{- range $others | uniq -}}
{{- $tests = append $tests (ternary (printf "!name.startsWith('%s')" (trimSuffix "*" .)) (printf "name != '%s'" .) (hasSuffix "*" .)) -}}
{{- end -}}
{{- $lines := list -}}
{{- range chunk 3 $tests -}}{{- $lines = append $lines (join " && " .) -}}{{- end -}}
({{ join " &&\n" $lines }})
{{- with $gpus }} ||
{{ include "gpuwarden.nameFits" . }}
{{- end -}}
{{- end -}}

{{/* CEL: whether a container requests what may be a GPU. Takes (dict "root" $ "spec" "object.spec"), an expression of the spec. */}}
{{- define "gpuwarden.requestsGpus" -}}
((has({{ .spec }}.containers) ? {{ .spec }}.containers : []) +
(has({{ .spec }}.initContainers) ? {{ .spec }}.initContainers : [])).exists(container,
has(container.resources) &&
[has(container.resources.limits) ? container.resources.limits : {},
has(container.resources.requests) ? container.resources.requests : {}].exists(amounts, amounts.exists(name,
{{ include "gpuwarden.mayBeGpu" .root }})))
{{- end -}}

{{/*
CEL: whether a pod requests what may be a GPU or, as it is created, claims devices (DRA): what it claims is in objects that only
gpuwarden reads, and can't change later. Takes the root.
*/}}
{{- define "gpuwarden.requestsOrClaims" -}}
{{ include "gpuwarden.requestsGpus" (dict "root" . "spec" "object.spec") }} ||
(request.operation == 'CREATE' && has(object.spec.resourceClaims) && size(object.spec.resourceClaims) > 0)
{{- end -}}

{{/*
Only pods in which a container requests what may be a GPU: the API server leaves all others alone, whether gpuwarden
answers or not. It is wider than what gpuwarden acts on, never narrower (tests/deploy/test_match_conditions.py).
Ephemeral containers can't have resources.
*/}}
{{- define "gpuwarden.onlyPodsWithGpus" -}}
matchConditions:
  - name: requests-gpu-resources
    expression: >-
      {{- include "gpuwarden.requestsGpus" (dict "root" . "spec" "object.spec") | nindent 6 }}
{{- end -}}

{{/*
Only workloads whose template requests what may be a GPU, or may reach GPUs otherwise, wherever their kind has it. Objects of another
workload (the ReplicaSet of a Deployment, the Job of a CronJob) are left out: their template is that of the other one, for which gpuwarden
was called when a person wrote it, and a controller only logs warnings.
*/}}
{{- define "gpuwarden.onlyTemplatesWithGpus" -}}
matchConditions:
  - name: template-requests-gpu-resources
    expression: >-
      [{{ include "gpuwarden.template" . | nindent 6 | trim }}].exists(template, has(template.spec) && ([template.spec].exists(spec,
      {{- include "gpuwarden.requestsGpus" (dict "root" . "spec" "spec") | nindent 6 }})
      {{- if .Values.webhooks.guard.enabled }} ||
      {{- include "gpuwarden.reachesGpus" (dict "root" . "pod" "template") | nindent 6 }}
      {{- end }}))
  {{- include "gpuwarden.notOfAnotherWorkload" . | nindent 2 }}
{{- end -}}

{{/* A matchCondition that excludes objects of controllers: gpuwarden was called for the object that a user created. */}}
{{- define "gpuwarden.notOfAnotherWorkload" -}}
{{- $makers := include "gpuwarden.makers" . | fromYamlArray -}}
{{- if .Values.webhooks.advise.operators -}}
{{- $makers = concat $makers (include "gpuwarden.operatorMakers" . | fromYamlArray) -}}
{{- range .Values.config.workloadKinds -}}
{{- $makers = append $makers .kind -}}
{{- end -}}
{{- end -}}
- name: not-of-another-workload
  expression: >-
    !has(object.metadata.ownerReferences) || !object.metadata.ownerReferences.exists(owner,
    has(owner.controller) && owner.controller && owner.kind in {{ $makers | uniq | toJson }})
{{- end -}}

{{/*
Only objects of operators' kinds that name what may be a GPU, in a field that is new or changes. Names that only DeviceClasses (DRA) make
GPUs' are not looked for, because the keys of labels look like them; the pods are evaluated. Each kind has its own paths, so
every map is looked at, sixteen levels deep (webhook/application/field_paths.py: as the longest path and a container's resources): its keys, and its `name`,
where the Spark operator has the resource. CEL has no recursion, so there is a line for each level: from what is at this level to
what is below it, and from a map that names a GPU to b'', which JSON does not have, down to the last. Of a container only its
resources are looked at, and lists of texts not at all, to keep the cost low: matchConditions may cost no more than some 1,900 containers
do, and the API server does not ask then (failurePolicy Ignore). So an object with a list of more than 500 items is sent without a search.
*/}}
{{- define "gpuwarden.onlyObjectsWithGpus" -}}
{{- $known := include "gpuwarden.gpuPrefixes" . | splitList " " -}}
{{- range .Values.config.resources.gpus -}}
{{- $known = append $known (trimSuffix "*" .) -}}
{{- end -}}
{{- $names := "it.exists(key, (key.contains('/') && gpus.exists(gpu, key.startsWith(gpu))) || (key == 'name' && type(it[key]) == string && gpus.exists(gpu, it[key].startsWith(gpu))))" -}}
{{- $below := printf "(type(it) == map ? (%s ? [b''] : 'name' in it && 'image' in it ? it.map(key, key.endsWith('esources'), it[key]) : it.map(key, it[key])) : type(it) == list ? (it.size() > 0 && type(it[0]) == string ? [] : it.size() > 500 ? [b''] : it) : type(it) == bytes ? [it] : [])" $names -}}
{{- $search := "type(it) == bytes" -}}
{{- range until 16 -}}
{{- $search = printf "%s.exists(it,\n%s)" $below $search -}}
{{- end -}}
matchConditions:
  - name: names-gpu-resources
    expression: >-
      [[{{ range $index, $name := uniq $known }}{{ if $index }}, {{ end }}'{{ $name }}'{{ end }}]].exists(gpus,
      object.exists(field, !(field in ['apiVersion', 'kind', 'metadata', 'status']) &&
      (oldObject == null || !(field in oldObject) || object[field] != oldObject[field]) &&
      [object[field]].exists(it,
      {{- $search | nindent 6 }})))
  {{- include "gpuwarden.notOfAnotherWorkload" . | nindent 2 }}
{{- end -}}

{{/* CEL: whether a label or an annotation of gpuwarden, or one that looks like it, is added to a namespace or changed. */}}
{{- define "gpuwarden.mistypedChange" -}}
(has(object.metadata.{{ . }}) && object.metadata.{{ . }}.exists(key,
key.matches('^gpuwarden[.]io(/|$)|(?i:g[pu]{1,2}.?w[arden]{4,6}.*(e[a-z]?f|warn|wran|aud)|(e[a-z]?f|warn|wran|aud).*g[pu]{1,2}.?w[arden]{4,6})') &&
!(oldObject != null && has(oldObject.metadata.{{ . }}) && key in oldObject.metadata.{{ . }} &&
oldObject.metadata.{{ . }}[key] == object.metadata.{{ . }}[key])))
{{- end -}}

{{/*
Only namespaces whose gpuwarden labels change, by presence or by value, or that get a key that looks like one; a new
namespace, only if it has such a label. Every other change of a namespace never waits for gpuwarden nor depends on it, and neither does its deletion.
*/}}
{{- define "gpuwarden.onlyOurLabels" -}}
matchConditions:
  - name: gpuwarden-labels-change
    expression: >-
      ['gpuwarden.io/enforce', 'gpuwarden.io/warn', 'gpuwarden.io/audit'].exists(label,
      (has(object.metadata.labels) && label in object.metadata.labels ? [object.metadata.labels[label]] : []) !=
      (oldObject != null && has(oldObject.metadata.labels) && label in oldObject.metadata.labels ?
      [oldObject.metadata.labels[label]] : [])) ||
      {{- include "gpuwarden.mistypedChange" "labels" | nindent 6 }} ||
      {{- include "gpuwarden.mistypedChange" "annotations" | nindent 6 }}
  - name: not-being-deleted
    expression: "!has(object.metadata.deletionTimestamp)"
{{- end -}}

{{/*
matchConditions without exempt users, runtime classes and schedulers, as Exemptions of webhook/application/configuration.py has
them, and without mirror pods of static pods, which run already. A pod that exists has the node that the scheduler chose.
*/}}
{{- define "gpuwarden.notExempt" -}}
{{- $exempt := .Values.config.exemptions -}}
- name: not-exempt
  expression: >-
    !(request.userInfo.username in {{ $exempt.usernames | default list | toJson }}) &&
    !(has(object.spec.runtimeClassName) && object.spec.runtimeClassName in {{ $exempt.runtimeClasses | default list | toJson }}) &&
    ((request.operation == 'CREATE' && has(object.spec.nodeName) && object.spec.nodeName != '') ||
    !(has(object.spec.schedulerName) && object.spec.schedulerName in {{ $exempt.schedulers | default list | toJson }}))
- name: not-a-mirror-pod
  expression: >-
    !(has(object.metadata.annotations) && 'kubernetes.io/config.mirror' in object.metadata.annotations)
{{- end -}}
