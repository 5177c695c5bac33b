{{/*
In the API server itself (docs/reference/in-tree.md): admission policies as `gpuwarden compile --chart` wrote them, and what is
left to the webhooks. What a policy becomes in CEL is in the compiled value, never here; here is what only Helm knows.
*/}}

{{/* A digest of the values that the admission policies depend on. `gpuwarden compile --chart` reads it from the ConfigMap. */}}
{{- define "gpuwarden.inTreeDigest" -}}
{{- $config := pick .Values.config "devicePlugin" "gke" "defaults" "policies" "resources" -}}
{{- with .Values.config.visibleDevices }}{{ $config = set $config "visibleDevices" . }}{{ end -}}
{{- with .Values.config.notOffered }}{{ $config = set $config "notOffered" . }}{{ end -}}
{{- toJson $config | sha256sum -}}
{{- end -}}

{{/* Whether admission policies are installed ("true"). In audit mode there are none, because they can't report. */}}
{{- define "gpuwarden.inTreeEnabled" -}}
{{- and (or .Values.inTree.enabled .Values.inTree.only) (ne .Values.install.mode "audit") -}}
{{- end -}}

{{/* The compiled policies, as JSON; none if they are not enabled. */}}
{{- define "gpuwarden.inTree" -}}
{{- $made := dict "policies" list -}}
{{- if eq (include "gpuwarden.inTreeEnabled" .) "true" -}}
{{- $made = .Values.inTree.compiled -}}
{{- if not $made -}}{{- $made = (.Files.Get "in-tree.yaml" | fromYaml).inTree.compiled -}}{{- end -}}
{{- if ne (get $made "configuration") (include "gpuwarden.inTreeDigest" .) -}}
{{- $which := empty .Values.inTree.compiled | not | ternary "inTree.compiled: it was compiled for another config" "inTree: the chart has only the policies of the default config" -}}
{{- fail (printf "%s; run: helm template %s CHART --namespace %s -f VALUES --set inTree=null -s templates/configmap.yaml | gpuwarden compile --chart - > in-tree.yaml, and add -f in-tree.yaml (docs/how-to/in-tree.md)" $which .Release.Name .Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- toJson $made -}}
{{- end -}}

{{/* Fails for values that can't be combined. */}}
{{- define "gpuwarden.inTreeChecks" -}}
{{- $in := .Values.inTree -}}
{{- $named := $in.only | ternary "inTree.only" "inTree.enabled" -}}
{{- if and (or $in.enabled $in.only) (not (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version)) -}}
{{- fail (printf "%s: MutatingAdmissionPolicy is stable from Kubernetes 1.36 on, and this is %s; update the cluster, or set %s=false" $named .Capabilities.KubeVersion.Version $named) -}}
{{- end -}}
{{- if and $in.only (eq .Values.install.mode "audit") -}}
{{- fail "inTree.only: install.mode is audit, and the API server alone can't report what would happen; set install.mode=enforce, or inTree.only=false" -}}
{{- end -}}
{{- if and $in.denyOthers (not $in.only) -}}
{{- fail "inTree.denyOthers: the webhooks decide all other pods; remove it, or set inTree.only=true" -}}
{{- end -}}
{{- if and $in.only (not (include "gpuwarden.inTree" . | fromJson).policies) -}}
{{- fail "inTree.only: none of the configuration's policies can be expressed in CEL, so no policy would apply; run gpuwarden compile to see why, or set inTree.only=false" -}}
{{- end -}}
{{- end -}}

{{/* Strings as a CEL list, in the format of webhook/engine/cel.py. */}}
{{- define "gpuwarden.celList" -}}
{{- $quoted := list -}}
{{- range . | uniq | sortAlpha -}}
{{- $quoted = append $quoted (regexMatch `['\\]` . | ternary (toRawJson .) (printf "'%s'" .)) -}}
{{- end -}}
[{{ join ", " $quoted }}]
{{- end -}}

{{/* CEL: whether a pod is not exempt, as not_exempt in webhook/application/in_tree_compiler.py. */}}
{{- define "gpuwarden.inTreeNotExempt" -}}
{{- $exempt := .Values.config.exemptions -}}
{{- $tests := list -}}
{{- with $exempt.usernames -}}
{{- $tests = append $tests (printf "!(request.userInfo.username in %s)" (include "gpuwarden.celList" .)) -}}
{{- end -}}
{{- with $exempt.runtimeClasses -}}
{{- $tests = append $tests (printf "!(has(object.spec.runtimeClassName) && object.spec.runtimeClassName in %s)" (include "gpuwarden.celList" .)) -}}
{{- end -}}
{{- with without ($exempt.schedulers | default list) "default-scheduler" -}}
{{- $tests = append $tests (printf "!(has(object.spec.schedulerName) && object.spec.schedulerName in %s && (!has(object.spec.nodeName) || object.spec.nodeName == ''))" (include "gpuwarden.celList" .)) -}}
{{- end -}}
{{- join " &&\n" $tests | default "true" -}}
{{- end -}}

{{/*
The namespaces that a policy decides, as JSON: requirements by the suffix of the binding's name. Namespaces with a label for
warnings or records are the webhooks', unless there are none. Takes (dict "root" $ "policy" name).
*/}}
{{- define "gpuwarden.inTreeSelectors" -}}
{{- $rest := list -}}
{{- if not .root.Values.inTree.only -}}
{{- range list "warn" "audit" -}}
{{- $rest = append $rest (dict "key" (printf "gpuwarden.io/%s" .) "operator" "DoesNotExist") -}}
{{- end -}}
{{- end -}}
{{- $values := .root.Values -}}
{{- $names := concat ($values.config.exemptions.namespaces | default list) $values.webhooks.excludedNamespaces (list .root.Release.Namespace "kube-system") -}}
{{- $rest = append $rest (dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" ($names | uniq | sortAlpha)) -}}
{{- $selectors := dict "" (prepend $rest (dict "key" "gpuwarden.io/enforce" "operator" "In" "values" (list .policy))) -}}
{{- if eq .policy $values.config.defaults.enforce -}}
{{- $_ := set $selectors "-unlabelled" (prepend $rest (dict "key" "gpuwarden.io/enforce" "operator" "DoesNotExist")) -}}
{{- end -}}
{{- toJson $selectors -}}
{{- end -}}

{{/*
The admission policies and bindings of one policy, as a JSON list of {kind, name, spec}. Takes (dict "root" $ "made" one of the
compiled policies).
*/}}
{{- define "gpuwarden.inTreeObjects" -}}
{{- $root := .root -}}
{{- $made := .made -}}
{{- $objects := list -}}
{{- $selectors := include "gpuwarden.inTreeSelectors" (dict "root" $root "policy" $made.policy) | fromJson -}}
{{- $exempt := include "gpuwarden.inTreeNotExempt" $root -}}
{{- $kinds := list "mutating" "validating" -}}
{{- /* Webhooks that are called for every pod warn themselves. */ -}}
{{- if or $root.Values.inTree.only (ne $root.Values.inTree.webhooks "all") }}{{ $kinds = append $kinds "warns" }}{{ end -}}
{{- if $root.Values.inTree.denyOthers }}{{ $kinds = append $kinds "others" }}{{ end -}}
{{- range $which := $kinds -}}
{{- with get $made $which -}}
{{- $kind := eq $which "mutating" | ternary "MutatingAdmissionPolicy" "ValidatingAdmissionPolicy" -}}
{{- $name := has $which (list "warns" "others") | ternary (printf "%s.%s" $made.name $which) $made.name -}}
{{- $last := last .matchConditions -}}
{{- if ne $exempt "true" -}}
{{- $last = dict "name" $last.name "expression" (printf "(%s) &&\n(%s)" $last.expression $exempt) -}}
{{- end -}}
{{- $conditions := append (initial .matchConditions) $last -}}
{{- $objects = append $objects (dict "kind" $kind "name" $name "spec" (merge (dict "matchConditions" $conditions) .)) -}}
{{- range $suffix, $expressions := $selectors -}}
{{- $spec := dict "policyName" $name "matchResources" (dict "namespaceSelector" (dict "matchExpressions" $expressions)) -}}
{{- if ne $which "mutating" }}{{ $_ := set $spec "validationActions" (list (eq $which "warns" | ternary "Warn" "Deny")) }}{{ end -}}
{{- $objects = append $objects (dict "kind" (printf "%sBinding" $kind) "name" (printf "%s%s" $name $suffix) "spec" $spec) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $objects -}}
{{- end -}}

{{/* The labels of one policy's objects. They are the same with and without webhooks, so that a switch replaces the objects. */}}
{{- define "gpuwarden.inTreeObjectsDigest" -}}
{{- $values := .root.Values -}}
{{- $names := list $values.config.exemptions.namespaces $values.webhooks.excludedNamespaces (eq .made.policy $values.config.defaults.enforce) -}}
{{- list .made (include "gpuwarden.inTreeNotExempt" .root) $names | toJson | sha256sum | trunc 16 -}}
{{- end -}}

{{/*
The policies whose common case the webhooks leave out, as a JSON list. With inTree.webhooks auto: those whose objects are in the
cluster as they are rendered now, so the API server applies them, if the parts of the webhooks are trusted already, or no
webhook exists yet. Helm writes webhook configurations before admission policies, and the API server reads policies again every
second: in one step, pods would be decided by neither.
*/}}
{{- define "gpuwarden.inTreeLeftOut" -}}
{{- $root := . -}}
{{- $how := .Values.inTree.webhooks -}}
{{- $names := list -}}
{{- $live := lookup "admissionregistration.k8s.io/v1" "ValidatingWebhookConfiguration" "" (include "gpuwarden.fullname" .) -}}
{{- $trusted := list -}}
{{- range ($live | default dict).webhooks -}}
{{- if .clientConfig.caBundle }}{{ $trusted = append $trusted .name }}{{ end -}}
{{- end -}}
{{- $silent := list -}}
{{- range $made := (include "gpuwarden.inTree" . | fromJson).policies -}}
{{- $acts := eq $how "rest" -}}
{{- $part := printf "%s.validate.gpuwarden.io" ($made.name | trimPrefix "gpuwarden-") -}}
{{- if and (eq $how "auto") (or (not $live) (has $part $trusted)) -}}
{{- $objects := include "gpuwarden.inTreeObjects" (dict "root" $root "made" $made) | fromJsonArray -}}
{{- $digest := include "gpuwarden.inTreeObjectsDigest" (dict "root" $root "made" $made) -}}
{{- $acts = true -}}
{{- if not $objects }}{{ $acts = false }}{{ $silent = append $silent $made.policy }}{{ end -}}
{{- range $objects -}}
{{- $found := lookup "admissionregistration.k8s.io/v1" .kind "" .name -}}
{{- if ne (dig "metadata" "annotations" "gpuwarden.io/compiled" "" ($found | default dict)) $digest }}{{ $acts = false }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $acts }}{{ $names = append $names $made.policy }}{{ end -}}
{{- end -}}
{{- /* A policy such as any has no objects, because its common case is not changed or denied. */ -}}
{{- if or $live $names }}{{ $names = concat $names $silent }}{{ end -}}
{{- toJson $names -}}
{{- end -}}

{{/*
A webhook, as a list: with admission policies, in parts that differ in the namespaces that they select, as
webhook/application/in_tree_webhooks.py. A part that is not called yet exists already, so that its CA bundle is set before it is called.
Takes (dict "root" $ "webhook" the YAML of one webhook).
*/}}
{{- define "gpuwarden.inParts" -}}
{{- $policies := (include "gpuwarden.inTree" .root | fromJson).policies -}}
{{- if not $policies -}}
{{ .webhook }}
{{- else -}}
{{- $webhook := .webhook | fromYamlArray | first -}}
{{- $default := .root.Values.config.defaults.enforce -}}
{{- $leftOut := include "gpuwarden.inTreeLeftOut" .root | fromJsonArray -}}
{{- $enforce := "gpuwarden.io/enforce" -}}
{{- $noWarn := dict "key" "gpuwarden.io/warn" "operator" "DoesNotExist" -}}
{{- $noAudit := dict "key" "gpuwarden.io/audit" "operator" "DoesNotExist" -}}
{{- $never := dict "name" "not-called-yet" "expression" "false" -}}
{{- $base := list -}}
{{- if $leftOut -}}
{{- $base = list (dict "key" $enforce "operator" "NotIn" "values" ($leftOut | sortAlpha)) -}}
{{- if has $default $leftOut }}{{ $base = append $base (dict "key" $enforce "operator" "Exists") }}{{ end -}}
{{- $base = append (append $base $noWarn) $noAudit -}}
{{- end -}}
{{- $parts := list (dict "selects" $base) -}}
{{- $condition := empty $leftOut | ternary $never (dict) -}}
{{- $parts = append $parts (dict "name" "warn.others." "selects" (list (dict "key" "gpuwarden.io/warn" "operator" "Exists")) "condition" $condition) -}}
{{- $parts = append $parts (dict "name" "audit.others." "selects" (list $noWarn (dict "key" "gpuwarden.io/audit" "operator" "Exists")) "condition" $condition) -}}
{{- range $policies -}}
{{- $name := .name | trimPrefix "gpuwarden-" -}}
{{- $condition = has .policy $leftOut | ternary (dict "name" "not-the-common-case" "expression" (printf "request.operation != 'CREATE' ||\n!(%s)" .commonCase)) $never -}}
{{- $parts = append $parts (dict "name" (printf "%s." $name) "selects" (list (dict "key" $enforce "operator" "In" "values" (list .policy)) $noWarn $noAudit) "condition" $condition) -}}
{{- if eq .policy $default -}}
{{- $parts = append $parts (dict "name" (printf "%s-unlabelled." $name) "selects" (list (dict "key" $enforce "operator" "DoesNotExist") $noWarn $noAudit) "condition" $condition) -}}
{{- end -}}
{{- end -}}
{{- $written := list -}}
{{- range $parts -}}
{{- $part := deepCopy $webhook -}}
{{- $_ := set $part "name" (printf "%s%s" (.name | default "") $webhook.name) -}}
{{- $_ := set $part.namespaceSelector "matchExpressions" (concat $webhook.namespaceSelector.matchExpressions .selects) -}}
{{- with .condition -}}
{{- $_ := set $part "matchConditions" (append $webhook.matchConditions .) -}}
{{- end -}}
{{- $written = append $written $part -}}
{{- end -}}
{{ toYaml $written }}
{{- end -}}
{{- end -}}
