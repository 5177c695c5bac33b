{{/*
What values.schema.json can't say, because it concerns two values at once. Fails with the values' names and the remedy;
prints nothing.
*/}}
{{- define "gpuwarden.checks" -}}
{{- $ports := .Values.ports -}}
{{- if eq (int $ports.webhook) (int $ports.ops) -}}
{{- fail (printf "ports.webhook, ports.ops: both are %d, and a port can be listened on once; choose another for one of them" (int $ports.ops)) -}}
{{- end -}}
{{- if .Values.hostNetwork -}}
{{- $taken := dict "10248" "kubelet" "10249" "kube-proxy" "10250" "kubelet" "10255" "kubelet" "10256" "kube-proxy" "10257" "kube-controller-manager" "10259" "kube-scheduler" "2379" "etcd" "2380" "etcd" "6443" "kube-apiserver" -}}
{{- range $name := list "webhook" "ops" -}}
{{- $port := get $ports $name | int | toString -}}
{{- with get $taken $port -}}
{{- fail (printf "ports.%s: with hostNetwork, %s is the %s's port on the node; choose one that is free on every node, such as %s" $name $port . (eq $name "webhook" | ternary "8443" "8080")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.audit.report.enabled .Values.serviceAccount.create (eq (include "gpuwarden.serviceAccountName" .) (include "gpuwarden.auditName" .)) -}}
{{- fail (printf "serviceAccount.name: %s is the name of the audit's own ServiceAccount (audit.report.enabled); choose another" .Values.serviceAccount.name) -}}
{{- end -}}
{{- $policies := .Values.config.policies -}}
{{- $builtIn := include "gpuwarden.policyValue" . -}}
{{- range $mode, $value := .Values.config.defaults -}}
{{- if not (or (hasKey $policies $value) (regexMatch $builtIn $value)) -}}
{{- fail (printf "config.defaults.%s: %q is not a policy; write a built-in value (docs/policies.md) or a name from config.policies%s" $mode $value (empty $policies | ternary "" (printf " (%s)" (keys $policies | sortAlpha | join ", ")))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
