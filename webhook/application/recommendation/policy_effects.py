"""The effect of a policy on a workload's next pods, as the engine decides about them."""

from collections.abc import Iterator

import msgspec

from ...engine.decision import Decision, decide
from ...engine.device_classes import NVIDIA_CLASSES, DeviceClasses
from ...engine.edits import ClaimInstead
from ...engine.findings import Finding
from ...engine.forms import Form, parse
from ...engine.pods import Container, Pod, PodSpec, Resources
from ...engine.policy import Policy
from ...engine.resources import GPU
from ...engine.spelling import DevicePlugin
from .offers import Offers
from .templates import PodTemplate

_PLAIN = PodTemplate(Pod(spec=PodSpec(containers=[Container(name="main", resources=Resources({GPU: 1}))])))


class PodOutcome(msgspec.Struct, frozen=True):
    """The outcome for pods of a template.

    Attributes:
        form: the form that they get; if they are denied, the one that they would get, as far as that is known. Empty if it is
            not known.
        denial: why they are denied.
        warnings: what their users are warned about, each once.
    """

    form: str
    denial: Finding | None = None
    warnings: tuple[Finding, ...] = ()


class PolicyEffect(msgspec.Struct, frozen=True):
    """A policy, and what decides which forms it gives.

    Attributes:
        policy: as it rewrites pods now: under ``prefer: offered``, the first form that nodes offer is its first.
        plugin: the settings of the device plugin that the configuration states.
        classes: the forms of DeviceClasses, and which other resources provide GPUs.
        offered: what nodes offer: which kind of sharing ``shared`` is.
    """

    policy: Policy
    plugin: DevicePlugin = DevicePlugin()
    classes: DeviceClasses = NVIDIA_CLASSES
    offered: Offers = Offers()

    def of(self, form: str) -> "PolicyEffect":
        """The effect of the built-in policy of a form. A verdict for ``shared`` is about any kind of sharing."""
        return msgspec.structs.replace(self, policy=Policy(form, (parse(form) or Form(),)), offered=Offers())

    @property
    def first(self) -> str:
        """The form that it gives plain requests; empty for ``any``, ``none`` and invalid labels, and if it is not known."""
        # Under any, a plain request gets whatever its node has.
        return "" if self.policy.permits_any else self._decided(_PLAIN).form

    def on(self, templates: tuple[PodTemplate, ...], now: str) -> PodOutcome:
        """Return the outcome for a workload's next pods.

        Args:
            templates: those of its pods, beginning with the one that requests the most GPUs, whose form counts.
            now: the form that its pods have.
        """
        outcomes = [self._decided(one) for one in templates]
        form = now if self.policy.permits_any else next((one.form for one in outcomes if one.form), "") or self.first
        warnings = dict.fromkeys(finding for one in outcomes for finding in one.warnings)
        return PodOutcome(form, next((one.denial for one in outcomes if one.denial), None), tuple(warnings))

    def _decided(self, template: PodTemplate) -> PodOutcome:
        # Only resources count here: templates have no variables and volumes by which pods reach GPUs.
        decision = decide(
            template.pod,
            self.policy,
            self.plugin,
            names=self.classes.names,
            guarded=False,
            claims=template.claims,
        )
        form = next((self.offered.settled(one.as_listed) for one in self._forms(decision, template) if one), None)
        return PodOutcome(str(form or ""), next(iter(decision.denials), None), decision.warnings)

    def _forms(self, decision: Decision, template: PodTemplate) -> Iterator[Form | None]:
        """The forms of a decision's requests and claims; ``None`` for one that is denied or not known."""
        for edit in decision.edits:
            if isinstance(edit, ClaimInstead) and self.policy.plain_claim:  # the decision does not say its form
                yield self.classes.form(self.policy.plain_claim.device_class, None)
        yield from (choice.form for choice in decision.choices.values())
        if not decision.denials:  # claims are not rewritten
            yield from (one.form for claimed in template.claims.gpus for one in claimed.alternatives)
