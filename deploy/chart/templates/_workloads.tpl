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
  resources: [pytorchjobs, tfjobs, xgboostjobs, paddlejobs, jaxjobs, mpijobs, notebooks, pvcviewers]
  scope: Namespaced
- apiGroups: [trainer.kubeflow.org]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [trainingruntimes, trainjobs, optimizationjobs]
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
- apiGroups: [disaggregatedset.x-k8s.io]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [disaggregatedsets]
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
  resources: [inferenceservices, llminferenceservices, llminferenceserviceconfigs, inferencegraphs, servingruntimes]
  scope: Namespaced
- apiGroups: [argoproj.io]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [workflows, workflowtemplates, cronworkflows, rollouts, experiments, analysisruns, analysistemplates]
  scope: Namespaced
- apiGroups: [batch.volcano.sh]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [jobs, cronjobs]
  scope: Namespaced
- apiGroups: [flow.volcano.sh]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [jobtemplates, jobflows]
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
  apiVersions: [v1, v1beta1, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [tasks, taskruns, stepactions, pipelines, pipelineruns]
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
  resources: [workspaces, inferencesets, ragengines, multiroleinferences]
  scope: Namespaced
- apiGroups: [orchestration.aibrix.ai]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [stormservices, rolesets, rayclusterfleets, rayclusterreplicasets, podsets, kvcaches]
  scope: Namespaced
- apiGroups: [workloads.x-k8s.io]
  apiVersions: [v1alpha2, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [rolebasedgroups, rolebasedgroupsets, rolebasedgroupwarmups, roleinstances, roleinstancesets, instances, instancesets]
  scope: Namespaced
- apiGroups: [production-stack.vllm.ai]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [vllmruntimes]
  scope: Namespaced
- apiGroups: [workload.codeflare.dev]
  apiVersions: [v1beta2]
  operations: [CREATE, UPDATE]
  resources: [appwrappers]
  scope: Namespaced
- apiGroups: [kubevirt.io]
  apiVersions: [v1, v1alpha3]
  operations: [CREATE, UPDATE]
  resources: [virtualmachines, virtualmachineinstances, virtualmachineinstancereplicasets]
  scope: Namespaced
- apiGroups: [actions.summerwind.dev]
  apiVersions: [v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [runners, runnersets, runnerdeployments, runnerreplicasets]
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
  resources: [daskclusters, daskworkergroups, daskjobs]
  scope: Namespaced
- apiGroups: [flink.apache.org]
  apiVersions: [v1beta1]
  operations: [CREATE, UPDATE]
  resources: [flinkdeployments]
  scope: Namespaced
- apiGroups: [apps.kruise.io]
  apiVersions: [v1beta1, v1alpha1]
  operations: [CREATE, UPDATE]
  resources: [clonesets, statefulsets, daemonsets, broadcastjobs, uniteddeployments, advancedcronjobs]
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
[RayCluster, RayJob, RayService, RayCronJob, PyTorchJob, TFJob, XGBoostJob, PaddleJob, JAXJob, MPIJob, Notebook, PVCViewer, TrainJob, OptimizationJob, JobSet, LeaderWorkerSet, DisaggregatedSet, Sandbox, InferenceService, LLMInferenceService, InferenceGraph, Workflow, CronWorkflow, Rollout, Experiment, AnalysisRun, Job, CronJob, JobFlow, SparkApplication, ScheduledSparkApplication, SparkConnect, SparkCluster, Service, Configuration, Revision, Task, TaskRun, StepAction, Pipeline, PipelineRun, SeldonDeployment, Server, ServerConfig, SeldonConfig, SeldonRuntime, NIMService, NIMPipeline, NIMBuild, NIMCache, NemoCustomizer, NemoDatastore, NemoEntitystore, NemoEvaluator, NemoGuardrail, DynamoGraphDeployment, DynamoComponentDeployment, PodCliqueSet, PodClique, Workspace, StormService, RoleSet, RayClusterFleet, RayClusterReplicaSet, PodSet, RoleBasedGroup, InferenceSet, RAGEngine, MultiRoleInference, KVCache, RoleBasedGroupSet, RoleBasedGroupWarmup, RoleInstance, RoleInstanceSet, Instance, InstanceSet, VLLMRuntime, AppWrapper, VirtualMachine, VirtualMachineInstance, VirtualMachineInstanceReplicaSet, Runner, RunnerSet, RunnerDeployment, RunnerReplicaSet, ScaledJob, AutoscalingRunnerSet, EphemeralRunnerSet, EphemeralRunner, DaskCluster, DaskWorkerGroup, DaskJob, FlinkDeployment, CloneSet, StatefulSet, DaemonSet, BroadcastJob, UnitedDeployment, AdvancedCronJob, DeploymentConfig]
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
- apiGroups: [ray.io]
  resources: [rayclusters, rayjobs, rayservices, raycronjobs]
  verbs: [list]
- apiGroups: [kubeflow.org]
  resources: [pytorchjobs, tfjobs, xgboostjobs, paddlejobs, jaxjobs, mpijobs, notebooks, pvcviewers]
  verbs: [list]
- apiGroups: [trainer.kubeflow.org]
  resources: [trainingruntimes, trainjobs, optimizationjobs]
  verbs: [list]
- apiGroups: [jobset.x-k8s.io]
  resources: [jobsets]
  verbs: [list]
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets]
  verbs: [list]
- apiGroups: [disaggregatedset.x-k8s.io]
  resources: [disaggregatedsets]
  verbs: [list]
- apiGroups: [agents.x-k8s.io]
  resources: [sandboxes]
  verbs: [list]
- apiGroups: [extensions.agents.x-k8s.io]
  resources: [sandboxtemplates]
  verbs: [list]
- apiGroups: [serving.kserve.io]
  resources: [inferenceservices, llminferenceservices, llminferenceserviceconfigs, inferencegraphs, servingruntimes]
  verbs: [list]
- apiGroups: [argoproj.io]
  resources: [workflows, workflowtemplates, cronworkflows, rollouts, experiments, analysisruns, analysistemplates]
  verbs: [list]
- apiGroups: [batch.volcano.sh]
  resources: [jobs, cronjobs]
  verbs: [list]
- apiGroups: [flow.volcano.sh]
  resources: [jobtemplates, jobflows]
  verbs: [list]
- apiGroups: [sparkoperator.k8s.io]
  resources: [sparkapplications, scheduledsparkapplications, sparkconnects]
  verbs: [list]
- apiGroups: [spark.apache.org]
  resources: [sparkapplications, sparkclusters]
  verbs: [list]
- apiGroups: [serving.knative.dev]
  resources: [services, configurations, revisions]
  verbs: [list]
- apiGroups: [tekton.dev]
  resources: [tasks, taskruns, stepactions, pipelines, pipelineruns]
  verbs: [list]
- apiGroups: [machinelearning.seldon.io]
  resources: [seldondeployments]
  verbs: [list]
- apiGroups: [mlops.seldon.io]
  resources: [servers, serverconfigs, seldonconfigs, seldonruntimes]
  verbs: [list]
- apiGroups: [apps.nvidia.com]
  resources: [nimservices, nimpipelines, nimbuilds, nimcaches, nemocustomizers, nemodatastores, nemoentitystores, nemoevaluators, nemoguardrails]
  verbs: [list]
- apiGroups: [nvidia.com]
  resources: [dynamographdeployments, dynamocomponentdeployments]
  verbs: [list]
- apiGroups: [grove.io]
  resources: [podcliquesets, podcliques]
  verbs: [list]
- apiGroups: [kaito.sh]
  resources: [workspaces, inferencesets, ragengines, multiroleinferences]
  verbs: [list]
- apiGroups: [orchestration.aibrix.ai]
  resources: [stormservices, rolesets, rayclusterfleets, rayclusterreplicasets, podsets, kvcaches]
  verbs: [list]
- apiGroups: [workloads.x-k8s.io]
  resources: [rolebasedgroups, rolebasedgroupsets, rolebasedgroupwarmups, roleinstances, roleinstancesets, instances, instancesets]
  verbs: [list]
- apiGroups: [production-stack.vllm.ai]
  resources: [vllmruntimes]
  verbs: [list]
- apiGroups: [workload.codeflare.dev]
  resources: [appwrappers]
  verbs: [list]
- apiGroups: [kubevirt.io]
  resources: [virtualmachines, virtualmachineinstances, virtualmachineinstancereplicasets]
  verbs: [list]
- apiGroups: [actions.summerwind.dev]
  resources: [runners, runnersets, runnerdeployments, runnerreplicasets]
  verbs: [list]
- apiGroups: [keda.sh]
  resources: [scaledjobs]
  verbs: [list]
- apiGroups: [actions.github.com]
  resources: [autoscalingrunnersets, ephemeralrunnersets, ephemeralrunners]
  verbs: [list]
- apiGroups: [kubernetes.dask.org]
  resources: [daskclusters, daskworkergroups, daskjobs]
  verbs: [list]
- apiGroups: [flink.apache.org]
  resources: [flinkdeployments]
  verbs: [list]
- apiGroups: [apps.kruise.io]
  resources: [clonesets, statefulsets, daemonsets, broadcastjobs, uniteddeployments, advancedcronjobs]
  verbs: [list]
- apiGroups: [apps.openshift.io]
  resources: [deploymentconfigs]
  verbs: [list]
{{- end -}}
