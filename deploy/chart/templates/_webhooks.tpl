{{/* The namespaces in which webhooks are called. */}}
{{- define "gpuwarden.namespaceSelector" -}}
namespaceSelector:
  matchExpressions:
    # The API server sets this label to the name, and nobody can change it, so it can't be used to opt out. gpuwarden's own namespace is
    # excluded because gpuwarden could not start again otherwise, and kube-system because the cluster could not.
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values:
        {{- concat (list $.Release.Namespace "kube-system") $.Values.webhooks.excludedNamespaces | uniq | toYaml | nindent 8 }}
{{- end -}}

{{/*
What every webhook has in common. `caBundle` is not here and must never be: what writes it at run time (gpuwarden, or
cert-manager) is its only owner, and a rendered value would be put back at every upgrade and by every GitOps tool. The same
holds of the path where gpuwarden writes it, with its token; webhook/application/certificates/tokens.py has the same paths by name.
Takes (dict "root" $ "path" "/mutate"), and "namespaces" if further requirements select them.
*/}}
{{- define "gpuwarden.webhook" -}}
admissionReviewVersions: [v1]
sideEffects: None
matchPolicy: Equivalent
clientConfig:
  service:
    name: {{ include "gpuwarden.fullname" .root }}
    namespace: {{ .root.Release.Namespace }}
    port: 443
    {{- if ne (include "gpuwarden.pathToken" .root) "true" }}
    path: {{ .path }}
    {{- end }}
{{ include "gpuwarden.namespaceSelector" .root }}
{{- with .namespaces }}
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- if ne .path "/validate-namespace" }}
{{- with .root.Values.webhooks.objectSelector }}
objectSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether gpuwarden writes the paths ("true"): only if it has a CA from which it derives tokens. */}}
{{- define "gpuwarden.pathToken" -}}
{{- and (eq .Values.certificates.mode "self-managed") .Values.pathToken.enabled -}}
{{- end -}}

{{/*
The API server calls mutating webhooks in the order of their configurations' names: ours after those that add GPUs to pods
(HAMi's, the Spark operator's).
*/}}
{{- define "gpuwarden.mutatingName" -}}
{{- .Values.webhooks.mutate.configurationName | default (printf "zz-%s" (include "gpuwarden.fullname" .)) -}}
{{- end -}}

{{/* Labels and annotations of a webhook configuration. */}}
{{- define "gpuwarden.webhookMetadata" -}}
labels:
  {{- include "gpuwarden.labels" . | nindent 2 }}
  {{- with .Values.webhooks.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := .Values.webhooks.annotations -}}
{{- if eq .Values.certificates.mode "cert-manager" -}}
{{- $certificate := printf "%s/%s" .Release.Namespace (include "gpuwarden.fullname" .) -}}
{{- $annotations = merge (dict "cert-manager.io/inject-ca-from" $certificate) $annotations -}}
{{- end }}
{{- if eq .Values.certificates.mode "self-managed" -}}
{{- /* gpuwarden reads this. It is not an option of the command line, so that it changes together with the paths. */ -}}
{{- $annotations = merge (dict "gpuwarden.io/path-token" (include "gpuwarden.pathToken" .)) $annotations -}}
{{- end }}
{{- include "gpuwarden.annotations" (dict "root" . "own" $annotations) }}
{{- end -}}
