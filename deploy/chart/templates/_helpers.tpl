{{- define "gpuwarden.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of nearly every object. At most 50 characters, so that a suffix still fits into a Service's 63. */}}
{{- define "gpuwarden.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "gpuwarden.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "gpuwarden.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of the CronJob and its objects: at most 52 characters, because its Jobs get 11 more. */}}
{{- define "gpuwarden.auditName" -}}
{{- printf "%s-audit" (include "gpuwarden.fullname" . | trunc 46 | trimSuffix "-") -}}
{{- end -}}

{{- define "gpuwarden.recommendName" -}}
{{- printf "%s-recommend" (include "gpuwarden.fullname" . | trunc 42 | trimSuffix "-") -}}
{{- end -}}

{{- define "gpuwarden.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gpuwarden.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* app.kubernetes.io/managed-by is left out: Helm adds it to what it installs, and it would be wrong with kubectl apply. */}}
{{- define "gpuwarden.labels" -}}
{{ include "gpuwarden.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The annotations of an object after a line break: its own, then commonAnnotations. Takes (dict "root" $), and "own" if it has some.
*/}}
{{- define "gpuwarden.annotations" -}}
{{- with merge (dict) (.own | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "gpuwarden.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gpuwarden.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "gpuwarden.image" -}}
{{- $image := .Values.image -}}
{{- $repository := list $image.registry $image.repository | compact | join "/" -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Leaves out the chart's own ids on OpenShift, which rejects all ids outside the namespace's range. */}}
{{- define "gpuwarden.podSecurityContext" -}}
{{- $context := deepCopy .Values.podSecurityContext -}}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- range list "runAsUser" "runAsGroup" "fsGroup" -}}
{{- if eq (get $context . | toString) "65532" -}}
{{- $context = omit $context . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $context -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the serving certificate; empty if gpuwarden creates the certificate in memory. */}}
{{- define "gpuwarden.tlsSecret" -}}
{{- if eq .Values.certificates.mode "cert-manager" -}}
{{- printf "%s-tls" (include "gpuwarden.fullname" .) -}}
{{- else if eq .Values.certificates.mode "provided" -}}
{{- .Values.certificates.provided.secretName -}}
{{- end -}}
{{- end -}}


{{/* The forms of a policy that are listed by name, without claims. */}}
{{- define "gpuwarden.formsByName" -}}
{{- $named := list -}}
{{- range .forms }}{{ if kindIs "string" . }}{{ $named = append $named . }}{{ end }}{{ end -}}
{{- toJson $named -}}
{{- end -}}
