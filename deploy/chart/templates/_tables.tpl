{{/*
Written by `make manifests` from values.schema.json, webhook/engine (gpu_models.py, mig_memory.py, other_gpus.py,
mig_profiles.py, forms.py) and the command line; edit those and hack/chart_tables.py, not this.
*/}}

{{/* The pattern of MIG profiles, with their suffixes. */}}
{{- define "gpuwarden.profilePattern" -}}
[1-9][0-9]?g\.[1-9][0-9]{0,3}gb(?:\.me\.all|\.me|\.gfx|-me)?
{{- end -}}

{{/* The pattern of the policy values that are built in. */}}
{{- define "gpuwarden.policyValue" -}}
^(any|none|exclusive|shared|time-slicing|mps|gke-exclusive|mig-[1-9][0-9]?g\.[1-9][0-9]{0,3}gb(?:\.me\.all|\.me|\.gfx|-me)?(-shared)?|gke-mig-[1-9][0-9]?g\.[1-9][0-9]{0,3}gb(?:\.me\.all|\.me|\.gfx|-me)?|gke(-mig-[1-9][0-9]?g\.[1-9][0-9]{0,3}gb(?:\.me\.all|\.me|\.gfx|-me)?)?-(time-sharing|mps)-(2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25|26|27|28|29|30|31|32|33|34|35|36|37|38|39|40|41|42|43|44|45|46|47|48))$
{{- end -}}

{{/* MIG profiles by the names of GPU models, which are a regular expression. */}}
{{- define "gpuwarden.profilesOfModels" -}}
A30X?(-.*)?: 1g.6gb 2g.12gb 4g.24gb
A[18]00-.*40GB.*: 1g.5gb 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb
'[AH][18]00-.*80GB.*|A100X|H[18]00-PCIe': 1g.10gb 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb
H[18]00-NVL: 1g.12gb 1g.24gb 2g.24gb 3g.47gb 4g.47gb 7g.94gb
GH200-480GB: 1g.12gb 1g.24gb 2g.24gb 3g.48gb 4g.48gb 7g.96gb
GH200-144G-HBM3e: 1g.18gb 1g.36gb 2g.36gb 3g.72gb 4g.72gb 7g.144gb
H200(-NVL)?: 1g.18gb 1g.35gb 2g.35gb 3g.71gb 4g.71gb 7g.141gb
G?B200(-.*)?: 1g.23gb 1g.24gb 1g.45gb 1g.47gb 2g.45gb 2g.47gb 3g.90gb 3g.93gb 3g.95gb 4g.90gb 4g.93gb 4g.95gb 7g.180gb 7g.186gb 7g.189gb
G?B300(-.*)?: 1g.34gb 1g.35gb 1g.67gb 1g.70gb 2g.67gb 2g.70gb 3g.135gb 3g.139gb 4g.135gb 4g.139gb 7g.269gb 7g.278gb
RTX-PRO-6000-Blackwell-.*: 1g.24gb 2g.48gb 4g.96gb
Tesla-.*|(GeForce|Quadro|TITAN)-.*|L(2|4|20|40|40S|40G)|A(2|10|10G|10M|16|40): ''
{{- end -}}

{{/* MIG profiles that NVIDIA documents. */}}
{{- define "gpuwarden.documentedProfiles" -}}
1g.5gb 1g.5gb.me 1g.6gb 1g.6gb.me 1g.10gb 1g.10gb.me 1g.12gb 1g.12gb.me 1g.16gb 1g.18gb 1g.18gb.me 1g.20gb 1g.23gb 1g.23gb.me 1g.24gb 1g.24gb.me 1g.24gb.gfx 1g.24gb.me.all 1g.24gb-me 1g.34gb 1g.34gb.me 1g.35gb 1g.35gb.me 1g.36gb 1g.45gb 1g.47gb 1g.67gb 1g.70gb 2g.10gb 2g.12gb 2g.12gb.me 2g.20gb 2g.24gb 2g.32gb 2g.35gb 2g.36gb 2g.45gb 2g.47gb 2g.48gb 2g.48gb.gfx 2g.48gb.me.all 2g.48gb-me 2g.67gb 2g.70gb 3g.20gb 3g.40gb 3g.47gb 3g.48gb 3g.71gb 3g.72gb 3g.90gb 3g.93gb 3g.95gb 3g.135gb 3g.139gb 4g.20gb 4g.24gb 4g.40gb 4g.47gb 4g.48gb 4g.71gb 4g.72gb 4g.90gb 4g.93gb 4g.95gb 4g.96gb 4g.96gb.gfx 4g.135gb 4g.139gb 7g.40gb 7g.80gb 7g.94gb 7g.96gb 7g.141gb 7g.144gb 7g.180gb 7g.186gb 7g.189gb 7g.269gb 7g.278gb
{{- end -}}

{{/* MIG profiles whose memory is measured. */}}
{{- define "gpuwarden.measuredProfiles" -}}
1g.6gb 2g.12gb 4g.24gb 1g.5gb 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb 1g.12gb 1g.24gb 2g.24gb 3g.47gb 4g.47gb 7g.94gb 1g.18gb 2g.35gb 7g.141gb 2g.48gb 4g.96gb
{{- end -}}

{{/* Prefixes of resource names that count as GPUs. */}}
{{- define "gpuwarden.gpuPrefixes" -}}
nvidia.com/ deviceclass.resource.kubernetes.io/ k8s.amazonaws.com/vgpu volcano.sh/vgpu- volcano.sh/gpu- aliyun.com/gpu- tencent.com/vcuda- tke.cloud.tencent.com/qgpu- vke.volcengine.com/mgpu- koordinator.sh/gpu mig.das.com/
{{- end -}}

{{/* Resources that are never GPUs, whatever DeviceClasses (DRA) set; "*" matches any suffix. */}}
{{- define "gpuwarden.neverGpus" -}}
aliyun/* amd.com/* aws.amazon.com/neuron* aws.ec2.nitro/* bridge.network.kubevirt.io/* cambricon.com/* cloud-tpus.google.com/* devic.es/* devices.kubevirt.io/* dlb.intel.com/* dsa.intel.com/* enflame.com/* fpga.intel.com/* furiosa.ai/* github.com/fuse google.com/tpu* gpu.intel.com/* habana.ai/* huawei.com/Ascend* huawei.com/npu* hygon.com/* iaa.intel.com/* iluvatar.ai/* iluvatar.com/* intel.com/* koordinator.sh/rdma kubernetes.io/* kunlunxin.com/* macvtap.network.kubevirt.io/* mellanox.com/* metax-tech.com/* mthreads.com/* networking.gke.io.networks/* npu.intel.com/* openshift.io/* ovs-cni.network.kubevirt.io/* qat.intel.com/* qualcomm.com/qaic* rdma/* rebellions.ai/* sgx.intel.com/* smarter-devices/* squat.ai/* tenstorrent.com/* tke.cloud.tencent.com/direct-eni tke.cloud.tencent.com/eip tke.cloud.tencent.com/eni-ip vke.volcengine.com/eni-ip vke.volcengine.com/rdma* vpc.amazonaws.com/* xilinx.com/*
{{- end -}}

{{/* DeviceClasses that are known to be for other devices; "*" matches any suffix. */}}
{{- define "gpuwarden.otherClasses" -}}
dra.cpu* cpu* dra.net* dranet* rdma* sriov* compute-domain-*
{{- end -}}

{{/* The options of `gpuwarden serve`. */}}
{{- define "gpuwarden.serveOptions" -}}
--allowed-cn --ca-bundle-file --ca-lifetime --ca-secret --ca-secret-owner --client-ca-file --clock-skew --config --context --count-pods --head-timeout --host --kubeconfig --leaf-lifetime --log-format --log-level --manage-certificates --max-connections --max-lag --max-memory --mutating-webhook-configuration --namespaces --no-count-pods --no-watch-nodes --node-selector --ops-port --pod-namespace --port --propagation --request-timeout --service --shutdown-delay --tls-cert-file --tls-name --tls-private-key-file --tls-self-signed --watch-in-tree --watch-nodes --webhook-configuration
{{- end -}}

{{/* What texts must match, and where they are: "*" is each item of a list or mapping, "{}" each key of a mapping. */}}
{{- define "gpuwarden.textChecks" -}}
- pattern: ^[A-Za-z0-9]([A-Za-z0-9._-]{0,50}[A-Za-z0-9])?$
  fault: is not a GPU model; write one as the label nvidia.com/gpu.product has it, of at most 52 characters
  at:
  - config.devicePlugin.products.*
- pattern: ^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$
  fault: can't be the value of a namespace label; use at most 63 letters, digits, ".", "_" and "-", beginning and ending with a letter or digit
  at:
  - config.policies.{}
- pattern: ^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$
  fault: is not a key of labels or annotations; write <name> or <domain>/<name>, such as example.com/team
  at:
  - config.policies.*.nodeSelector.{}
  - config.policies.*.tolerations.*.key
  - webhooks.annotations.{}
  - webhooks.labels.{}
  - service.annotations.{}
  - serviceAccount.annotations.{}
  - topologySpreadConstraints.*.topologyKey
  - nodeSelector.{}
  - tolerations.*.key
  - monitoring.serviceMonitor.labels.{}
  - monitoring.serviceMonitor.annotations.{}
  - monitoring.prometheusRule.labels.{}
  - monitoring.dashboard.labels.{}
  - monitoring.dashboard.annotations.{}
  - commonAnnotations.{}
  - commonLabels.{}
  - podLabels.{}
  - podAnnotations.{}
- pattern: ^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$
  fault: is not the value of a label; use at most 63 letters, digits, ".", "_" and "-", beginning and ending with a letter or digit
  at:
  - config.policies.*.nodeSelector.*
  - webhooks.labels.*
  - nodeSelector.*
  - monitoring.serviceMonitor.labels.*
  - monitoring.prometheusRule.labels.*
  - monitoring.dashboard.labels.*
  - commonLabels.*
  - podLabels.*
- pattern: ^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$
  fault: is not the name of an object; use lowercase letters, digits, "-" and ".", beginning and ending with a letter or digit
  at:
  - config.policies.*.runtimeClassName
  - config.exemptions.runtimeClasses.*
  - config.claims.deviceClasses.{}
  - certificates.certManager.issuerRef.name
  - imagePullSecrets.*.name
- pattern: ^[ -<>-~]+$
  fault: is not the name of an environment variable; use ASCII characters other than "="
  at:
  - config.policies.*.env.{}
  - extraEnv.*.name
- pattern: ^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$
  fault: is not the name of a namespace; use at most 63 lowercase letters, digits and "-", beginning and ending with a letter or digit
  at:
  - config.exemptions.namespaces.*
  - webhooks.guard.openNamespaces.*
  - webhooks.excludedNamespaces.*
- of: '^system:serviceaccount:'
  pattern: ^system:serviceaccount:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?:[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$
  fault: is not the user name of a service account; write system:serviceaccount:<namespace>:<name>
  at:
  - config.exemptions.usernames.*
- pattern: ^[^*\s]([^*]*[^*\s])?$
  fault: is not a user name; write the whole name, without * and without spaces around it
  at:
  - config.exemptions.usernames.*
- pattern: ^[^*\s]([^*]*[^*\s])?$
  fault: is not the name of a scheduler; write the whole name, without * and without spaces around it
  at:
  - config.exemptions.schedulers.*
- pattern: ^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?|([A-Za-z0-9][A-Za-z0-9._-]{0,62})?\*)$
  fault: is not the name of an extended resource; write <domain>/<name>, such as amd.com/gpu, or a prefix of it that ends in *
  at:
  - config.resources.gpus.*
  - config.resources.notGPUs.*
- pattern: ^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$
  fault: is not an API group of custom resources; write one such as example.com
  at:
  - config.workloadKinds.*.group
- pattern: ^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$
  fault: is not a version of an API; write one such as v1 or v1beta1
  at:
  - config.workloadKinds.*.versions.*
- pattern: ^[A-Z][A-Za-z0-9]{0,62}$
  fault: is not a kind; write one such as Training
  at:
  - config.workloadKinds.*.kind
- pattern: ^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$
  fault: is not a plural; write the name in the URL of its objects, such as trainings
  at:
  - config.workloadKinds.*.plural
- pattern: ^[A-Za-z][A-Za-z0-9]*((\.[A-Za-z][A-Za-z0-9]*)|\[\*\]|\{\*\}){0,11}$
  fault: is not a path; write one such as spec.workers[*].template.spec, of at most 12 steps
  at:
  - config.workloadKinds.*.templates.*.path
  - config.workloadKinds.*.templates.*.replicas.*
  - config.workloadKinds.*.resources.*
  - config.workloadKinds.*.suspend
- pattern: ^([0-9]+(h|m|s))+$
  fault: is not a duration; write hours, minutes and seconds, such as 2160h or 1h30m
  at:
  - certificates.certManager.duration
  - certificates.certManager.renewBefore
- pattern: ^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)?$
  fault: is not the name of an object; use lowercase letters, digits, "-" and ".", beginning and ending with a letter or digit
  at:
  - certificates.provided.secretName
  - clientAuth.caSecret
  - webhooks.mutate.configurationName
  - serviceAccount.name
  - priorityClassName
- pattern: ^([A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*)?$
  fault: is not a registry; write its host without https://, such as registry.example.com:5000
  at:
  - image.registry
- pattern: ^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$
  fault: is not the repository of an image; write it without https://, tag and digest, such as registry.example.com/team/gpuwarden
  at:
  - image.repository
- pattern: ^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$
  fault: is not the tag of an image; use at most 128 letters, digits, ".", "_" and "-", and set image.digest for a digest
  at:
  - image.tag
- pattern: ^(sha256:[0-9a-f]{64})?$
  fault: 'is not the digest of an image; write sha256: and 64 digits of 0-9 and a-f'
  at:
  - image.digest
- pattern: ^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$
  fault: is not a quantity; write one such as 100m, 1.5 or 256Mi
  at:
  - resources.requests.*
  - resources.limits.*
  - audit.report.resources.requests.*
  - audit.report.resources.limits.*
  - recommend.report.resources.requests.*
  - recommend.report.resources.limits.*
- pattern: ^([0-9]+%)?$
  fault: is neither a number nor a percentage; write one such as 1 or "50%"
  at:
  - podDisruptionBudget.minAvailable
  - podDisruptionBudget.maxUnavailable
  - updateStrategy.rollingUpdate.maxSurge
  - updateStrategy.rollingUpdate.maxUnavailable
- pattern: ^(@(hourly|daily|midnight|weekly|monthly|yearly|annually|every .+)|([*?]|[0-5]?[0-9])([-/,]([*?]|[0-5]?[0-9]))* +([*?]|[01]?[0-9]|2[0-3])([-/,]([*?]|[01]?[0-9]|2[0-3]))* +([*?]|0?[1-9]|[12][0-9]|3[01])([-/,]([*?]|0?[1-9]|[12][0-9]|3[01]))* +([*?]|0?[1-9]|1[0-2]|[A-Za-z]{3})([-/,]([*?]|0?[1-9]|1[0-2]|[A-Za-z]{3}))* +([*?]|0?[0-6]|[A-Za-z]{3})([-/,]([*?]|0?[0-6]|[A-Za-z]{3}))*)$
  fault: is not a schedule of cron; write five fields, such as "17 3 * * *", or @hourly, @daily, @weekly or @monthly
  at:
  - audit.report.schedule
  - recommend.report.schedule
- pattern: ^[1-9][0-9]{0,3}[mhdw]$
  fault: is not a time; write one such as 14d or 36h
  at:
  - recommend.report.window
- pattern: ^(https?://[^ ]+)?$
  fault: is not a URL; write one such as http://prometheus-operated.monitoring:9090
  at:
  - recommend.report.prometheus.url
- pattern: ^--prometheus-[a-z-]+(=.*)?$
  fault: is not an option for Prometheus; write one such as --prometheus-ca-file=/etc/gpuwarden/prometheus/ca.crt
  at:
  - recommend.report.prometheus.args.*
- pattern: ^(0|(([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?))$
  fault: is not a duration of Prometheus; write one such as 30s or 1m30s
  at:
  - monitoring.serviceMonitor.interval
- pattern: ^Gpuwarden
  fault: is not an alert of this chart; write a name of rules/gpuwarden.yaml, such as GpuwardenDown
  at:
  - monitoring.prometheusRule.disabled.*
- pattern: ^([a-zA-Z_][a-zA-Z0-9_]*(=|=~|!=|!~)"[^"]*"(,|$))*$
  fault: is not a list of label matchers; write them without braces, such as job="gpuwarden",cluster="a"
  at:
  - monitoring.prometheusRule.selector
- pattern: ^(https?://[^\s#]+|docs/operations\.md)?$
  fault: 'is not an absolute URL; write one such as https://git.example.com/gpuwarden/docs/operations/runbook.md, without #, or leave it empty'
  at:
  - monitoring.prometheusRule.runbookUrl
- pattern: ^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$
  fault: can't be part of the names of objects; use at most 63 lowercase letters, digits and "-", beginning and ending with a letter or digit
  at:
  - nameOverride
  - fullnameOverride
{{- end -}}
