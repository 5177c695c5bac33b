{{/*
JSON: the namespaces in which the configuration denies pods that reach GPUs without a request, as Policy.guard of webhook/engine/policy.py has it.
`rest`: whether built-in policies deny. `unlabelled`: whether namespaces without the label deny. `except`: the configured policies
that differ from `rest`. `any`: whether anything denies.
*/}}
{{- define "gpuwarden.guardDenies" -}}
{{- $config := .Values.config -}}
{{- $rest := eq ($config.visibleDevices | default "") "deny" -}}
{{- $except := list -}}
{{- range $name, $policy := $config.policies -}}
{{- if ne $rest (eq (get $policy "visibleDevices" | default (ternary "deny" "" $rest)) "deny") -}}
{{- $except = append $except $name -}}
{{- end -}}
{{- end -}}
{{- $unlabelled := ne $rest (has $config.defaults.enforce $except) -}}
{{- dict "rest" $rest "unlabelled" $unlabelled "except" (sortAlpha $except) "any" (or $rest (gt (len $except) 0)) | toJson -}}
{{- end -}}

{{/*
JSON: {"webhooks": [...]}, the guard's webhooks, each with its name, its failurePolicy and its part of the namespaces. Every
namespace is in exactly one part, for a webhook has one failurePolicy: Fail where a policy denies, so that `deny` holds while no
replica answers; Ignore where the guard warns at most, in exempt namespaces, and in webhooks.guard.openNamespaces.
*/}}
{{- define "gpuwarden.guardParts" -}}
{{- $guard := .Values.webhooks.guard -}}
{{- $denies := include "gpuwarden.guardDenies" . | fromJson -}}
{{- $label := "gpuwarden.io/enforce" -}}
{{- $parts := list -}}
{{- if or $guard.failurePolicy (not $denies.any) (eq .Values.install.mode "audit") -}}
{{- $policy := eq .Values.install.mode "audit" | ternary "Ignore" ($guard.failurePolicy | default "Ignore") -}}
{{- $parts = list (dict "name" "guard" "failurePolicy" $policy "namespaces" list) -}}
{{- else -}}
{{- $listed := list -}}
{{- with $denies.except -}}
{{- $listed = list (dict "key" $label "operator" "NotIn" "values" .) -}}
{{- $part := dict "key" $label "operator" "In" "values" . -}}
{{- $parts = append $parts (dict "name" "guard-policies" "failurePolicy" ($denies.rest | ternary "Ignore" "Fail") "namespaces" (list $part)) -}}
{{- end -}}
{{- if ne $denies.rest $denies.unlabelled -}}
{{- $listed = prepend $listed (dict "key" $label "operator" "Exists") -}}
{{- $part := dict "key" $label "operator" "DoesNotExist" -}}
{{- $parts = append $parts (dict "name" "guard-unlabelled" "failurePolicy" ($denies.unlabelled | ternary "Fail" "Ignore") "namespaces" (list $part)) -}}
{{- end -}}
{{- $parts = prepend $parts (dict "name" "guard" "failurePolicy" ($denies.rest | ternary "Fail" "Ignore") "namespaces" $listed) -}}
{{- end -}}
{{- $closed := false -}}
{{- range $parts -}}{{- if eq .failurePolicy "Fail" -}}{{- $closed = true -}}{{- end -}}{{- end -}}
{{- $open := concat (.Values.config.exemptions.namespaces | default list) $guard.openNamespaces | uniq | sortAlpha -}}
{{- range concat (list .Release.Namespace "kube-system") .Values.webhooks.excludedNamespaces -}}{{- $open = without $open . -}}{{- end -}}
{{- if and $closed $open -}}
{{- $name := "kubernetes.io/metadata.name" -}}
{{- range $parts -}}
{{- $_ := set . "namespaces" (prepend .namespaces (dict "key" $name "operator" "NotIn" "values" $open)) -}}
{{- end -}}
{{- $part := dict "key" $name "operator" "In" "values" $open -}}
{{- $parts = append $parts (dict "name" "guard-open" "failurePolicy" "Ignore" "namespaces" (list $part)) -}}
{{- end -}}
{{- dict "webhooks" $parts | toJson -}}
{{- end -}}

{{/* The text about `deny` in the notes, in enforce mode: which namespaces fail closed, or that none do. */}}
{{- define "gpuwarden.guardNotes" -}}
{{- $guard := .Values.webhooks.guard -}}
{{- if (include "gpuwarden.guardDenies" . | fromJson).any }}
{{- if not $guard.enabled }}

WARNING: the policies deny pods that reach GPUs without requesting them (visibleDevices: deny), but webhooks.guard.enabled is false:
these pods are never checked. Set webhooks.guard.enabled=true.
{{- else if eq $guard.failurePolicy "Ignore" }}

WARNING: the policies deny pods that reach GPUs without requesting them (visibleDevices: deny), but webhooks.guard.failurePolicy is
Ignore: while no replica answers, or replicas shed load, privileged pods and the like are created. Set webhooks.guard.failurePolicy="".
{{- else }}

If the policy denies pods that reach GPUs without requesting them (visibleDevices: deny), pods that might do so (privileged, with a
hostPath, …) are denied too while no replica answers. Never in exempt namespaces and in webhooks.guard.openNamespaces: add those of
your own network and storage drivers.
{{- end }}
{{- end }}
{{- end -}}
