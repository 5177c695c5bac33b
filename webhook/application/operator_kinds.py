"""The rows of operators' kinds, from the CRDs or Go types in each project's repository, as of August 2026.

Their objects are never rewritten, only the pods that an operator makes from them: operators set their children's templates
again and again, and several of them copy the name or the number of GPUs from the template to places other than the pod.
"""

from collections.abc import Iterable

from .workload_kinds import ON_EACH_NODE, Template, WorkloadKind

_RAY = "Ray takes num-gpus from the template's limits, and ignores names that end in .shared or .me."
_QUEUED = (
    "The queue counts what the template names, before any pod exists: a name that no node offers is never admitted."
)
_SPARK = "The operator adds the GPUs of driver.gpu and executor.gpu to the pods by a webhook of its own."
_NIM = "The operator adds nvidia.com/gpu where another name requests the GPU, so such pods are denied with mixed-gpu-resources."
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


def _kubeflow(kind: str, field: str, *versions: str) -> WorkloadKind:
    """A job of Kubeflow's training operator: a map of roles."""
    template = Template(f"spec.{field}{{*}}.template.spec", (f"spec.{field}{{*}}.replicas",))
    plural = f"{kind.lower()}s"
    return WorkloadKind(
        "kubeflow.org", versions or ("v1",), kind, plural, (template,), suspend="spec.runPolicy.suspend"
    )


def _jobs(root: str) -> Template:
    """The Jobs of a JobSet's spec."""
    jobs = f"{root}.replicatedJobs[*]"
    return Template(f"{jobs}.template.spec.template.spec", (f"{jobs}.replicas", f"{jobs}.template.spec.parallelism"))


def _one(  # noqa: PLR0913, PLR0917 - what distinguishes a kind
    group: str,
    versions: str,
    kind: str,
    plural: str,
    path: str = "spec.template.spec",
    replicas: str = "",
    suspend: str = "",
    note: str = "",
    uncounted: str = "",
) -> WorkloadKind:
    """A kind with one template, and one count if it has any."""
    templates = (Template(path, (replicas,) if replicas else ()),)
    return WorkloadKind(
        group, tuple(versions.split()), kind, plural, templates, suspend=suspend, uncounted=uncounted, note=note
    )


def _requesting(  # noqa: PLR0913 - as for ``_one``
    group: str, versions: str, kind: str, plural: str, *resources: str, implicit: bool = False, note: str = ""
) -> WorkloadKind:
    """A kind that requests GPUs outside of pod templates."""
    return WorkloadKind(group, tuple(versions.split()), kind, plural, (), resources, implicit=implicit, note=note)


def _by_shape(  # noqa: PLR0913, PLR0917 - as for ``_one``
    group: str, versions: str, kind: str, plural: str, suspend: str = "", note: str = ""
) -> WorkloadKind:
    """A kind whose objects hold pods, or request GPUs, in places that differ from object to object."""
    return WorkloadKind(group, tuple(versions.split()), kind, plural, (), suspend=suspend, note=note, by_shape=True)


_ROLES = "spec.roles[*].spec.leaderWorkerTemplate"
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
    WorkloadKind("ray.io", ("v1", "v1alpha1"), "RayCluster", "rayclusters", _ray("spec"), suspend="spec.suspend",
        intermediate=True, note=_RAY),
    WorkloadKind("ray.io", ("v1", "v1alpha1"), "RayJob", "rayjobs",
        (*_ray("spec.rayClusterSpec"), Template("spec.submitterPodTemplate.spec")), suspend="spec.suspend",
        note=_RAY),
    WorkloadKind("ray.io", ("v1", "v1alpha1"), "RayService", "rayservices", _ray("spec.rayClusterConfig"),
        suspend="spec.suspend", note=_RAY),
    WorkloadKind("ray.io", ("v1",), "RayCronJob", "raycronjobs",
        (*_ray("spec.jobTemplate.rayClusterSpec"), Template("spec.jobTemplate.submitterPodTemplate.spec")),
        suspend="spec.suspend", note=_RAY),
    # Kubeflow: training operator, MPI operator, trainer, notebooks
    _kubeflow("PyTorchJob", "pytorchReplicaSpecs"),
    _kubeflow("TFJob", "tfReplicaSpecs"),
    _kubeflow("XGBoostJob", "xgbReplicaSpecs"),
    _kubeflow("PaddleJob", "paddleReplicaSpecs"),
    _kubeflow("JAXJob", "jaxReplicaSpecs"),
    _kubeflow("MPIJob", "mpiReplicaSpecs", "v2beta1", "v1"),
    _one("kubeflow.org", "v1 v1beta1 v1alpha1", "Notebook", "notebooks",
        note="It is stopped by the annotation kubeflow-resource-stopped."),
    WorkloadKind("kubeflow.org", ("v1beta1",), "WorkspaceKind", "workspacekinds", (),
        ("spec.podTemplate.options.podConfig.values[*].spec.resources",), passive=True, cluster_scoped=True),
    _one("kubeflow.org", "v1alpha1", "PVCViewer", "pvcviewers", "spec.podSpec"),
    WorkloadKind("trainer.kubeflow.org", ("v1alpha1",), "ClusterTrainingRuntime", "clustertrainingruntimes",
        (_jobs("spec.template.spec"),), passive=True, cluster_scoped=True),
    WorkloadKind("trainer.kubeflow.org", ("v1alpha1",), "TrainingRuntime", "trainingruntimes",
        (_jobs("spec.template.spec"),), passive=True),
    _requesting("trainer.kubeflow.org", "v1alpha1", "TrainJob", "trainjobs", "spec.trainer.resourcesPerNode",
        note="The other requests of its pods are in the runtime that spec.runtimeRef names."),
    WorkloadKind("trainer.kubeflow.org", ("v1alpha1",), "OptimizationJob", "optimizationjobs", (),
        ("spec.trainJobTemplate.spec.trainer.resourcesPerNode",),
        note="The other requests of its pods are in the runtime that spec.trainJobTemplate.spec.runtimeRef names."),
    # Kubernetes SIGs: JobSet, LeaderWorkerSet, agent-sandbox, Kueue
    WorkloadKind("jobset.x-k8s.io", ("v1alpha2",), "JobSet", "jobsets", (_jobs("spec"),), suspend="spec.suspend",
        intermediate=True),
    WorkloadKind("leaderworkerset.x-k8s.io", ("v1",), "LeaderWorkerSet", "leaderworkersets",
        (Template("spec.leaderWorkerTemplate.leaderTemplate.spec", ("spec.replicas",)),
         Template("spec.leaderWorkerTemplate.workerTemplate.spec",
            ("spec.replicas", "spec.leaderWorkerTemplate.size"),
            with_leader="spec.leaderWorkerTemplate.size",
            leader="spec.leaderWorkerTemplate.leaderTemplate")),
        note="One of the pods that spec.leaderWorkerTemplate.size counts is the leader."),
    WorkloadKind("disaggregatedset.x-k8s.io", ("v1",), "DisaggregatedSet", "disaggregatedsets",
        (Template(f"{_ROLES}.leaderTemplate.spec", ("spec.roles[*].spec.replicas",)),
         Template(f"{_ROLES}.workerTemplate.spec", ("spec.roles[*].spec.replicas", f"{_ROLES}.size"),
            with_leader=f"{_ROLES}.size", leader=f"{_ROLES}.leaderTemplate")),
        note="One of the pods that leaderWorkerTemplate.size counts is the leader."),
    _one("agents.x-k8s.io", "v1beta1 v1alpha1", "Sandbox", "sandboxes", "spec.podTemplate.spec", "spec.replicas"),
    WorkloadKind("extensions.agents.x-k8s.io", ("v1beta1", "v1alpha1"), "SandboxTemplate", "sandboxtemplates",
        (Template("spec.podTemplate.spec"),), passive=True),
    WorkloadKind("kueue.x-k8s.io", ("v1beta2", "v1beta1"), "Workload", "workloads",
        (Template("spec.podSets[*].template.spec", ("spec.podSets[*].count",)),), intermediate=True, passive=True,
        note="A copy that Kueue makes of a workload."),
    # KServe
    WorkloadKind("serving.kserve.io", ("v1beta1",), "InferenceService", "inferenceservices",
        (Template("spec.predictor", ("spec.predictor.minReplicas",)),
         Template("spec.predictor.workerSpec",
            ("spec.predictor.minReplicas", "spec.predictor.workerSpec.pipelineParallelSize")),
         Template("spec.transformer", ("spec.transformer.minReplicas",)),
         Template("spec.explainer", ("spec.explainer.minReplicas",))),
        (*(f"spec.predictor.{one}.resources" for one in ("model", *_PREDICTORS)), "spec.explainer.art.resources"),
        note=_KSERVE),
    WorkloadKind("serving.kserve.io", ("v1alpha2", "v1alpha1"), "LLMInferenceService", "llminferenceservices",
        (Template("spec.template", ("spec.replicas",)),
         Template("spec.worker", ("spec.replicas",)),
         Template("spec.prefill.template", ("spec.prefill.replicas",)),
         Template("spec.prefill.worker", ("spec.prefill.replicas",)),
         Template("spec.router.scheduler.template"),
         Template("spec.router.scheduler.tokenizer.template"))),
    WorkloadKind("serving.kserve.io", ("v1alpha2", "v1alpha1"), "LLMInferenceServiceConfig", "llminferenceserviceconfigs",
        tuple(Template(f"spec.{one}") for one in ("template", "worker", "prefill.template", "prefill.worker",
            "router.scheduler.template", "router.scheduler.tokenizer.template")), passive=True),
    _requesting("serving.kserve.io", "v1alpha1", "InferenceGraph", "inferencegraphs", "spec.resources"),
    *(
        WorkloadKind(
            "serving.kserve.io",
            ("v1alpha1",),
            kind,
            f"{kind.lower()}s",
            (),
            ("spec.containers[*].resources", "spec.workerSpec.containers[*].resources"),
            passive=True,
            cluster_scoped=kind.startswith("Cluster"),
            note="Its containers are merged by their names into the pods of an InferenceService.",
        )
        for kind in ("ServingRuntime", "ClusterServingRuntime")
    ),
    # Argo: workflows, rollouts
    *(
        WorkloadKind(
            "argoproj.io",
            ("v1alpha1",),
            kind,
            f"{kind.lower()}s",
            (),
            resources,
            suspend="" if passive else "spec.suspend",
            passive=passive,
            cluster_scoped=kind.startswith("Cluster"),
            note="podSpecPatch and parameters are filled in when a pod is created.",
        )
        for kind, passive, resources in (
            ("Workflow", False, _WORKFLOW),
            ("WorkflowTemplate", True, _WORKFLOW),
            ("ClusterWorkflowTemplate", True, _WORKFLOW),
            ("CronWorkflow", False, tuple(path.replace("spec.", "spec.workflowSpec.", 1) for path in _WORKFLOW)),
        )
    ),
    _one("argoproj.io", "v1alpha1", "Rollout", "rollouts", replicas="spec.replicas"),
    _one("argoproj.io", "v1alpha1", "Experiment", "experiments", "spec.templates[*].template.spec",
        "spec.templates[*].replicas"),
    *(
        WorkloadKind(
            "argoproj.io",
            ("v1alpha1",),
            kind,
            plural,
            (Template("spec.metrics[*].provider.job.spec.template.spec"),),
            passive=kind != "AnalysisRun",
            cluster_scoped=kind.startswith("Cluster"),
        )
        for kind, plural in (
            ("AnalysisRun", "analysisruns"),
            ("AnalysisTemplate", "analysistemplates"),
            ("ClusterAnalysisTemplate", "clusteranalysistemplates"),
        )
    ),
    # Volcano
    WorkloadKind("batch.volcano.sh", ("v1alpha1",), "Job", "jobs", (_TASKS,), intermediate=True,
        note=f"{_QUEUED} {_SHARED_PLURAL}"),
    _one("batch.volcano.sh", "v1alpha1", "CronJob", "cronjobs", f"{_CRON_TASKS}.template.spec",
        f"{_CRON_TASKS}.replicas", "spec.suspend", f"{_QUEUED} {_SHARED_PLURAL}"),
    WorkloadKind("flow.volcano.sh", ("v1alpha1",), "JobTemplate", "jobtemplates", (_TASKS,), passive=True,
        note=_QUEUED),
    WorkloadKind("flow.volcano.sh", ("v1alpha1",), "JobFlow", "jobflows", (),
        ("spec.flows[*].patch.jobSpec.tasks[*].template.spec.containers[*].resources",
        "spec.flows[*].patch.jobSpec.tasks[*].template.spec.initContainers[*].resources"),
        note=f"Its Jobs are made from the JobTemplates that it names, changed by its patches. {_QUEUED}"),
    # Spark: Kubeflow's operator, Apache's operator
    WorkloadKind("sparkoperator.k8s.io", ("v1beta2",), "SparkApplication", "sparkapplications",
        (Template("spec.driver.template.spec"), Template("spec.executor.template.spec", ("spec.executor.instances",))),
        ("spec.driver.gpu", "spec.executor.gpu"), suspend="spec.suspend", intermediate=True, note=_SPARK),
    WorkloadKind("sparkoperator.k8s.io", ("v1beta2",), "ScheduledSparkApplication", "scheduledsparkapplications",
        (Template("spec.template.driver.template.spec"),
         Template("spec.template.executor.template.spec", ("spec.template.executor.instances",))),
        ("spec.template.driver.gpu", "spec.template.executor.gpu"), suspend="spec.suspend", note=_SPARK),
    WorkloadKind("sparkoperator.k8s.io", ("v1alpha1",), "SparkConnect", "sparkconnects",
        (Template("spec.server.template.spec"), Template("spec.executor.template.spec", ("spec.executor.instances",)))),
    WorkloadKind("spark.apache.org", ("v1", "v1beta1"), "SparkApplication", "sparkapplications",
        (Template("spec.driverSpec.podTemplateSpec.spec"), Template("spec.executorSpec.podTemplateSpec.spec")),
        note="GPUs in sparkConf are text: spark.executor.resource.gpu.amount."),
    WorkloadKind("spark.apache.org", ("v1", "v1beta1"), "SparkCluster", "sparkclusters",
        tuple(Template(f"spec.{role}.statefulSetSpec.template.spec", (f"spec.{role}.statefulSetSpec.replicas",))
            for role in ("masterSpec", "workerSpec"))),
    # Knative
    _one("serving.knative.dev", "v1", "Service", "services", note=_SHARED_PLURAL),
    _one("serving.knative.dev", "v1", "Configuration", "configurations"),
    WorkloadKind("serving.knative.dev", ("v1",), "Revision", "revisions", (Template("spec"),), intermediate=True),
    # Tekton
    _requesting("tekton.dev", "v1 v1beta1", "Task", "tasks", "spec.steps[*].computeResources",
        "spec.stepTemplate.computeResources", "spec.sidecars[*].computeResources"),
    _requesting("tekton.dev", "v1 v1beta1", "TaskRun", "taskruns", "spec.computeResources",
        "spec.stepSpecs[*].computeResources", "spec.sidecarSpecs[*].computeResources",
        "spec.taskSpec.steps[*].computeResources", "spec.taskSpec.stepTemplate.computeResources",
        "spec.taskSpec.sidecars[*].computeResources"),
    _requesting("tekton.dev", "v1beta1 v1alpha1", "StepAction", "stepactions", "spec.computeResources"),
    _requesting("tekton.dev", "v1 v1beta1", "Pipeline", "pipelines",
        *(f"spec.{tasks}[*].taskSpec.{one}.computeResources"
            for tasks in ("tasks", "finally") for one in ("steps[*]", "stepTemplate", "sidecars[*]"))),
    _requesting("tekton.dev", "v1 v1beta1", "PipelineRun", "pipelineruns", "spec.taskRunSpecs[*].computeResources",
        "spec.taskRunSpecs[*].stepSpecs[*].computeResources"),
    # Seldon
    _one("machinelearning.seldon.io", "v1 v1alpha3 v1alpha2", "SeldonDeployment", "seldondeployments",
        "spec.predictors[*].componentSpecs[*].spec", "spec.predictors[*].componentSpecs[*].replicas"),
    _one("mlops.seldon.io", "v1alpha1", "Server", "servers", "spec.podSpec", "spec.replicas"),
    _one("mlops.seldon.io", "v1alpha1", "ServerConfig", "serverconfigs", "spec.podSpec"),
    _one("mlops.seldon.io", "v1alpha1", "SeldonConfig", "seldonconfigs", "spec.components[*].podSpec"),
    _one("mlops.seldon.io", "v1alpha1", "SeldonRuntime", "seldonruntimes", "spec.overrides[*].podSpec"),
    # NVIDIA: NIM, Dynamo, Grove
    _requesting("apps.nvidia.com", "v1alpha1", "NIMService", "nimservices", "spec.resources", implicit=True, note=_NIM),
    _requesting("apps.nvidia.com", "v1alpha1", "NIMPipeline", "nimpipelines", "spec.services[*].spec.resources",
        implicit=True, note=_NIM),
    *(
        _requesting("apps.nvidia.com", "v1alpha1", kind, plural, "spec.resources", *more)
        for kind, plural, *more in (
            ("NIMBuild", "nimbuilds"),
            ("NIMCache", "nimcaches"),
            ("NemoCustomizer", "nemocustomizers", "spec.trainingConfig.resources"),
            ("NemoDatastore", "nemodatastores"),
            ("NemoEntitystore", "nemoentitystores"),
            ("NemoEvaluator", "nemoevaluators"),
            ("NemoGuardrail", "nemoguardrails"),
        )
    ),
    WorkloadKind("nvidia.com", ("v1beta1", "v1alpha1"), "DynamoGraphDeployment", "dynamographdeployments",
        (Template("spec.components[*].podTemplate.spec", ("spec.components[*].replicas",)),
         Template("spec.services{*}.extraPodSpec", ("spec.services{*}.replicas",))),
        ("spec.services{*}.resources",), note="In v1alpha1 resources.limits.gpu is a number of GPUs."),
    WorkloadKind("nvidia.com", ("v1beta1", "v1alpha1"), "DynamoComponentDeployment", "dynamocomponentdeployments",
        (Template("spec.podTemplate.spec", ("spec.replicas",)), Template("spec.extraPodSpec", ("spec.replicas",))),
        ("spec.resources",), intermediate=True),
    WorkloadKind("grove.io", ("v1alpha1",), "PodCliqueSet", "podcliquesets",
        (Template("spec.template.cliques[*].spec.podSpec", ("spec.replicas", "spec.template.cliques[*].spec.replicas")),)),
    WorkloadKind("grove.io", ("v1alpha1",), "PodClique", "podcliques",
        (Template("spec.podSpec", ("spec.replicas",)),), intermediate=True),
    # KAITO, AIBrix, RoleBasedGroup, vLLM
    WorkloadKind("kaito.sh", ("v1beta1", "v1alpha1"), "Workspace", "workspaces",
        (Template("inference.template.spec", ("resource.count",)), Template("tuning.template.spec", ("resource.count",))),
        implicit=True),
    _one("orchestration.aibrix.ai", "v1alpha1", "StormService", "stormservices",
        "spec.template.spec.roles[*].template.spec", "spec.template.spec.roles[*].replicas"),
    WorkloadKind("orchestration.aibrix.ai", ("v1alpha1",), "RoleSet", "rolesets",
        (Template("spec.roles[*].template.spec", ("spec.roles[*].replicas",)),), intermediate=True),
    WorkloadKind("orchestration.aibrix.ai", ("v1alpha1",), "RayClusterFleet", "rayclusterfleets",
        _ray("spec.template.spec"), note=_RAY),
    WorkloadKind("orchestration.aibrix.ai", ("v1alpha1",), "RayClusterReplicaSet", "rayclusterreplicasets",
        _ray("spec.template.spec"), intermediate=True, note=_RAY),
    WorkloadKind("orchestration.aibrix.ai", ("v1alpha1",), "PodSet", "podsets",
        (Template("spec.template.spec", ("spec.podGroupSize",)),), intermediate=True),
    WorkloadKind("workloads.x-k8s.io", ("v1alpha2", "v1alpha1"), "RoleBasedGroup", "rolebasedgroups",
        tuple(Template(f"spec.roles[*].{pattern}template.spec", ("spec.roles[*].replicas",))
            for pattern in ("standalonePattern.", "leaderWorkerPattern.", ""))),
    *(
        WorkloadKind("kaito.sh", ("v1beta1", "v1alpha1"), kind, plural, (), implicit=implicit, by_shape=True)
        for kind, plural, implicit in (
            ("InferenceSet", "inferencesets", True),
            ("RAGEngine", "ragengines", False),
            ("MultiRoleInference", "multiroleinferences", True),
        )
    ),
    _by_shape("orchestration.aibrix.ai", "v1alpha1", "KVCache", "kvcaches"),
    *(
        _by_shape("workloads.x-k8s.io", versions, kind, f"{kind.lower()}s")
        for kind, versions in (
            ("RoleBasedGroupSet", "v1alpha2 v1alpha1"),
            ("RoleBasedGroupWarmup", "v1alpha2"),
            ("RoleInstance", "v1alpha2"),
            ("RoleInstanceSet", "v1alpha2"),
            ("Instance", "v1alpha1"),
            ("InstanceSet", "v1alpha1"),
        )
    ),
    _requesting("production-stack.vllm.ai", "v1alpha1", "VLLMRuntime", "vllmruntimes", "spec.resources"),
    # Objects that hold others; virtual machines; runners
    _by_shape("workload.codeflare.dev", "v1beta2", "AppWrapper", "appwrappers", "spec.suspend",
        "Its components are objects of any kind; Kueue counts the pods that they name in their templates."),
    *(
        _by_shape("kubevirt.io", "v1 v1alpha3", kind, f"{kind.lower()}s", note=_VIRTUAL)
        for kind in ("VirtualMachine", "VirtualMachineInstance", "VirtualMachineInstanceReplicaSet")
    ),
    *(
        _by_shape("actions.summerwind.dev", "v1alpha1", kind, f"{kind.lower()}s")
        for kind in ("Runner", "RunnerSet", "RunnerDeployment", "RunnerReplicaSet")
    ),
    # Others
    _one("keda.sh", "v1alpha1", "ScaledJob", "scaledjobs", "spec.jobTargetRef.template.spec",
        "spec.jobTargetRef.parallelism"),
    _one("actions.github.com", "v1alpha1", "AutoscalingRunnerSet", "autoscalingrunnersets"),
    WorkloadKind("actions.github.com", ("v1alpha1",), "EphemeralRunnerSet", "ephemeralrunnersets",
        (Template("spec.ephemeralRunnerSpec.spec", ("spec.replicas",)),), intermediate=True),
    WorkloadKind("actions.github.com", ("v1alpha1",), "EphemeralRunner", "ephemeralrunners", (Template("spec.spec"),),
        intermediate=True),
    WorkloadKind("kubernetes.dask.org", ("v1",), "DaskCluster", "daskclusters",
        (Template("spec.worker.spec", ("spec.worker.replicas",)), Template("spec.scheduler.spec")),
        intermediate=True),
    WorkloadKind("kubernetes.dask.org", ("v1",), "DaskWorkerGroup", "daskworkergroups",
        (Template("spec.worker.spec", ("spec.worker.replicas",)),), intermediate=True),
    WorkloadKind("kubernetes.dask.org", ("v1",), "DaskJob", "daskjobs",
        (Template("spec.job.spec"),
         Template("spec.cluster.spec.worker.spec", ("spec.cluster.spec.worker.replicas",)),
         Template("spec.cluster.spec.scheduler.spec"))),
    WorkloadKind("flink.apache.org", ("v1beta1",), "FlinkDeployment", "flinkdeployments",
        (Template("spec.podTemplate.spec"),
         Template("spec.jobManager.podTemplate.spec", ("spec.jobManager.replicas",)),
         Template("spec.taskManager.podTemplate.spec", ("spec.taskManager.replicas",))),
        note="GPUs in flinkConfiguration are text."),
    *(
        _one("apps.kruise.io", "v1beta1 v1alpha1", kind, f"{kind.lower()}s", replicas=replicas, note=note,
            uncounted="" if replicas else ON_EACH_NODE)
        for kind, replicas, note in (
            ("CloneSet", "spec.replicas", ""),
            ("StatefulSet", "spec.replicas", _SHARED_PLURAL),
            ("DaemonSet", "", _SHARED_PLURAL),
            ("BroadcastJob", "", ""),
        )
    ),
    WorkloadKind("apps.kruise.io", ("v1beta1", "v1alpha1"), "UnitedDeployment", "uniteddeployments",
        tuple(Template(f"spec.template.{one}Template.spec.template.spec")
            for one in ("statefulSet", "advancedStatefulSet", "cloneSet", "deployment")),
        uncounted="spec.replicas is divided over its subsets", note="spec.replicas is divided over its subsets."),
    WorkloadKind("apps.kruise.io", ("v1beta1", "v1alpha1"), "SidecarSet", "sidecarsets", (),
        ("spec.containers[*].resources", "spec.initContainers[*].resources"), passive=True, cluster_scoped=True,
        note="Its containers are added to the pods that it selects, when these are created."),
    WorkloadKind("apps.kruise.io", ("v1beta1", "v1alpha1"), "AdvancedCronJob", "advancedcronjobs",
        (Template("spec.template.jobTemplate.spec.template.spec",
            ("spec.template.jobTemplate.spec.parallelism",)),
         Template("spec.template.broadcastJobTemplate.spec.template.spec")),
        suspend="spec.paused"),
    WorkloadKind("apps.openshift.io", ("v1",), "DeploymentConfig", "deploymentconfigs",
        (Template("spec.template.spec", ("spec.replicas",)),)),
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
