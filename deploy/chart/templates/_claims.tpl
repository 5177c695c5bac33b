{{/*
CEL: whether the DeviceClass `name` may hand out GPUs. It is wider than DeviceClasses.provides_gpus of
webhook/engine/device_classes.py, never narrower (tests/deploy/test_claim_conditions.py), for every class that has no
extendedResourceName of a GPU: classes that are known to be something else are left out, unless the configuration says otherwise.
Takes the root.
*/}}
{{- define "gpuwarden.mayBeGpuClass" -}}
{{- $implicit := "deviceclass.resource.kubernetes.io/" -}}
{{- $known := include "gpuwarden.otherClasses" . | splitList " " -}}
{{- range dig "resources" "notGPUs" list .Values.config | default list -}}
{{- if hasPrefix $implicit . -}}{{- $known = append $known (trimPrefix $implicit .) -}}{{- end -}}
{{- end -}}
{{- $gpus := concat (list "gpu.nvidia.com" "mig.nvidia.com") (keys (dig "claims" "deviceClasses" dict .Values.config | default dict) | sortAlpha) -}}
{{- range dig "resources" "gpus" list .Values.config | default list -}}
{{- if hasPrefix $implicit . -}}{{- $gpus = append $gpus (trimPrefix $implicit .) -}}{{- end -}}
{{- end -}}
{{ include "gpuwarden.nameFits" $gpus }} ||
!({{ include "gpuwarden.nameFits" $known }})
{{- end -}}

{{/* CEL: whether `name` is in a list, or has a prefix from it that ends in "*". Names contain no quotes. */}}
{{- define "gpuwarden.nameFits" -}}
{{- $tests := list -}}
{{- range . | uniq -}}
{{- $tests = append $tests (ternary (printf "name.startsWith('%s')" (trimSuffix "*" .)) (printf "name == '%s'" .) (hasSuffix "*" .)) -}}
{{- end -}}
{{- join " || " $tests -}}
{{- end -}}

{{/*
The webhook that is called for ResourceClaims and ResourceClaimTemplates (DRA) for what may be GPUs, when they are created, and when
an update gives a claim to a pod. Their specs can't change. Deletion, and the claims that Kubernetes makes for pods never wait for
gpuwarden, and status updates only where policies have limits (gpuwarden.reservations). CONTROLLERS of
webhook/application/claim_admission.py are the users that create these claims. Those that they make for PodGroups are sent.
*/}}
{{- define "gpuwarden.claims" -}}
{{- $exempt := .Values.config.exemptions -}}
{{- $controllers := list "system:kube-controller-manager" "system:kube-scheduler" "system:serviceaccount:kube-system:resource-claim-controller" -}}
- name: validate-claim.gpuwarden.io
  {{- include "gpuwarden.webhook" (dict "root" $ "path" "/validate-claim") | nindent 2 }}
  # The API server ignores versions that it does not serve.
  rules:
    - apiGroups: [resource.k8s.io]
      apiVersions: [v1, v1beta2, v1beta1, v1alpha3]
      operations: [CREATE, UPDATE]
      resources: [resourceclaims, resourceclaimtemplates]
      scope: Namespaced
  matchConditions:
    - name: not-exempt
      expression: >-
        !(request.userInfo.username in {{ $exempt.usernames | default list | toJson }}) &&
        !(request.userInfo.username in {{ $controllers | toJson }} && !(has(object.metadata.ownerReferences) &&
        object.metadata.ownerReferences.exists(owner, has(owner.controller) && owner.controller && owner.kind != 'Pod'))) &&
        !(request.namespace in {{ $exempt.namespaces | default list | toJson }})
    - name: is-new-or-given-to-a-pod
      expression: >-
        request.operation == 'CREATE' || (!has(object.metadata.deletionTimestamp) &&
        has(object.metadata.ownerReferences) && has(object.metadata.annotations) &&
        [['resource.kubernetes.io/pod-claim-name', 'resource.kubernetes.io/extended-resource-claim'].filter(key,
        key in object.metadata.annotations)].exists(keys, size(keys) > 0 && (
        keys.exists(key, !(has(oldObject.metadata.annotations) && key in oldObject.metadata.annotations &&
        oldObject.metadata.annotations[key] == object.metadata.annotations[key])) ||
        object.metadata.ownerReferences.exists(owner, has(owner.controller) && owner.controller &&
        !(has(oldObject.metadata.ownerReferences) && oldObject.metadata.ownerReferences.exists(had,
        had.uid == owner.uid && has(had.controller) && had.controller))))))
    {{- include "gpuwarden.claimsWhatMayBeGpus" . | nindent 4 }}
  # Like validate.gpuwarden.io: replacing a claim must not change what was decided about its pods.
  failurePolicy: {{ eq .Values.install.mode "audit" | ternary "Ignore" "Fail" }}
  timeoutSeconds: {{ .Values.webhooks.validate.timeoutSeconds }}
{{- end -}}

{{/* The matchCondition for ResourceClaims and ResourceClaimTemplates that may request GPUs. */}}
{{- define "gpuwarden.claimsWhatMayBeGpus" -}}
- name: claims-what-may-be-gpus
  expression: >-
    [has(object.spec.spec) ? object.spec.spec : object.spec].exists(spec,
    has(spec.devices) && has(spec.devices.requests) && spec.devices.requests.exists(one,
    (has(one.firstAvailable) && size(one.firstAvailable) > 0 ? one.firstAvailable :
    [has(one.exactly) ? one.exactly : one]).map(each, has(each.deviceClassName) ? each.deviceClassName : '').exists(name,
    {{- include "gpuwarden.mayBeGpuClass" . | nindent 4 }})))
{{- end -}}

{{/*
JSON: the namespaces whose policy has limits (maxPerContainer, maxPerPod), as Policy.has_limits of webhook/engine/policy.py has it; no
built-in policy does. `policies`: the policies that have. `namespaces`: the requirements that select the namespaces; without any
where those without the label are among them, because the values of the others can't be listed.
*/}}
{{- define "gpuwarden.limits" -}}
{{- $limited := list -}}
{{- range $name, $policy := .Values.config.policies -}}
{{- if or (not (empty $policy.maxPerContainer)) (not (empty $policy.maxPerPod)) -}}
{{- $limited = append $limited $name -}}
{{- end -}}
{{- end -}}
{{- $requirement := dict "key" "gpuwarden.io/enforce" "operator" "In" "values" (sortAlpha $limited) -}}
{{- $namespaces := has .Values.config.defaults.enforce $limited | ternary list (list $requirement) -}}
{{- dict "policies" (sortAlpha $limited) "namespaces" $namespaces | toJson -}}
{{- end -}}

{{/*
The webhook that is called when the status of a claim for what may be GPUs gives it to a pod, in namespaces whose policy has limits:
all claims of a pending pod may have been replaced by then. It is usually the scheduler that writes it, so no user is exempt.
*/}}
{{- define "gpuwarden.reservations" -}}
{{- $limits := include "gpuwarden.limits" . | fromJson -}}
{{- if $limits.policies }}
- name: validate-reservation.gpuwarden.io
  {{- include "gpuwarden.webhook" (dict "root" $ "path" "/validate-claim" "namespaces" $limits.namespaces) | nindent 2 }}
  rules:
    - apiGroups: [resource.k8s.io]
      apiVersions: [v1, v1beta2, v1beta1, v1alpha3]
      operations: [UPDATE]
      resources: [resourceclaims/status]
      scope: Namespaced
  matchConditions:
    - name: not-exempt
      expression: >-
        !(request.namespace in {{ .Values.config.exemptions.namespaces | default list | toJson }})
    - name: is-given-to-a-pod
      expression: >-
        has(object.status) && has(object.status.reservedFor) &&
        [has(oldObject.status) && has(oldObject.status.reservedFor) ? oldObject.status.reservedFor.map(had, had.uid) :
        []].exists(had, object.status.reservedFor.exists(one, !(one.uid in had)))
    {{- include "gpuwarden.claimsWhatMayBeGpus" . | nindent 4 }}
  # Like validate.gpuwarden.io: the claims of a pod must not exceed what was decided.
  failurePolicy: {{ eq .Values.install.mode "audit" | ternary "Ignore" "Fail" }}
  timeoutSeconds: {{ .Values.webhooks.validate.timeoutSeconds }}
{{- end }}
{{- end -}}
