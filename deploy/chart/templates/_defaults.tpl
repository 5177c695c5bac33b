{{/* Written by `make manifests` from values.yaml and values.schema.json; edit those and hack/chart_defaults.py, not this. */}}

{{/*
Sets every value that is missing, as after `helm upgrade --reuse-values` from a chart that did not have it yet. Every
template of objects calls it first; it prints nothing.
*/}}
{{- define "gpuwarden.defaults" -}}
{{- include "gpuwarden.fill" (dict "values" .Values "defaults" (include "gpuwarden.defaultValues" . | fromYaml)) -}}
{{- range $key, $default := include "gpuwarden.wholeDefaults" . | fromYaml -}}
{{- if not (get $.Values $key) -}}
{{- $_ := set $.Values $key $default -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Sprig's merge would replace false, 0 and "". Takes (dict "values" map "defaults" map). */}}
{{- define "gpuwarden.fill" -}}
{{- $values := .values -}}
{{- range $key, $default := .defaults -}}
{{- $value := get $values $key -}}
{{- if or (not (hasKey $values $key)) (kindIs "invalid" $value) -}}
{{- $_ := set $values $key $default -}}
{{- else if and (kindIs "map" $default) (kindIs "map" $value) -}}
{{- include "gpuwarden.fill" (dict "values" $value "defaults" $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes' own objects whose defaults matter: all of one, or the part that the user kept. */}}
{{- define "gpuwarden.wholeDefaults" -}}
podSecurityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
containerSecurityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop:
    - ALL
{{- end -}}

{{- define "gpuwarden.defaultValues" -}}
install:
  mode: enforce
config:
  workloadKinds: []
  fleet:
    expected: []
  devicePlugin:
    renameByDefault: true
    migStrategy: mixed
    products: []
  gke:
    autopilot: false
  defaults:
    enforce: any
    warn: any
    audit: any
  policies: {}
  exemptions:
    namespaces:
    - gpu-operator
    - kube-system
    usernames: []
    runtimeClasses: []
    schedulers:
    - hami-scheduler
    - kai-scheduler
  resources:
    gpus: []
    notGPUs: []
  claims:
    deviceClasses: {}
nodes:
  watch: true
  countPods: true
  selectors: []
certificates:
  mode: self-managed
  certManager:
    issuerRef: {}
    duration: 2160h
    renewBefore: 720h
  provided:
    secretName: ''
clientAuth:
  caSecret: ''
  allowedCNs: []
pathToken:
  enabled: true
webhooks:
  mutate:
    timeoutSeconds: 2
    configurationName: ''
  validate:
    timeoutSeconds: 3
  guard:
    enabled: true
    failurePolicy: ''
    openNamespaces:
    - calico-system
    - cilium
    - kube-flannel
    - longhorn-system
    - metallb-system
    - openshift-cluster-csi-drivers
    - openshift-dns
    - openshift-multus
    - openshift-ovn-kubernetes
    - rook-ceph
    - tigera-operator
    timeoutSeconds: 2
  advise:
    timeoutSeconds: 2
    operators: true
  validateNamespace:
    timeoutSeconds: 5
  excludedNamespaces: []
  objectSelector: {}
  annotations: {}
  labels: {}
backstop:
  enabled: false
inTree:
  enabled: false
  only: false
  denyOthers: false
  webhooks: auto
  compiled: {}
replicas: 2
image:
  registry: ''
  repository: gpuwarden/gpuwarden
  tag: ''
  digest: ''
  pullPolicy: IfNotPresent
imagePullSecrets: []
resources:
  requests: {}
  limits: {}
ports:
  webhook: 8443
  ops: 8080
shutdownDelaySeconds: 10
log:
  format: json
  level: info
extraArgs: []
extraEnv: []
volumes: []
volumeMounts: []
extraObjects: []
service:
  annotations: {}
  ipFamilyPolicy: ''
  ipFamilies: []
serviceAccount:
  create: true
  name: ''
  annotations: {}
rbac:
  create: true
priorityClassName: system-cluster-critical
criticalPodsQuota:
  create: true
podDisruptionBudget:
  create: true
  minAvailable: 1
  maxUnavailable: ''
updateStrategy: {}
revisionHistoryLimit: 3
probes:
  startup:
    periodSeconds: 2
    timeoutSeconds: 5
    failureThreshold: 30
  liveness:
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  readiness:
    periodSeconds: 5
    timeoutSeconds: 3
    failureThreshold: 2
topologySpreadConstraints: []
nodeSelector: {}
affinity: {}
tolerations: []
hostNetwork: false
dnsPolicy: ''
dnsConfig: {}
podSecurityContext: {}
containerSecurityContext: {}
networkPolicy:
  create: true
  opsFrom: []
  apiServerPorts:
  - 443
  - 6443
  - 8443
  - 16443
audit:
  report:
    enabled: false
    schedule: 23 * * * *
    mode: enforce
    rules: []
    activeDeadlineSeconds: 1800
    successfulJobsHistoryLimit: 1
    failedJobsHistoryLimit: 3
    resources:
      requests: {}
      limits: {}
recommend:
  report:
    enabled: false
    schedule: 41 4 * * 1
    window: 14d
    trusted: []
    prometheus:
      url: ''
      ports:
      - 9090
      secretName: ''
      args: []
    activeDeadlineSeconds: 1800
    successfulJobsHistoryLimit: 1
    failedJobsHistoryLimit: 3
    resources:
      requests: {}
      limits: {}
monitoring:
  serviceMonitor:
    create: false
    interval: 30s
    scrapeTimeout: ''
    labels: {}
    annotations: {}
    relabelings: []
    metricRelabelings: []
  prometheusRule:
    create: false
    labels: {}
    disabled: []
    selector: ''
    runbookUrl: ''
  dashboard:
    create: false
    labels: {}
    annotations: {}
helmTest:
  enabled: false
commonAnnotations: {}
commonLabels: {}
podLabels: {}
podAnnotations: {}
nameOverride: ''
fullnameOverride: ''
namespace:
  create: false
{{- end -}}
