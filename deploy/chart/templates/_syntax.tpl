{{/*
What values.schema.json could say, but only by printing a pattern, and for the keys of a mapping even with the wrong path. Fails
with the value's name, the value and the fix; prints nothing.
*/}}
{{- define "gpuwarden.syntax" -}}
{{- $key := `^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$` -}}
{{- $ours := `^(app[.]kubernetes[.]io/(name|instance|version)|helm[.]sh/chart)$` -}}
{{- range $path, $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "webhooks.labels" .Values.webhooks.labels "monitoring.serviceMonitor.labels" .Values.monitoring.serviceMonitor.labels "monitoring.prometheusRule.labels" .Values.monitoring.prometheusRule.labels "monitoring.dashboard.labels" .Values.monitoring.dashboard.labels -}}
{{- range $name, $_ := $labels -}}
{{- if regexMatch $ours $name -}}
{{- fail (printf "%s: %q is a label that the chart sets itself; remove it" $path $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $keyed := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "podAnnotations" .Values.podAnnotations "nodeSelector" .Values.nodeSelector "webhooks.labels" .Values.webhooks.labels "webhooks.annotations" .Values.webhooks.annotations "service.annotations" .Values.service.annotations "serviceAccount.annotations" .Values.serviceAccount.annotations "monitoring.serviceMonitor.labels" .Values.monitoring.serviceMonitor.labels "monitoring.prometheusRule.labels" .Values.monitoring.prometheusRule.labels "monitoring.dashboard.labels" .Values.monitoring.dashboard.labels "monitoring.dashboard.annotations" .Values.monitoring.dashboard.annotations -}}
{{- range $name, $policy := .Values.config.policies -}}
{{- if not (regexMatch `^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$` $name) -}}
{{- fail (printf "config.policies: %q can't be the value of a namespace label; use at most 63 letters, digits, \".\", \"_\" and \"-\", beginning and ending with a letter or digit" $name) -}}
{{- end -}}
{{- range $variable, $_ := $policy.env -}}
{{- if not (regexMatch `^[ -<>-~]+$` $variable) -}}
{{- fail (printf "config.policies.%s.env: %q is not the name of an environment variable; use ASCII characters other than \"=\"" $name $variable) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $keyed (printf "config.policies.%s.nodeSelector" $name) $policy.nodeSelector -}}
{{- end -}}
{{- range $path, $mapping := $keyed -}}
{{- range $name, $_ := $mapping -}}
{{- if not (regexMatch $key $name) -}}
{{- fail (printf "%s: %q is not a key of labels or annotations; write <name> or <domain>/<name>, such as example.com/team" $path $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (regexMatch `^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|(\*|\?|[0-5]?[0-9](-[0-5]?[0-9])?)(/[1-9][0-9]*)?(,(\*|\?|[0-5]?[0-9](-[0-5]?[0-9])?)(/[1-9][0-9]*)?)* +(\*|\?|([01]?[0-9]|2[0-3])(-([01]?[0-9]|2[0-3]))?)(/[1-9][0-9]*)?(,(\*|\?|([01]?[0-9]|2[0-3])(-([01]?[0-9]|2[0-3]))?)(/[1-9][0-9]*)?)* +(\*|\?|(0?[1-9]|[12][0-9]|3[01])(-(0?[1-9]|[12][0-9]|3[01]))?)(/[1-9][0-9]*)?(,(\*|\?|(0?[1-9]|[12][0-9]|3[01])(-(0?[1-9]|[12][0-9]|3[01]))?)(/[1-9][0-9]*)?)* +(\*|\?|(0?[1-9]|1[0-2]|[Jj][Aa][Nn]|[Ff][Ee][Bb]|[Mm][Aa][Rr]|[Aa][Pp][Rr]|[Mm][Aa][Yy]|[Jj][Uu][Nn]|[Jj][Uu][Ll]|[Aa][Uu][Gg]|[Ss][Ee][Pp]|[Oo][Cc][Tt]|[Nn][Oo][Vv]|[Dd][Ee][Cc])(-(0?[1-9]|1[0-2]|[Jj][Aa][Nn]|[Ff][Ee][Bb]|[Mm][Aa][Rr]|[Aa][Pp][Rr]|[Mm][Aa][Yy]|[Jj][Uu][Nn]|[Jj][Uu][Ll]|[Aa][Uu][Gg]|[Ss][Ee][Pp]|[Oo][Cc][Tt]|[Nn][Oo][Vv]|[Dd][Ee][Cc]))?)(/[1-9][0-9]*)?(,(\*|\?|(0?[1-9]|1[0-2]|[Jj][Aa][Nn]|[Ff][Ee][Bb]|[Mm][Aa][Rr]|[Aa][Pp][Rr]|[Mm][Aa][Yy]|[Jj][Uu][Nn]|[Jj][Uu][Ll]|[Aa][Uu][Gg]|[Ss][Ee][Pp]|[Oo][Cc][Tt]|[Nn][Oo][Vv]|[Dd][Ee][Cc])(-(0?[1-9]|1[0-2]|[Jj][Aa][Nn]|[Ff][Ee][Bb]|[Mm][Aa][Rr]|[Aa][Pp][Rr]|[Mm][Aa][Yy]|[Jj][Uu][Nn]|[Jj][Uu][Ll]|[Aa][Uu][Gg]|[Ss][Ee][Pp]|[Oo][Cc][Tt]|[Nn][Oo][Vv]|[Dd][Ee][Cc]))?)(/[1-9][0-9]*)?)* +(\*|\?|(0?[0-6]|[Ss][Uu][Nn]|[Mm][Oo][Nn]|[Tt][Uu][Ee]|[Ww][Ee][Dd]|[Tt][Hh][Uu]|[Ff][Rr][Ii]|[Ss][Aa][Tt])(-(0?[0-6]|[Ss][Uu][Nn]|[Mm][Oo][Nn]|[Tt][Uu][Ee]|[Ww][Ee][Dd]|[Tt][Hh][Uu]|[Ff][Rr][Ii]|[Ss][Aa][Tt]))?)(/[1-9][0-9]*)?(,(\*|\?|(0?[0-6]|[Ss][Uu][Nn]|[Mm][Oo][Nn]|[Tt][Uu][Ee]|[Ww][Ee][Dd]|[Tt][Hh][Uu]|[Ff][Rr][Ii]|[Ss][Aa][Tt])(-(0?[0-6]|[Ss][Uu][Nn]|[Mm][Oo][Nn]|[Tt][Uu][Ee]|[Ww][Ee][Dd]|[Tt][Hh][Uu]|[Ff][Rr][Ii]|[Ss][Aa][Tt]))?)(/[1-9][0-9]*)?)*)$` .Values.audit.report.schedule) -}}
{{- fail (printf "audit.report.schedule: %q is not a schedule of cron; write five fields, such as \"17 3 * * *\", or @hourly, @daily, @weekly or @monthly" .Values.audit.report.schedule) -}}
{{- end -}}
{{- end -}}
