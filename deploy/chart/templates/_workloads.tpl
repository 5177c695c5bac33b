{{/* Written by `make manifests` from webhook/application/workload_kinds.py; edit that and hack/workload_rules.py, not this. */}}

{{/* The rules of what /advise is sent. */}}
{{- define "gpuwarden.advisedRules" -}}
- apiGroups: [apps]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  scope: Namespaced
- apiGroups: [batch]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [cronjobs, jobs]
  scope: Namespaced
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [replicationcontrollers, podtemplates]
  scope: Namespaced
{{- end -}}

{{/* The rules of what /advise is sent of operators' kinds. */}}
{{- define "gpuwarden.advisedOperatorRules" -}}
- apiGroups: [ray.io]
  apiVersions: [v1, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [rayclusters, rayjobs, rayservices, raycronjobs]
  scope: Namespaced
- apiGroups: [kubeflow.org]
  apiVersions: [v1, v2beta1, v1beta1, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [pytorchjobs, tfjobs, xgboostjobs, paddlejobs, jaxjobs, mpijobs, notebooks, workspacekinds]
  scope: Namespaced
- apiGroups: [trainer.kubeflow.org]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [trainingruntimes, trainjobs]
  scope: Namespaced
- apiGroups: [jobset.x-k8s.io]
  apiVersions: [v1alpha2]
  operations: [CREATE, UPDATE]
  resources: [jobsets]
  scope: Namespaced
- apiGroups: [leaderworkerset.x-k8s.io]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [leaderworkersets]
  scope: Namespaced
- apiGroups: [agents.x-k8s.io]
  apiVersions: [v1beta1, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [sandboxes]
  scope: Namespaced
- apiGroups: [extensions.agents.x-k8s.io]
  apiVersions: [v1beta1, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [sandboxtemplates]
  scope: Namespaced
- apiGroups: [serving.kserve.io]
  apiVersions: [v1beta1, v1alpha2, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [inferenceservices, llminferenceservices, inferencegraphs, servingruntimes]
  scope: Namespaced
- apiGroups: [argoproj.io]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [workflows, workflowtemplates, cronworkflows, rollouts, experiments]
  scope: Namespaced
- apiGroups: [batch.volcano.sh]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [jobs, cronjobs]
  scope: Namespaced
- apiGroups: [flow.volcano.sh]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [jobtemplates]
  scope: Namespaced
- apiGroups: [sparkoperator.k8s.io]
  apiVersions: [v1beta2, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [sparkapplications, scheduledsparkapplications, sparkconnects]
  scope: Namespaced
- apiGroups: [spark.apache.org]
  apiVersions: [v1, v1beta1]
  operations: [CREATE, UPDATE]
  resources: [sparkapplications, sparkclusters]
  scope: Namespaced
- apiGroups: [serving.knative.dev]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [services, configurations, revisions]
  scope: Namespaced
- apiGroups: [tekton.dev]
  apiVersions: [v1, v1beta1]
  operations: [CREATE, UPDATE]
  resources: [tasks, taskruns, pipelineruns]
  scope: Namespaced
- apiGroups: [machinelearning.seldon.io]
  apiVersions: [v1, v1alpha3, v1alpha2]
  operations: [CREATE, UPDATE]
  resources: [seldondeployments]
  scope: Namespaced
- apiGroups: [mlops.seldon.io]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [servers, serverconfigs, seldonconfigs, seldonruntimes]
  scope: Namespaced
- apiGroups: [apps.nvidia.com]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [nimservices, nimpipelines, nimbuilds, nimcaches, nemocustomizers, nemodatastores, nemoentitystores, nemoevaluators, nemoguardrails]
  scope: Namespaced
- apiGroups: [nvidia.com]
  apiVersions: [v1beta1, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [dynamographdeployments, dynamocomponentdeployments]
  scope: Namespaced
- apiGroups: [grove.io]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [podcliquesets, podcliques]
  scope: Namespaced
- apiGroups: [kaito.sh]
  apiVersions: [v1beta1, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [workspaces]
  scope: Namespaced
- apiGroups: [orchestration.aibrix.ai]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [stormservices, rolesets, rayclusterfleets]
  scope: Namespaced
- apiGroups: [workloads.x-k8s.io]
  apiVersions: [v1alpha2, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [rolebasedgroups]
  scope: Namespaced
- apiGroups: [keda.sh]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [scaledjobs]
  scope: Namespaced
- apiGroups: [actions.github.com]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [autoscalingrunnersets, ephemeralrunnersets, ephemeralrunners]
  scope: Namespaced
- apiGroups: [kubernetes.dask.org]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [daskclusters, daskjobs]
  scope: Namespaced
- apiGroups: [flink.apache.org]
  apiVersions: [v1beta1]
  operations: [CREATE, UPDATE]
  resources: [flinkdeployments]
  scope: Namespaced
- apiGroups: [apps.kruise.io]
  apiVersions: [v1beta1, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [clonesets, statefulsets, daemonsets, broadcastjobs, advancedcronjobs]
  scope: Namespaced
- apiGroups: [apps.openshift.io]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [deploymentconfigs]
  scope: Namespaced
{{- end -}}

{{/* CEL: the template of a workload of Kubernetes' own kinds; an empty map where it has none. */}}
{{- define "gpuwarden.template" -}}
has(object.template) ?
object.template :
has(object.spec) && has(object.spec.template) ?
object.spec.template :
has(object.spec) && has(object.spec.jobTemplate) && has(object.spec.jobTemplate.spec) && has(object.spec.jobTemplate.spec.template) ?
object.spec.jobTemplate.spec.template :
{}
{{- end -}}

{{/* The kinds of Kubernetes' own that make others. */}}
{{- define "gpuwarden.makers" -}}
[Deployment, StatefulSet, DaemonSet, CronJob]
{{- end -}}

{{/* The kinds of operators that make others. */}}
{{- define "gpuwarden.operatorMakers" -}}
[RayCluster, RayJob, RayService, RayCronJob, PyTorchJob, TFJob, XGBoostJob, PaddleJob, JAXJob, MPIJob, Notebook, WorkspaceKind, TrainJob, JobSet, LeaderWorkerSet, Sandbox, InferenceService, LLMInferenceService, InferenceGraph, Workflow, CronWorkflow, Rollout, Experiment, Job, CronJob, SparkApplication, ScheduledSparkApplication, SparkConnect, SparkCluster, Service, Configuration, Revision, Task, TaskRun, PipelineRun, SeldonDeployment, Server, ServerConfig, SeldonConfig, SeldonRuntime, NIMService, NIMPipeline, NIMBuild, NIMCache, NemoCustomizer, NemoDatastore, NemoEntitystore, NemoEvaluator, NemoGuardrail, DynamoGraphDeployment, DynamoComponentDeployment, PodCliqueSet, PodClique, Workspace, StormService, RoleSet, RayClusterFleet, RoleBasedGroup, ScaledJob, AutoscalingRunnerSet, EphemeralRunnerSet, EphemeralRunner, DaskCluster, DaskJob, FlinkDeployment, CloneSet, StatefulSet, DaemonSet, BroadcastJob, AdvancedCronJob, DeploymentConfig]
{{- end -}}

{{/* RBAC: what a change of a namespace's label is previewed on. */}}
{{- define "gpuwarden.previewedKinds" -}}
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  verbs: [list]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [list]
- apiGroups: [""]
  resources: [replicationcontrollers, pods]
  verbs: [list]
{{- end -}}

{{/* RBAC: what an audit reads. */}}
{{- define "gpuwarden.auditedKinds" -}}
- apiGroups: [""]
  resources: [pods, replicationcontrollers, podtemplates]
  verbs: [list]
- apiGroups: [apps]
  resources: [replicasets, daemonsets, statefulsets, deployments]
  verbs: [list]
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: [list]
{{- end -}}
