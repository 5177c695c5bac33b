{{/*
CEL: whether the DeviceClass `name` may hand out GPUs. It is wider than DeviceClasses.hands_out_gpus of
webhook/engine/device_classes.py, never narrower (tests/deploy/test_claim_conditions.py), for every class that has no
extendedResourceName of a GPU: classes that are known to be something else are left out, unless the configuration says otherwise.
Takes the root.
*/}}
{{- define "gpuwarden.mayBeGpuClass" -}}
{{- $implicit := "deviceclass.resource.kubernetes.io/" -}}
{{- $known := list "dra.cpu*" "cpu*" "dra.net*" "dranet*" "rdma*" "sriov*" "compute-domain-*" -}}
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

{{/* CEL: whether `name` is one of a list, or begins as one that ends in "*" does. Names have no quotes in them. */}}
{{- define "gpuwarden.nameFits" -}}
{{- $tests := list -}}
{{- range . | uniq -}}
{{- $tests = append $tests (ternary (printf "name.startsWith('%s')" (trimSuffix "*" .)) (printf "name == '%s'" .) (hasSuffix "*" .)) -}}
{{- end -}}
{{- join " || " $tests -}}
{{- end -}}

{{/*
The webhook that is asked about ResourceClaims and ResourceClaimTemplates (DRA) for what may be GPUs, when they are created, and when
an update gives a claim to a pod. Their specs can't change. Status updates, deletion, and the claims that Kubernetes makes for
pods never wait for gpuwarden: CONTROLLERS of webhook/application/claim_admission.py are the users that make these.
*/}}
{{- define "gpuwarden.claims" -}}
{{- $exempt := .Values.config.exemptions -}}
{{- $controllers := list "system:kube-controller-manager" "system:kube-scheduler" "system:serviceaccount:kube-system:resource-claim-controller" -}}
- name: validate-claim.gpuwarden.io
  {{- include "gpuwarden.webhook" (dict "root" $ "path" "/validate-claim") | nindent 2 }}
  # The API server ignores versions that it does not have.
  rules:
    - apiGroups: [resource.k8s.io]
      apiVersions: [v1, v1beta2, v1beta1, v1alpha3]
      operations: [CREATE, UPDATE]
      resources: [resourceclaims, resourceclaimtemplates]
      scope: Namespaced
  matchConditions:
    - name: not-exempt
      expression: >-
        !(request.userInfo.username in {{ concat $controllers ($exempt.usernames | default list) | uniq | toJson }}) &&
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
    - name: claims-what-may-be-gpus
      expression: >-
        [has(object.spec.spec) ? object.spec.spec : object.spec].exists(spec,
        has(spec.devices) && has(spec.devices.requests) && spec.devices.requests.exists(one,
        (has(one.firstAvailable) && size(one.firstAvailable) > 0 ? one.firstAvailable :
        [has(one.exactly) ? one.exactly : one]).map(each, has(each.deviceClassName) ? each.deviceClassName : '').exists(name,
        {{- include "gpuwarden.mayBeGpuClass" . | nindent 8 }})))
  # As validate.gpuwarden.io: a claim that is replaced must not change what was decided on its pods.
  failurePolicy: {{ eq .Values.install.mode "audit" | ternary "Ignore" "Fail" }}
  timeoutSeconds: {{ .Values.webhooks.validate.timeoutSeconds }}
{{- end -}}
