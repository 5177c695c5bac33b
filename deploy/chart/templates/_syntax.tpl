{{/*
What values.schema.json says of texts under "x-checks" (hack/chart_tables.py), and labels that are the chart's own. Fails with the
value's name, the value and the fix; prints nothing.
*/}}
{{- define "gpuwarden.syntax" -}}
{{- range $check := include "gpuwarden.textChecks" . | fromYamlArray -}}
{{- range $at := $check.at -}}
{{- include "gpuwarden.textsAt" (dict "check" $check "value" $.Values "steps" (splitList "." $at) "path" "") -}}
{{- end -}}
{{- end -}}
{{- $ours := `^(app[.]kubernetes[.]io/(name|instance|version)|helm[.]sh/chart)$` -}}
{{- range $path, $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "webhooks.labels" .Values.webhooks.labels "monitoring.serviceMonitor.labels" .Values.monitoring.serviceMonitor.labels "monitoring.prometheusRule.labels" .Values.monitoring.prometheusRule.labels "monitoring.dashboard.labels" .Values.monitoring.dashboard.labels -}}
{{- range $name, $_ := $labels -}}
{{- if regexMatch $ours $name -}}
{{- fail (printf "%s: %q is a label that the chart sets itself; remove it" $path $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Checks the texts below a value. Takes (dict "check" CHECK "value" ANY "steps" LIST "path" TEXT). */}}
{{- define "gpuwarden.textsAt" -}}
{{- $check := .check -}}
{{- $path := .path -}}
{{- $step := first .steps -}}
{{- $steps := rest .steps -}}
{{- if not $step -}}
{{- if and (kindIs "string" .value) (regexMatch (default "" $check.of) .value) (not (regexMatch $check.pattern .value)) -}}
{{- fail (printf "%s: %q %s" $path .value $check.fault) -}}
{{- end -}}
{{- else if and (eq $step "{}") (kindIs "map" .value) -}}
{{- range $key := keys .value | sortAlpha -}}
{{- include "gpuwarden.textsAt" (dict "check" $check "value" $key "steps" $steps "path" $path) -}}
{{- end -}}
{{- else if and (eq $step "*") (kindIs "slice" .value) -}}
{{- range $index, $item := .value -}}
{{- include "gpuwarden.textsAt" (dict "check" $check "value" $item "steps" $steps "path" (printf "%s[%d]" $path $index)) -}}
{{- end -}}
{{- else if and (eq $step "*") (kindIs "map" .value) -}}
{{- range $key, $item := .value -}}
{{- $name := regexMatch `^[\w-]+$` $key | ternary (printf "%s.%s" $path $key) (printf "%s[%s]" $path $key) -}}
{{- include "gpuwarden.textsAt" (dict "check" $check "value" $item "steps" $steps "path" $name) -}}
{{- end -}}
{{- else if and (kindIs "map" .value) (hasKey .value $step) -}}
{{- include "gpuwarden.textsAt" (dict "check" $check "value" (get .value $step) "steps" $steps "path" (list $path $step | compact | join ".")) -}}
{{- end -}}
{{- end -}}
