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
(has({{ $pod }}.metadata) && has({{ $pod }}.metadata.annotations) &&
{{ $pod }}.metadata.annotations.exists(key, key.startsWith('cdi.k8s.io/'))) ||
(has({{ $spec }}.volumes) && {{ $spec }}.volumes.exists(volume, has(volume.hostPath))) ||
((has({{ $spec }}.containers) ? {{ $spec }}.containers : []) +
(has({{ $spec }}.initContainers) ? {{ $spec }}.initContainers : []) +
(has({{ $spec }}.ephemeralContainers) ? {{ $spec }}.ephemeralContainers : [])).exists(container,
(has(container.securityContext) && has(container.securityContext.privileged) &&
container.securityContext.privileged) ||
(has(container.env) &&
container.env.exists(variable, variable.name in ['NVIDIA_VISIBLE_DEVICES', 'CUDA_VERSION'])) ||
(has(container.volumeMounts) &&
container.volumeMounts.exists(mount, mount.mountPath.contains('nvidia-container-devices')))) ||
[{{ $spec }}].map(spec, has(spec.resources), spec.resources).exists(resources,
(has(resources.limits) && resources.limits.exists(name, name.startsWith('nvidia.com/'))) ||
(has(resources.requests) && resources.requests.exists(name, name.startsWith('nvidia.com/')))))
{{- end -}}

{{/* The webhook that is asked about such pods where validate.gpuwarden.io, which fails closed, is asked about GPU requests only. */}}
{{- define "gpuwarden.guard" -}}
- name: guard.gpuwarden.io
  {{- include "gpuwarden.webhook" (dict "root" $ "path" "/validate") | nindent 2 }}
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
        !has(object.spec) || !({{- include "gpuwarden.requestsGpus" (dict "root" $ "spec" "object.spec") | nindent 8 }})
    - name: may-reach-gpus-otherwise
      expression: >-
        has(object.spec) && {{- include "gpuwarden.reachesGpus" (dict "root" $ "pod" "object") | nindent 8 }}
  failurePolicy: {{ eq .Values.install.mode "audit" | ternary "Ignore" .Values.webhooks.guard.failurePolicy }}
  timeoutSeconds: {{ .Values.webhooks.guard.timeoutSeconds }}
{{- end -}}
