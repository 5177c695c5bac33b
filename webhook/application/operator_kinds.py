"""The rows of operators' kinds, from the CRDs or Go types in each project's repository, as of August 2026.

Their objects are never rewritten, only the pods that an operator makes from them: operators set their children's templates
again and again, and several of them copy the name or the number of GPUs from the template to places other than the pod.
"""

from collections.abc import Iterable

from .workload_kinds import ON_EACH_NODE, Template, WorkloadKind, row

_RAY = "Ray takes num-gpus from the template's limits, and ignores names that end in .shared or .me."
_QUEUED = (
    "The queue counts what the template names, before any pod exists: a name that no node offers is never admitted."
)
_SPARK = "The operator adds the GPUs of driver.gpu and executor.gpu to the pods, with its own webhook."
_NIM = "The operator adds nvidia.com/gpu if another name requests the GPU, so such pods are denied with mixed-gpu-resources."
_KSERVE = "With workerSpec, KServe denies names of GPUs that its annotation serving.kserve.io/gpu-resource-types does not list."
_VIRTUAL = "Its pod requests the device's own resource name, such as nvidia.com/GA102GL_A10."
_SHARED_PLURAL = "Write plural.group with kubectl: the plural is that of a built-in kind too."


def _ray(root: str) -> tuple[Template, ...]:
    """The pods of a RayCluster's spec."""
    workers = f"{root}.workerGroupSpecs[*]"
    return (
        Template(f"{root}.headGroupSpec.template.spec"),
        Template(f"{workers}.template.spec", (f"{workers}.replicas", f"{workers}.numOfHosts")),
    )


def _kubeflow(kind: str, field: str, versions: str = "v1") -> WorkloadKind:
    """A job of Kubeflow's training operator: a map of roles."""
    template = Template(f"spec.{field}{{*}}.template.spec", (f"spec.{field}{{*}}.replicas",))
    return row("kubeflow.org", versions, kind, template, suspend="spec.runPolicy.suspend")


def _jobs(root: str) -> Template:
    """The Jobs of a JobSet's spec."""
    jobs = f"{root}.replicatedJobs[*]"
    return Template(f"{jobs}.template.spec.template.spec", (f"{jobs}.replicas", f"{jobs}.template.spec.parallelism"))


_ROLES = "spec.roles[*].spec.leaderWorkerTemplate"
_TEMPLATE = "spec.template.spec"
_TASKS = Template("spec.tasks[*].template.spec", ("spec.tasks[*].replicas",))
_CRON_TASKS = "spec.jobTemplate.spec.tasks[*]"
_WORKFLOW = tuple(
    f"spec.{template}.{one}.resources"
    for template in ("templates[*]", "templateDefaults")
    for one in ("container", "script", "containerSet.containers[*]", "initContainers[*]", "sidecars[*]")
)

# A row takes as few lines as it fits on.
# fmt: off
_PREDICTORS = (
    "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle",
)
OPERATORS = (
    # Ray
    row("ray.io", "v1 v1alpha1", "RayCluster", *_ray("spec"), suspend="spec.suspend", intermediate=True, note=_RAY),
    row("ray.io", "v1 v1alpha1", "RayJob", *_ray("spec.rayClusterSpec"), Template("spec.submitterPodTemplate.spec"),
        suspend="spec.suspend", note=_RAY),
    row("ray.io", "v1 v1alpha1", "RayService", *_ray("spec.rayClusterConfig"), suspend="spec.suspend", note=_RAY),
    row("ray.io", "v1", "RayCronJob", *_ray("spec.jobTemplate.rayClusterSpec"),
        Template("spec.jobTemplate.submitterPodTemplate.spec"), suspend="spec.suspend", note=_RAY),
    # Kubeflow: training operator, MPI operator, trainer, notebooks
    _kubeflow("PyTorchJob", "pytorchReplicaSpecs"),
    _kubeflow("TFJob", "tfReplicaSpecs"),
    _kubeflow("XGBoostJob", "xgbReplicaSpecs"),
    _kubeflow("PaddleJob", "paddleReplicaSpecs"),
    _kubeflow("JAXJob", "jaxReplicaSpecs"),
    _kubeflow("MPIJob", "mpiReplicaSpecs", "v2beta1 v1"),
    row("kubeflow.org", "v1 v1beta1 v1alpha1", "Notebook", Template(_TEMPLATE),
        note="It is stopped by the annotation kubeflow-resource-stopped."),
    row("kubeflow.org", "v1beta1", "WorkspaceKind",
        resources=("spec.podTemplate.options.podConfig.values[*].spec.resources",), passive=True, cluster_scoped=True),
    row("kubeflow.org", "v1alpha1", "PVCViewer", Template("spec.podSpec")),
    row("trainer.kubeflow.org", "v1alpha1", "ClusterTrainingRuntime", _jobs("spec.template.spec"), passive=True,
        cluster_scoped=True),
    row("trainer.kubeflow.org", "v1alpha1", "TrainingRuntime", _jobs("spec.template.spec"), passive=True),
    row("trainer.kubeflow.org", "v1alpha1", "TrainJob", resources=("spec.trainer.resourcesPerNode",),
        note="The other requests of its pods are in the runtime that spec.runtimeRef names."),
    row("trainer.kubeflow.org", "v1alpha1", "OptimizationJob",
        resources=("spec.trainJobTemplate.spec.trainer.resourcesPerNode",),
        note="The other requests of its pods are in the runtime that spec.trainJobTemplate.spec.runtimeRef names."),
    # Kubernetes SIGs: JobSet, LeaderWorkerSet, agent-sandbox, Kueue
    row("jobset.x-k8s.io", "v1alpha2", "JobSet", _jobs("spec"), suspend="spec.suspend", intermediate=True),
    row("leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet",
        Template("spec.leaderWorkerTemplate.leaderTemplate.spec", ("spec.replicas",)),
        Template("spec.leaderWorkerTemplate.workerTemplate.spec", ("spec.replicas", "spec.leaderWorkerTemplate.size"),
            with_leader="spec.leaderWorkerTemplate.size", leader="spec.leaderWorkerTemplate.leaderTemplate"),
        note="One of the pods that spec.leaderWorkerTemplate.size counts is the leader."),
    row("disaggregatedset.x-k8s.io", "v1", "DisaggregatedSet",
        Template(f"{_ROLES}.leaderTemplate.spec", ("spec.roles[*].spec.replicas",)),
        Template(f"{_ROLES}.workerTemplate.spec", ("spec.roles[*].spec.replicas", f"{_ROLES}.size"),
            with_leader=f"{_ROLES}.size", leader=f"{_ROLES}.leaderTemplate"),
        note="One of the pods that leaderWorkerTemplate.size counts is the leader."),
    row("agents.x-k8s.io", "v1beta1 v1alpha1", "Sandbox", Template("spec.podTemplate.spec", ("spec.replicas",)),
        plural="sandboxes"),
    row("extensions.agents.x-k8s.io", "v1beta1 v1alpha1", "SandboxTemplate", Template("spec.podTemplate.spec"),
        passive=True),
    row("kueue.x-k8s.io", "v1beta2 v1beta1", "Workload",
        Template("spec.podSets[*].template.spec", ("spec.podSets[*].count",)), intermediate=True, passive=True,
        note="A copy that Kueue makes of a workload."),
    # KServe
    row("serving.kserve.io", "v1beta1", "InferenceService",
        Template("spec.predictor", ("spec.predictor.minReplicas",)),
        Template("spec.predictor.workerSpec",
            ("spec.predictor.minReplicas", "spec.predictor.workerSpec.pipelineParallelSize")),
        Template("spec.transformer", ("spec.transformer.minReplicas",)),
        Template("spec.explainer", ("spec.explainer.minReplicas",)),
        resources=(*(f"spec.predictor.{one}.resources" for one in ("model", *_PREDICTORS)), "spec.explainer.art.resources"),
        note=_KSERVE),
    row("serving.kserve.io", "v1alpha2 v1alpha1", "LLMInferenceService",
        *(Template(f"spec.{one}", ("spec.replicas",)) for one in ("template", "worker")),
        *(Template(f"spec.prefill.{one}", ("spec.prefill.replicas",)) for one in ("template", "worker")),
        *(Template(f"spec.router.scheduler.{one}") for one in ("template", "tokenizer.template"))),
    row("serving.kserve.io", "v1alpha2 v1alpha1", "LLMInferenceServiceConfig",
        *(Template(f"spec.{one}") for one in ("template", "worker", "prefill.template", "prefill.worker",
            "router.scheduler.template", "router.scheduler.tokenizer.template")), passive=True),
    row("serving.kserve.io", "v1alpha1", "InferenceGraph", resources=("spec.resources",)),
    *(
        row("serving.kserve.io", "v1alpha1", kind,
            resources=("spec.containers[*].resources", "spec.workerSpec.containers[*].resources"), passive=True,
            cluster_scoped=kind.startswith("Cluster"),
            note="Its containers are merged by their names into the pods of an InferenceService.")
        for kind in ("ServingRuntime", "ClusterServingRuntime")
    ),
    # Argo: workflows, rollouts
    *(
        row("argoproj.io", "v1alpha1", kind, resources=resources, suspend="" if passive else "spec.suspend",
            passive=passive, cluster_scoped=kind.startswith("Cluster"),
            note="podSpecPatch and parameters are filled in when a pod is created.")
        for kind, passive, resources in (
            ("Workflow", False, _WORKFLOW),
            ("WorkflowTemplate", True, _WORKFLOW),
            ("ClusterWorkflowTemplate", True, _WORKFLOW),
            ("CronWorkflow", False, tuple(path.replace("spec.", "spec.workflowSpec.", 1) for path in _WORKFLOW)),
        )
    ),
    row("argoproj.io", "v1alpha1", "Rollout", Template(_TEMPLATE, ("spec.replicas",))),
    row("argoproj.io", "v1alpha1", "Experiment",
        Template("spec.templates[*].template.spec", ("spec.templates[*].replicas",))),
    *(
        row("argoproj.io", "v1alpha1", kind, Template("spec.metrics[*].provider.job.spec.template.spec"),
            passive=kind != "AnalysisRun", cluster_scoped=kind.startswith("Cluster"))
        for kind in ("AnalysisRun", "AnalysisTemplate", "ClusterAnalysisTemplate")
    ),
    # Volcano
    row("batch.volcano.sh", "v1alpha1", "Job", _TASKS, intermediate=True, note=f"{_QUEUED} {_SHARED_PLURAL}"),
    row("batch.volcano.sh", "v1alpha1", "CronJob",
        Template(f"{_CRON_TASKS}.template.spec", (f"{_CRON_TASKS}.replicas",)), suspend="spec.suspend",
        note=f"{_QUEUED} {_SHARED_PLURAL}"),
    row("flow.volcano.sh", "v1alpha1", "JobTemplate", _TASKS, passive=True, note=_QUEUED),
    row("flow.volcano.sh", "v1alpha1", "JobFlow",
        resources=("spec.flows[*].patch.jobSpec.tasks[*].template.spec.containers[*].resources",
            "spec.flows[*].patch.jobSpec.tasks[*].template.spec.initContainers[*].resources"),
        note=f"Its Jobs are made from the JobTemplates that it names, changed by its patches. {_QUEUED}"),
    # Spark: Kubeflow's operator, Apache's operator
    row("sparkoperator.k8s.io", "v1beta2", "SparkApplication", Template("spec.driver.template.spec"),
        Template("spec.executor.template.spec", ("spec.executor.instances",)),
        resources=("spec.driver.gpu", "spec.executor.gpu"), suspend="spec.suspend", intermediate=True, note=_SPARK),
    row("sparkoperator.k8s.io", "v1beta2", "ScheduledSparkApplication", Template("spec.template.driver.template.spec"),
        Template("spec.template.executor.template.spec", ("spec.template.executor.instances",)),
        resources=("spec.template.driver.gpu", "spec.template.executor.gpu"), suspend="spec.suspend", note=_SPARK),
    row("sparkoperator.k8s.io", "v1alpha1", "SparkConnect", Template("spec.server.template.spec"),
        Template("spec.executor.template.spec", ("spec.executor.instances",))),
    row("spark.apache.org", "v1 v1beta1", "SparkApplication", Template("spec.driverSpec.podTemplateSpec.spec"),
        Template("spec.executorSpec.podTemplateSpec.spec"),
        note="GPUs in sparkConf are text: spark.executor.resource.gpu.amount."),
    row("spark.apache.org", "v1 v1beta1", "SparkCluster",
        *(Template(f"spec.{role}.statefulSetSpec.template.spec", (f"spec.{role}.statefulSetSpec.replicas",))
            for role in ("masterSpec", "workerSpec"))),
    # Knative
    row("serving.knative.dev", "v1", "Service", Template(_TEMPLATE), note=_SHARED_PLURAL),
    row("serving.knative.dev", "v1", "Configuration", Template(_TEMPLATE)),
    row("serving.knative.dev", "v1", "Revision", Template("spec"), intermediate=True),
    # Tekton
    row("tekton.dev", "v1 v1beta1", "Task",
        resources=("spec.steps[*].computeResources", "spec.stepTemplate.computeResources",
            "spec.sidecars[*].computeResources")),
    row("tekton.dev", "v1 v1beta1", "TaskRun",
        resources=("spec.computeResources", "spec.stepSpecs[*].computeResources",
            "spec.sidecarSpecs[*].computeResources", "spec.taskSpec.steps[*].computeResources",
            "spec.taskSpec.stepTemplate.computeResources", "spec.taskSpec.sidecars[*].computeResources")),
    row("tekton.dev", "v1beta1 v1alpha1", "StepAction", resources=("spec.computeResources",)),
    row("tekton.dev", "v1 v1beta1", "Pipeline",
        resources=tuple(f"spec.{tasks}[*].taskSpec.{one}.computeResources"
            for tasks in ("tasks", "finally") for one in ("steps[*]", "stepTemplate", "sidecars[*]"))),
    row("tekton.dev", "v1 v1beta1", "PipelineRun",
        resources=("spec.taskRunSpecs[*].computeResources", "spec.taskRunSpecs[*].stepSpecs[*].computeResources")),
    # Seldon
    row("machinelearning.seldon.io", "v1 v1alpha3 v1alpha2", "SeldonDeployment",
        Template("spec.predictors[*].componentSpecs[*].spec", ("spec.predictors[*].componentSpecs[*].replicas",))),
    row("mlops.seldon.io", "v1alpha1", "Server", Template("spec.podSpec", ("spec.replicas",))),
    row("mlops.seldon.io", "v1alpha1", "ServerConfig", Template("spec.podSpec")),
    row("mlops.seldon.io", "v1alpha1", "SeldonConfig", Template("spec.components[*].podSpec")),
    row("mlops.seldon.io", "v1alpha1", "SeldonRuntime", Template("spec.overrides[*].podSpec")),
    # NVIDIA: NIM, Dynamo, Grove
    row("apps.nvidia.com", "v1alpha1", "NIMService", resources=("spec.resources",), implicit=True, note=_NIM),
    row("apps.nvidia.com", "v1alpha1", "NIMPipeline", resources=("spec.services[*].spec.resources",), implicit=True,
        note=_NIM),
    *(
        row("apps.nvidia.com", "v1alpha1", kind, resources=("spec.resources", *more))
        for kind, *more in (
            ("NIMBuild",), ("NIMCache",), ("NemoCustomizer", "spec.trainingConfig.resources"), ("NemoDatastore",),
            ("NemoEntitystore",), ("NemoEvaluator",), ("NemoGuardrail",),
        )
    ),
    row("nvidia.com", "v1beta1 v1alpha1", "DynamoGraphDeployment",
        Template("spec.components[*].podTemplate.spec", ("spec.components[*].replicas",)),
        Template("spec.services{*}.extraPodSpec", ("spec.services{*}.replicas",)),
        resources=("spec.services{*}.resources",), note="In v1alpha1 resources.limits.gpu is a number of GPUs."),
    row("nvidia.com", "v1beta1 v1alpha1", "DynamoComponentDeployment",
        Template("spec.podTemplate.spec", ("spec.replicas",)), Template("spec.extraPodSpec", ("spec.replicas",)),
        resources=("spec.resources",), intermediate=True),
    row("grove.io", "v1alpha1", "PodCliqueSet",
        Template("spec.template.cliques[*].spec.podSpec", ("spec.replicas", "spec.template.cliques[*].spec.replicas"))),
    row("grove.io", "v1alpha1", "PodClique", Template("spec.podSpec", ("spec.replicas",)), intermediate=True),
    # KAITO, AIBrix, RoleBasedGroup, vLLM
    row("kaito.sh", "v1beta1 v1alpha1", "Workspace", Template("inference.template.spec", ("resource.count",)),
        Template("tuning.template.spec", ("resource.count",)), implicit=True),
    row("orchestration.aibrix.ai", "v1alpha1", "StormService",
        Template("spec.template.spec.roles[*].template.spec", ("spec.template.spec.roles[*].replicas",))),
    row("orchestration.aibrix.ai", "v1alpha1", "RoleSet",
        Template("spec.roles[*].template.spec", ("spec.roles[*].replicas",)), intermediate=True),
    row("orchestration.aibrix.ai", "v1alpha1", "RayClusterFleet", *_ray("spec.template.spec"), note=_RAY),
    row("orchestration.aibrix.ai", "v1alpha1", "RayClusterReplicaSet", *_ray("spec.template.spec"), intermediate=True,
        note=_RAY),
    row("orchestration.aibrix.ai", "v1alpha1", "PodSet", Template("spec.template.spec", ("spec.podGroupSize",)),
        intermediate=True),
    row("workloads.x-k8s.io", "v1alpha2 v1alpha1", "RoleBasedGroup",
        *(Template(f"spec.roles[*].{pattern}template.spec", ("spec.roles[*].replicas",))
            for pattern in ("standalonePattern.", "leaderWorkerPattern.", ""))),
    row("kaito.sh", "v1beta1 v1alpha1", "InferenceSet", implicit=True, by_shape=True),
    row("kaito.sh", "v1beta1 v1alpha1", "RAGEngine", by_shape=True),
    row("kaito.sh", "v1beta1 v1alpha1", "MultiRoleInference", implicit=True, by_shape=True),
    row("orchestration.aibrix.ai", "v1alpha1", "KVCache", by_shape=True),
    row("workloads.x-k8s.io", "v1alpha2 v1alpha1", "RoleBasedGroupSet", by_shape=True),
    row("workloads.x-k8s.io", "v1alpha2", "RoleBasedGroupWarmup", by_shape=True),
    row("workloads.x-k8s.io", "v1alpha2", "RoleInstance", by_shape=True),
    row("workloads.x-k8s.io", "v1alpha2", "RoleInstanceSet", by_shape=True),
    row("workloads.x-k8s.io", "v1alpha1", "Instance", by_shape=True),
    row("workloads.x-k8s.io", "v1alpha1", "InstanceSet", by_shape=True),
    row("production-stack.vllm.ai", "v1alpha1", "VLLMRuntime", resources=("spec.resources",)),
    # Objects that hold others; virtual machines; runners
    row("workload.codeflare.dev", "v1beta2", "AppWrapper", suspend="spec.suspend",
        note="Its components are objects of any kind; Kueue counts the pods that they name in their templates.",
        by_shape=True),
    *(
        row("kubevirt.io", "v1 v1alpha3", kind, note=_VIRTUAL, by_shape=True)
        for kind in ("VirtualMachine", "VirtualMachineInstance", "VirtualMachineInstanceReplicaSet")
    ),
    *(
        row("actions.summerwind.dev", "v1alpha1", kind, by_shape=True)
        for kind in ("Runner", "RunnerSet", "RunnerDeployment", "RunnerReplicaSet")
    ),
    # Others
    row("keda.sh", "v1alpha1", "ScaledJob",
        Template("spec.jobTargetRef.template.spec", ("spec.jobTargetRef.parallelism",))),
    row("actions.github.com", "v1alpha1", "AutoscalingRunnerSet", Template(_TEMPLATE)),
    row("actions.github.com", "v1alpha1", "EphemeralRunnerSet",
        Template("spec.ephemeralRunnerSpec.spec", ("spec.replicas",)), intermediate=True),
    row("actions.github.com", "v1alpha1", "EphemeralRunner", Template("spec.spec"), intermediate=True),
    row("kubernetes.dask.org", "v1", "DaskCluster", Template("spec.worker.spec", ("spec.worker.replicas",)),
        Template("spec.scheduler.spec"), intermediate=True),
    row("kubernetes.dask.org", "v1", "DaskWorkerGroup", Template("spec.worker.spec", ("spec.worker.replicas",)),
        intermediate=True),
    row("kubernetes.dask.org", "v1", "DaskJob", Template("spec.job.spec"),
        Template("spec.cluster.spec.worker.spec", ("spec.cluster.spec.worker.replicas",)),
        Template("spec.cluster.spec.scheduler.spec")),
    row("flink.apache.org", "v1beta1", "FlinkDeployment", Template("spec.podTemplate.spec"),
        Template("spec.jobManager.podTemplate.spec", ("spec.jobManager.replicas",)),
        Template("spec.taskManager.podTemplate.spec", ("spec.taskManager.replicas",)),
        note="GPUs in flinkConfiguration are text."),
    row("apps.kruise.io", "v1beta1 v1alpha1", "CloneSet", Template(_TEMPLATE, ("spec.replicas",))),
    row("apps.kruise.io", "v1beta1 v1alpha1", "StatefulSet", Template(_TEMPLATE, ("spec.replicas",)),
        note=_SHARED_PLURAL),
    row("apps.kruise.io", "v1beta1 v1alpha1", "DaemonSet", Template(_TEMPLATE), uncounted=ON_EACH_NODE,
        note=_SHARED_PLURAL),
    row("apps.kruise.io", "v1beta1 v1alpha1", "BroadcastJob", Template(_TEMPLATE), uncounted=ON_EACH_NODE),
    row("apps.kruise.io", "v1beta1 v1alpha1", "UnitedDeployment",
        *(Template(f"spec.template.{one}Template.spec.template.spec") for one in ("statefulSet",
            "advancedStatefulSet", "cloneSet", "deployment")), uncounted="spec.replicas is divided over its subsets",
        note="spec.replicas is divided over its subsets."),
    row("apps.kruise.io", "v1beta1 v1alpha1", "SidecarSet",
        resources=("spec.containers[*].resources", "spec.initContainers[*].resources"), passive=True,
        cluster_scoped=True, note="Its containers are added to the pods that it selects, when these are created."),
    row("apps.kruise.io", "v1beta1 v1alpha1", "AdvancedCronJob",
        Template("spec.template.jobTemplate.spec.template.spec", ("spec.template.jobTemplate.spec.parallelism",)),
        Template("spec.template.broadcastJobTemplate.spec.template.spec"), suspend="spec.paused"),
    row("apps.openshift.io", "v1", "DeploymentConfig", Template("spec.template.spec", ("spec.replicas",))),
)
# fmt: on
"""Operators' kinds."""


def audited(configured: Iterable[WorkloadKind] = ()) -> tuple[WorkloadKind, ...]:
    """Return what an audit of a cluster reads: the kinds in namespaces, without Kueue's copies of others.

    Rows of the configuration come in addition, or replace those of the same group and kind.
    """
    rows = {(row.group, row.kind): row for row in (*OPERATORS, *configured)}
    return tuple(
        row for row in rows.values() if not (row.cluster_scoped or (row.intermediate and row.passive and row.templates))
    )


AUDITED = audited()
