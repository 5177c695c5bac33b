{{/*
What values.schema.json can't say, or only in words that don't help, because it concerns two values at once. Fails with the values' names and the remedy;
prints nothing.
*/}}
{{- define "gpuwarden.checks" -}}
{{- include "gpuwarden.podChecks" . -}}
{{- $ports := .Values.ports -}}
{{- if eq (int $ports.webhook) (int $ports.ops) -}}
{{- fail (printf "ports.webhook, ports.ops: both are %d; set two different ports" (int $ports.ops)) -}}
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
{{- if and .Values.namespace.create (has .Release.Namespace (list "default" "kube-public" "kube-node-lease" "kube-system")) -}}
{{- fail (printf "namespace.create: the namespace %q belongs to the cluster, and would get labels of the chart; install into a separate namespace (--namespace), or set namespace.create=false" .Release.Namespace) -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.name: empty, and serviceAccount.create is false; name the existing ServiceAccount, or set serviceAccount.create=true" -}}
{{- end -}}
{{- if and (eq .Values.certificates.mode "provided") (not .Values.certificates.provided.secretName) -}}
{{- fail "certificates.provided.secretName: empty, and certificates.mode is provided; name the Secret that contains tls.crt, tls.key and ca.crt" -}}
{{- end -}}
{{- if and .Values.clientAuth.allowedCNs (not .Values.clientAuth.caSecret) -}}
{{- fail "clientAuth.caSecret: empty, and clientAuth.allowedCNs is set; name the Secret whose ca.crt contains the CAs of client certificates" -}}
{{- end -}}
{{- if eq .Values.certificates.mode "cert-manager" -}}
{{- $lifetimes := .Values.certificates.certManager -}}
{{- $start := toDate "2006" "2000" -}}
{{- $duration := sub (dateModify $lifetimes.duration $start | unixEpoch | int64) (unixEpoch $start | int64) -}}
{{- $renewBefore := sub (dateModify $lifetimes.renewBefore $start | unixEpoch | int64) (unixEpoch $start | int64) -}}
{{- if lt $duration 3600 -}}
{{- fail (printf "certificates.certManager.duration: cert-manager denies less than 1h, and it is %s; set 1h or more" $lifetimes.duration) -}}
{{- else if lt $renewBefore 300 -}}
{{- fail (printf "certificates.certManager.renewBefore: cert-manager denies less than 5m, and it is %s; set 5m or more" $lifetimes.renewBefore) -}}
{{- else if ge $renewBefore $duration -}}
{{- fail (printf "certificates.certManager.renewBefore: %s is not less than duration, %s, so the certificate would be renewed continuously; set a shorter time" $lifetimes.renewBefore $lifetimes.duration) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.recommend.report.enabled (not .Values.recommend.report.prometheus.url) -}}
{{- fail "recommend.report.prometheus.url: is empty; write the URL of Prometheus, such as http://prometheus-operated.monitoring:9090" -}}
{{- end -}}
{{- if and .Values.recommend.report.enabled .Values.serviceAccount.create (eq (include "gpuwarden.serviceAccountName" .) (include "gpuwarden.recommendName" .)) -}}
{{- fail (printf "serviceAccount.name: %s is the name of recommend's own ServiceAccount (recommend.report.enabled); choose another" .Values.serviceAccount.name) -}}
{{- end -}}
{{- if and .Values.audit.report.enabled .Values.serviceAccount.create (eq (include "gpuwarden.serviceAccountName" .) (include "gpuwarden.auditName" .)) -}}
{{- fail (printf "serviceAccount.name: %s is the name of the audit's own ServiceAccount (audit.report.enabled); choose another" .Values.serviceAccount.name) -}}
{{- end -}}
{{- if and .Release.IsUpgrade (ne .Values.install.mode "audit") (eq (include "gpuwarden.pathToken" .) "true") -}}
{{- $live := lookup "admissionregistration.k8s.io/v1" "ValidatingWebhookConfiguration" "" (include "gpuwarden.fullname" .) -}}
{{- if and $live (not (hasKey ($live.metadata.annotations | default dict) "gpuwarden.io/path-token")) -}}
{{- fail "pathToken.enabled: the running replicas do not support tokens, and would answer 404 until the last of them has stopped; upgrade with pathToken.enabled=false first, wait for the rollout, then upgrade again without it (docs/how-to/upgrade.md)" -}}
{{- end -}}
{{- end -}}
{{- $policies := .Values.config.policies -}}
{{- $builtIn := include "gpuwarden.policyValue" . -}}
{{- $profilePattern := include "gpuwarden.profilePattern" . -}}
{{- range $name := keys $policies | sortAlpha -}}
{{- if regexMatch $builtIn $name -}}
{{- fail (printf "config.policies.%s: %q is a built-in value; choose another name" $name $name) -}}
{{- end -}}
{{- $policy := get $policies $name -}}
{{- range $i, $form := $policy.forms -}}
{{- if kindIs "map" $form -}}
{{- range $key, $value := $form -}}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$" $value) -}}
{{- fail (printf "config.policies.%s.forms[%d].%s: %q can't be the name of an object; use lowercase letters, digits, \"-\" and \".\"" $name $i $key $value) -}}
{{- end -}}
{{- end -}}
{{- else if not (regexMatch $builtIn $form) -}}
{{- fail (printf "config.policies.%s.forms[%d]: %q is not a form; write one from docs/reference/policies.md, such as exclusive, mps or mig-1g.5gb" $name $i $form) -}}
{{- end -}}
{{- if and (kindIs "string" $form) (has $form (list "any" "none")) (gt (len $policy.forms) 1) -}}
{{- fail (printf "config.policies.%s.forms[%d]: %q can't be combined with other forms; remove it, or the others" $name $i $form) -}}
{{- end -}}
{{- end -}}
{{- if eq $policy.prefer "memory" -}}
{{- range $i, $form := $policy.forms -}}
{{- if not (and (kindIs "string" $form) (regexMatch (printf "^(gke-)?mig-%s$" $profilePattern) $form)) -}}
{{- fail (printf "config.policies.%s.prefer: memory selects MIG slices by their memory, and forms[%d] is not one; list only forms such as mig-1g.10gb, or remove prefer" $name $i) -}}
{{- end -}}
{{- if not (has (regexFind "[0-9]+g[.][0-9]+gb" $form) (include "gpuwarden.measuredProfiles" $ | splitList " ")) -}}
{{- fail (printf "config.policies.%s.prefer: memory can't select %q, because its memory is not measured on any GPU (docs/reference/forms.md); remove the form" $name $form) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (kindIs "map" (first $policy.forms)) (eq $policy.mismatch "rewrite") -}}
{{- fail (printf "config.policies.%s.mismatch: \"rewrite\" changes other requests to the first form, which can't be a claim; list a form by name first, or remove mismatch" $name) -}}
{{- end -}}
{{- if and (gt (int $policy.maxPerContainer) 1) (regexMatch "^(,gke-([a-z0-9.-]+-)?time-sharing-[0-9]+)+$" (printf ",%s" (join "," $policy.forms))) -}}
{{- fail (printf "config.policies.%s.maxPerContainer: GKE denies more than 1 GPU per container for time-sharing, and it is %d; remove it" $name (int $policy.maxPerContainer)) -}}
{{- end -}}
{{- if and (eq (join "," $policy.forms) "any") (not $policy.maxPerContainer) -}}
{{- range $key, $value := $policy.nodeSelector -}}
{{- $strategy := and (eq $key "nvidia.com/gpu.sharing-strategy") (has $value (list "time-slicing" "mps")) -}}
{{- $product := and (eq $key "nvidia.com/gpu.product") (hasSuffix "-SHARED" $value) -}}
{{- if or $strategy $product (has $key (list "cloud.google.com/gke-gpu-sharing-strategy" "cloud.google.com/gke-max-shared-clients-per-gpu")) -}}
{{- fail (printf "config.policies.%s.nodeSelector[%s]: %q selects nodes that share GPUs, where a request above 1 is denied, and forms: [any] permits whole GPUs; list the shared form in forms, remove the label, or set maxPerContainer" $name $key $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $kinds := dict -}}
{{- range $i, $row := .Values.config.workloadKinds -}}
{{- range $field := list "kind" "plural" -}}
{{- $name := printf "%s %s" $row.group (get $row $field) -}}
{{- if hasKey $kinds $name -}}
{{- fail (printf "config.workloadKinds[%d].%s: %q of %s is also that of config.workloadKinds[%d]; remove one of the rows, or correct its name" $i $field (get $row $field) $row.group (int (get $kinds $name))) -}}
{{- end -}}
{{- $_ := set $kinds $name $i -}}
{{- end -}}
{{- range $j, $template := $row.templates -}}
{{- range $k, $count := $template.replicas -}}
{{- if not (hasPrefix (regexFind "^.*[]}]" $count) $template.path) -}}
{{- fail (printf "config.workloadKinds[%d].templates[%d].replicas[%d]: %q does not count the pods of %q: up to the last wildcard, both must be the same" $i $j $k $count $template.path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $plugin := .Values.config.devicePlugin -}}
{{- $single := eq $plugin.migStrategy "single" -}}
{{- if and $plugin.products (not $single) -}}
{{- fail "config.devicePlugin.products: used with migStrategy: single only; remove it, or set config.devicePlugin.migStrategy as on the nodes" -}}
{{- end -}}
{{- range $i, $product := $plugin.products -}}
{{- if regexMatch "(?i)-mig-|-shared$" $product -}}
{{- fail (printf "config.devicePlugin.products[%d]: %q names one form of a model; write the model alone, without -MIG-… and -SHARED" $i $product) -}}
{{- end -}}
{{- end -}}
{{- if $single -}}
{{- $named := dict -}}
{{- range $mode, $value := .Values.config.defaults -}}
{{- $_ := set $named (printf "defaults.%s" $mode) $value -}}
{{- end -}}
{{- range $name, $policy := $policies -}}
{{- range $i, $form := $policy.forms -}}
{{- if kindIs "string" $form -}}
{{- $_ := set $named (printf "policies.%s.forms[%d]" $name $i) $form -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $where, $form := $named -}}
{{- $profile := regexMatch $builtIn $form | ternary (regexFind "^mig-[0-9]+g[.][0-9]+gb" $form | trimPrefix "mig-") "" -}}
{{- $having := list -}}
{{- range $product := $plugin.products -}}
{{- if not (include "gpuwarden.lacks" (list $product $profile)) -}}
{{- $having = append $having $product -}}
{{- end -}}
{{- end -}}
{{- if and $profile $plugin.products (empty $having) -}}
{{- fail (printf "config.%s: %q has no nodes with migStrategy: single: no model in config.devicePlugin.products has MIG profile %s; use a profile of a listed model, or add the model that has it" $where $form $profile) -}}
{{- end -}}
{{- if and (not $plugin.products) $profile (ne (regexFind (printf "^mig-%s" $profilePattern) $form) (printf "mig-%s" $profile)) -}}
{{- fail (printf "config.%s: %q needs config.devicePlugin.products with migStrategy: single; only product names distinguish these slices from others of their size" $where $form) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- /* As in webhook/adapters/configuration/file.py: no node of the form has this value of the label. */ -}}
{{- range $name, $policy := $policies -}}
{{- range $form := without (include "gpuwarden.formsByName" $policy | fromJsonArray) "any" "none" -}}
{{- $labels := include "gpuwarden.labelsOfForm" (list $form $plugin) | fromJson -}}
{{- range $key, $value := $policy.nodeSelector | default dict -}}
{{- $known := get $labels $key | default dict -}}
{{- if or (and (hasKey $known "in") (not (has $value $known.in))) (has $value ($known.not | default list)) -}}
{{- fail (printf "config.policies.%s.nodeSelector[%s]: %q is not on nodes with form %q; remove it, or list only forms that have it" $name $key $value $form) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- /* As Names.why_not in webhook/engine/products.py: no node of the form is known to have the product. */ -}}
{{- range $name, $policy := $policies -}}
{{- $product := get ($policy.nodeSelector | default dict) "nvidia.com/gpu.product" -}}
{{- $model := regexReplaceAll (printf "(-MIG-(%s|INVALID))?(-SHARED)?$" $profilePattern) $product "" -}}
{{- range $form := without (empty $product | ternary (list) (include "gpuwarden.formsByName" $policy | fromJsonArray)) "any" "none" -}}
{{- $profile := regexFind (printf "mig-%s" $profilePattern) $form | trimPrefix "mig-" -}}
{{- $of := and $single (hasPrefix "mig-" $form) -}}
{{- $isShared := regexMatch "(shared|time-slicing|mps|time-sharing-[0-9]+|mps-[0-9]+)$" $form -}}
{{- $suffix := trimPrefix $model $product -}}
{{- $named := $suffix | trimPrefix "-MIG-" | trimSuffix "-SHARED" -}}
{{- $names := hasSuffix "-SHARED" $suffix -}}
{{- $partition := $of | ternary ($form | trimPrefix "mig-" | trimSuffix "-shared" | printf "-MIG-%s") "" -}}
{{- $shares := and (not $plugin.renameByDefault) (or (has $form (list "shared" "time-slicing" "mps")) (and $of (hasSuffix "-shared" $form))) -}}
{{- $written := printf "%s%s%s" $model $partition ($shares | ternary "-SHARED" "") -}}
{{- $why := "" -}}
{{- if regexMatch "-MIG-INVALID(-SHARED)?$" $product -}}
{{- $why = "nodes with an invalid MIG configuration have it, and offer no GPU; write the model alone" -}}
{{- else if or (contains "-MIG-" $model) (and (regexMatch "(?i)-mig-|-shared$" $model) (ne $written $product)) -}}
{{- $why = "only -MIG-<profile> and -SHARED may follow a model; write the model alone" -}}
{{- else if and $suffix (or (ne $named $profile) (and $names (not $isShared)) (and $shares (not $names))) -}}
{{- $why = "it is the label of nodes with another form; write the model alone" -}}
{{- else if include "gpuwarden.lacks" (list $model $profile) -}}
{{- $why = printf "%s has no MIG profile %s (it has %s); write another product" $model $profile (include "gpuwarden.lacks" (list $model $profile)) -}}
{{- else if and $of (not (has $model $plugin.products)) -}}
{{- $why = printf "config.devicePlugin.products does not list %s; add it if nodes of this model have MIG" $model -}}
{{- else if gt (len $written) 63 -}}
{{- $why = printf "the label of such nodes would be %s, and a label value has at most 63 characters; write another product" $written -}}
{{- end -}}
{{- if $why -}}
{{- fail (printf "config.policies.%s.nodeSelector[nvidia.com/gpu.product]: %q is not a product of nodes with form %q: %s, or remove it" $name $product $form $why) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $resources := .Values.config.resources -}}
{{- range $list := list "gpus" "notGPUs" -}}
{{- range $i, $name := get $resources $list -}}
{{- if regexMatch (printf "^nvidia[.]com/(gpu|mig-%s)([.]shared)?$" $profilePattern) $name -}}
{{- fail (printf "config.resources.%s[%d]: %q is a form, which policies permit or not; remove it" $list $i $name) -}}
{{- end -}}
{{- if and (eq $list "gpus") (has $name (get $resources "notGPUs")) -}}
{{- fail (printf "config.resources: %s is in both gpus and notGPUs; remove it from one of them" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $class, $form := .Values.config.claims.deviceClasses -}}
{{- if or (has $form (list "any" "none")) (not (or (eq $form "mig") (regexMatch $builtIn $form))) -}}
{{- fail (printf "config.claims.deviceClasses.%s: %q is not a form; write one such as exclusive or mig-1g.5gb, or mig for slices whose profile is in the claim" $class $form) -}}
{{- end -}}
{{- end -}}
{{- range $mode, $value := .Values.config.defaults -}}
{{- if not (or (hasKey $policies $value) (regexMatch $builtIn $value)) -}}
{{- fail (printf "config.defaults.%s: %q is not a policy; write a built-in value (docs/reference/policies.md) or a name from config.policies%s" $mode $value (empty $policies | ternary "" (printf " (%s)" (keys $policies | sortAlpha | join ", ")))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
