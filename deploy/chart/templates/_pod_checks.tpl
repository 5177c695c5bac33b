{{/*
Values about replicas and their monitoring that Helm would render, but that would fail in the cluster or have no effect there. Fails with the
value's name, the value and the fix; prints nothing.
*/}}
{{- define "gpuwarden.podChecks" -}}
{{- $budget := .Values.podDisruptionBudget -}}
{{- $replicas := int .Values.replicas -}}
{{- if and $budget.create (gt $replicas 1) -}}
{{- $by := eq (toString $budget.maxUnavailable) "" | ternary "minAvailable" "maxUnavailable" -}}
{{- $text := get $budget $by | toString -}}
{{- $number := int $text -}}
{{- if hasSuffix "%" $text -}}
{{- /* Kubernetes rounds both up. */ -}}
{{- $number = div (add 99 (mul $replicas (trimSuffix "%" $text | int))) 100 | int -}}
{{- end -}}
{{- if eq $by "minAvailable" | ternary (ge $number $replicas) (eq $number 0) -}}
{{- fail (printf "podDisruptionBudget.%s: with %s of %d replicas none may be evicted, so no node with a replica can be drained; permit at least one eviction, such as podDisruptionBudget.maxUnavailable=1" $by $text $replicas) -}}
{{- end -}}
{{- end -}}
{{- $monitor := .Values.monitoring.serviceMonitor -}}
{{- if and $monitor.create $monitor.scrapeTimeout -}}
{{- if gt (include "gpuwarden.milliseconds" $monitor.scrapeTimeout | int64) (include "gpuwarden.milliseconds" $monitor.interval | int64) -}}
{{- fail (printf "monitoring.serviceMonitor.scrapeTimeout: %s is more than the interval, %s, and the Prometheus Operator ignores such a ServiceMonitor; set the interval or less" $monitor.scrapeTimeout $monitor.interval) -}}
{{- end -}}
{{- end -}}
{{- $volumes := list "config" "tls" "client-ca" -}}
{{- $mounted := list "config" -}}
{{- if include "gpuwarden.tlsSecret" . -}}{{- $mounted = append $mounted "tls" -}}{{- end -}}
{{- if .Values.clientAuth.caSecret -}}{{- $mounted = append $mounted "client-ca" -}}{{- end -}}
{{- range $i, $volume := .Values.volumes -}}
{{- if has $volume.name $volumes -}}
{{- fail (printf "volumes[%d].name: %q is the name of %s; choose another" $i $volume.name (has $volume.name (list "config" "tls" "client-ca") | ternary "one of the chart's own volumes" "an earlier volume")) -}}
{{- end -}}
{{- $volumes = append $volumes $volume.name -}}
{{- $mounted = append $mounted $volume.name -}}
{{- end -}}
{{- range $i, $mount := .Values.volumeMounts -}}
{{- if not (has $mount.name $mounted) -}}
{{- fail (printf "volumeMounts[%d].name: there is no volume %q; add it to volumes, or remove the mount" $i $mount.name) -}}
{{- end -}}
{{- end -}}
{{- $options := include "gpuwarden.serveOptions" . | splitList " " -}}
{{- range $i, $argument := .Values.extraArgs -}}
{{- $option := regexFind "^-[^=]*" $argument -}}
{{- if and $option (not (has $option $options)) -}}
{{- fail (printf "extraArgs[%d]: %q is not an option of gpuwarden serve; write one from docs/reference/options.md, such as --max-lag=0.5" $i $option) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.dnsPolicy "None") (empty .Values.dnsConfig.nameservers) -}}
{{- fail "dnsConfig.nameservers: empty, and dnsPolicy is None; list a name server, or choose another dnsPolicy" -}}
{{- end -}}
{{- end -}}

{{/* A duration of Prometheus, such as 1m30s. */}}
{{- define "gpuwarden.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 "y" 31536000000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+(ms|[smhdwy])" . -1 -}}
{{- $sum = add $sum (mul (regexFind "^[0-9]+" . | int64) (get $units (regexFind "[a-z]+$" .))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}
