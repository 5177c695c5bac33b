"""The configuration as admission uses it: parsed, checked, and swapped whole when its file changes."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from ..engine.device_classes import DeviceClasses, named_form
from ..engine.forms import Form
from ..engine.other_gpus import BUILT_IN, GpuNames
from ..engine.pods import Pod
from ..engine.policy import PolicyBook
from ..engine.requests import requests_any
from ..engine.schedulers import HAMI_RESOURCES, scheduler_of
from ..engine.spelling import DevicePlugin
from .workload_kinds import WorkloadKind


class Mode(StrEnum):
    """Whether enforce policies act, or only show what they would do (a dry run of the whole cluster)."""

    ENFORCE = "enforce"
    AUDIT = "audit"


class Exemptions(msgspec.Struct, frozen=True):
    """The exemptions, by exact name."""

    namespaces: frozenset[str] = frozenset()
    usernames: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()
    schedulers: frozenset[str] = frozenset()

    def of_request(self, namespace: str, username: str) -> str | None:
        """Return why a request is exempt before its object is read: ``namespace``, ``user`` or ``None``."""
        if namespace in self.namespaces:
            return "namespace"
        return "user" if username in self.usernames else None

    def of_pod(self, pod: Pod) -> str | None:
        """Return why a pod is exempt, or ``None``: ``runtimeClass``, ``scheduler``, ``resources`` (an exempt scheduler's own)."""
        spec = pod.spec
        if spec is None:
            return None
        if spec.runtime_class_name in self.runtime_classes:
            return "runtimeClass"
        # A pod that names its node bypasses scheduling: no scheduler sees it, and the kubelet ignores resources that the node
        # does not have (pkg/kubelet/lifecycle/predicate.go removeMissingExtendedResources).
        if spec.node_name:
            return None
        scheduler = scheduler_of(spec) if requests_any(spec, HAMI_RESOURCES) else spec.scheduler_name
        if scheduler not in self.schedulers:
            return None
        return "scheduler" if spec.scheduler_name == scheduler else "resources"


DEFAULT_EXEMPTIONS = Exemptions(
    namespaces=frozenset({"kube-system", "gpu-operator"}),
    # These interpret GPU requests themselves; in a cluster without them, a pod that names them never starts.
    schedulers=frozenset({"kai-scheduler", "hami-scheduler"}),
)


class Configuration(msgspec.Struct, frozen=True):
    """Everything that decisions depend on besides the pod and its namespace's labels."""

    policies: PolicyBook = msgspec.field(default_factory=PolicyBook)
    mode: Mode = Mode.ENFORCE
    plugin: DevicePlugin = DevicePlugin()
    exemptions: Exemptions = DEFAULT_EXEMPTIONS
    names: GpuNames = BUILT_IN
    device_classes: Mapping[str, str] = {}
    expected: tuple[Form, ...] = ()
    """Forms that an autoscaler can add nodes for, so that no node need offer them now."""
    kinds: Mapping[tuple[str, str], WorkloadKind] = {}
    """The workload kinds that are added to gpuwarden's own or replace one, by group and kind."""
    named_classes: Mapping[str, str] = {}
    """The forms of DeviceClasses by their resource names, as the cluster or the input has them (``with_classes``)."""

    @property
    def classes(self) -> DeviceClasses:
        """The DeviceClasses that hand out GPUs."""
        return DeviceClasses(self.device_classes, self.names, self.named_classes)

    def with_classes(self, names: Mapping[str, str]) -> "Configuration":
        """The same configuration with the forms that the resource names of DeviceClasses, in the cluster or the input, imply.

        Args:
            names: the ``extendedResourceName`` of each class that has one.
        """
        forms = ((device_class, named_form(name)) for device_class, name in names.items())
        configuration = msgspec.structs.replace(self, named_classes={each: form for each, form in forms if form})
        published = configuration.classes.published(names)
        return msgspec.structs.replace(configuration, names=msgspec.structs.replace(self.names, published=published))
