"""The effect of a policy on a workload's next pods."""

import msgspec

from ...engine.device_classes import NVIDIA_CLASSES, DeviceClasses
from ...engine.forms import Form, parse
from ...engine.policy import Mismatch, Policy, Prefer
from ...engine.rules.gpu_memory import by_memory
from ...engine.spelling import DevicePlugin
from .verdicts import WorkloadVerdict


class EvaluatedWorkload(msgspec.Struct, frozen=True):
    """A workload of a namespace.

    Attributes:
        name: for people.
        stated: the form that its requests name; empty if they name none.
        form: the form that it has.
        memory: in MiB, what the annotation gpuwarden.io/gpu-memory requests; 0 without it.
        claimed: it requests GPUs by claims (DRA), which no policy rewrites.
        unreachable: forms, each with a GPU model, that only nodes offer on which its pods may not run.
        gpus: how many GPUs, slots or slices a pod requests.
        in_container: the most that one of its containers requests, other than by claims; 0 if that is not known.
    """

    name: str
    stated: str
    verdict: WorkloadVerdict
    form: str = ""
    memory: int = 0
    claimed: bool = False
    unreachable: tuple[tuple[str, str], ...] = ()
    gpus: int = 1
    in_container: int = 0


class PolicyEffect(msgspec.Struct, frozen=True):
    """A policy, and what decides which forms it gives.

    Attributes:
        policy: as it rewrites pods now: under ``prefer: offered``, the first form that nodes offer is its first.
        plugin: the settings of the device plugin that the configuration states.
        classes: the forms of DeviceClasses, for policies that give claims.
    """

    policy: Policy
    plugin: DevicePlugin = DevicePlugin()
    classes: DeviceClasses = NVIDIA_CLASSES

    @property
    def first(self) -> str:
        """The form that it gives plain requests; empty for ``any``, ``none`` and invalid labels, and if it is not known."""
        return next(map(str, self._every), "")

    @property
    def _every(self) -> tuple[Form, ...]:
        """The forms that it permits, beginning with that of plain requests; none if that is not known."""
        policy = self.policy
        found = [
            one if isinstance(one, Form) else self.classes.form(one.device_class, None) for one in policy.permitted
        ]
        return tuple(one for one in found if one) if found and found[0] else ()

    def _permitted(self, evaluated: EvaluatedWorkload) -> tuple[Form, ...]:
        """The forms that it permits for a workload: under ``prefer: memory``, those with the memory that it requests."""
        if self.policy.prefer is not Prefer.MEMORY or not evaluated.memory:
            return self._every
        policy, problems = by_memory(f"{evaluated.memory}Mi", self.policy, self.plugin)
        return () if problems else policy.forms

    def denies(self, evaluated: EvaluatedWorkload) -> bool:
        """Whether it denies the workload's next pods."""
        return not self.policy.permits_any and not self._given(evaluated)

    def exceeded(self, evaluated: EvaluatedWorkload) -> str:
        """Return which limit of the policy a pod of the workload exceeds; empty if none."""
        most, in_container = self.policy.max_per_pod, self.policy.max_per_container
        if most and evaluated.gpus > most:
            return f"requests {evaluated.gpus} GPUs, and maxPerPod is {most}"
        if in_container and evaluated.in_container > in_container:
            return f"requests {evaluated.in_container} GPUs in a container, and maxPerContainer is {in_container}"
        return ""

    def given(self, evaluated: EvaluatedWorkload) -> str:
        """Return the form of the workload's next pods; if it denies them, the one that plain requests get."""
        if self.policy.permits_any:
            return evaluated.form
        return self._given(evaluated) or self.first

    def _given(self, evaluated: EvaluatedWorkload) -> str:
        """The form of the workload's next pods; empty if it denies them."""
        forms = self._permitted(evaluated)
        if evaluated.stated:
            named = parse(evaluated.stated)
            alike = sorted(forms, key=lambda one: one != named)  # the form itself before one that only permits it
            meeting = (one.meet(named, across_platforms=True) for one in alike if named)
            if same := next(filter(None, meeting), None):
                return str(same)
            if evaluated.claimed or self.policy.mismatch is Mismatch.REJECT:
                return ""
        return next(map(str, forms), "")
