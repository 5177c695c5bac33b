"""Rollout preview: what another policy would do to a namespace's workloads when their pods are next created."""

from collections.abc import Iterator, Sequence
from heapq import nsmallest

from ..engine.decision import Outcome
from ..engine.namespace_labels import NamespaceLabels
from ..engine.policy import Policy
from ..engine.text import plural
from . import limit_ranges, quotas
from .auditing import BARE_POD, Auditor, Owner, PodVerdict, WorkloadObject
from .configuration import Configuration, Mode
from .limit_ranges import LimitRange
from .quotas import Quota

_NAMED = 3  # workloads a warning names; the audit that it points to lists them all


class RolloutPreview:
    """The workloads of one namespace under a policy, evaluated one by one.

    One thread evaluates them while another may read the warnings. No pod is remembered.
    """

    def __init__(self, configuration: Configuration, namespace: str, policy: Policy) -> None:
        """Evaluate under ``policy``, whatever the namespace's labels are now."""
        self._namespace = namespace
        self._policy = policy
        self._plugin = configuration.plugin
        self._dry = configuration.mode is Mode.AUDIT
        self._auditor = Auditor(configuration, {namespace: NamespaceLabels(enforce=policy.name)})
        self._verdicts: dict[tuple[str, str], PodVerdict] = {}
        self._claiming: set[tuple[str, str]] = set()  # workloads with resource claims

    def look(self, workload: WorkloadObject) -> None:
        """Evaluate an object, unless another object is evaluated for it, or it will create no pods.

        A controller's template represents its pods, because new pods are made from it. So a pod counts only if it has no
        controller, or if its controller's template is not known (such as a RayCluster's). All pods of such a controller count
        as one workload.
        """
        owner = workload.owner
        if workload.over or (owner and _is_spoken_for(workload, owner)):
            return
        verdict = self._auditor.verdict(workload)
        if verdict is None:
            return
        key = owner.key if owner and _is_part(workload) else workload.key
        if verdict.claims and not verdict.exempt:
            self._claiming.add(key)
        if not (verdict.requests or verdict.findings):
            return
        known = self._verdicts.get(key)
        if known is None or verdict.rank > known.rank:
            self._verdicts[key] = verdict

    def warnings(self, missing: str = "") -> list[str]:
        """The warnings about a change of the policy: none if nothing would change and everything is evaluated.

        ``missing`` is why not everything was checked, if so.
        """
        verdicts = list(self._verdicts.items())
        warnings = []
        for outcome, becomes in ((Outcome.DENIED, "denied"), (Outcome.REWRITTEN, "rewritten")):
            found = [(key, verdict) for key, verdict in verdicts if verdict.outcome is outcome and not verdict.exempt]
            if found:
                many = f"{len(found)} of {len(verdicts)} workloads" if len(verdicts) > 1 else "1 workload"
                names = [_named(*key, verdict) for key, verdict in nsmallest(_NAMED, found, key=lambda one: one[0])]
                warnings.append(
                    f"{self._subject}: {many} with GPUs would be {becomes} when their pods are next created: "
                    f"{_some(names, len(found))}"
                )
        warnings += self._claims()
        if missing:
            warnings.append(f"{self._subject}: not every workload was checked ({missing}); {self._audit} reports all")
        return warnings

    def _claims(self) -> Iterator[str]:
        """The warnings about workloads with resource claims, because users may expect that the policy applies to them now."""
        count = len(self._claiming)
        if count and not self._policy.permits_any:
            names = [f'{kind} "{name}"' for kind, name in nsmallest(_NAMED, self._claiming)]
            has = plural(count, "workload has", "workloads have")
            yield (
                f"{self._subject}: {has} resource claims (DRA), which are evaluated when their pods are next created: "
                f"{_some(names, count)}"
            )

    def unseen(self, why: str) -> list[str]:
        """The warnings if nothing was checked."""
        return [f"{self._subject}: its workloads were not checked ({why}); {self._audit} reports what would change"]

    @property
    def meets_limits(self) -> bool:
        """Whether LimitRanges and ResourceQuotas apply to other pods under the policy than without it."""
        return not self._policy.permits_any

    def limits(self, ranges: Sequence[LimitRange]) -> list[str]:
        """The warnings about the namespace's LimitRanges."""
        return list(limit_ranges.warnings(self._subject, limit_ranges.effects(ranges, self._policy, self._plugin)))

    def quotas(self, found: Sequence[Quota]) -> list[str]:
        """Yield the warnings about the namespace's ResourceQuotas."""
        gap = quotas.gap(found, self._policy, self._plugin)
        if gap is None:
            return []
        return [
            (
                f"{self._subject}: its ResourceQuota limits {gap.limited}, and pods of policy {self._policy.name} request "
                f"{gap.requested}: nothing limits {gap.lacking}; add {gap.keys} to the ResourceQuota"
            )
        ]

    def unseen_limits(self, kind: str, why: str) -> list[str]:
        """Return the warning that LimitRanges or ResourceQuotas were not checked."""
        return [f"{self._subject}: its {kind}s were not checked ({why})"]

    @property
    def _subject(self) -> str:
        # In audit mode a label does nothing yet: it will when the mode is enforce.
        return f'namespace "{self._namespace}"' + (", if mode were enforce" if self._dry else "")

    @property
    def _audit(self) -> str:
        return f"gpuwarden audit -n {self._namespace} --assume '{self._namespace}={self._policy.name}'"


def _is_part(workload: WorkloadObject) -> bool:
    """Whether an object counts as part of its controller, which is the object that users know."""
    return workload.kind == "Pod" or workload.is_between


def _is_spoken_for(workload: WorkloadObject, owner: Owner) -> bool:
    """Whether its controller's template is checked in its place, or it is an old revision."""
    return _is_part(workload) and (owner.is_workload or workload.idle)


def _some(names: Sequence[str], count: int) -> str:
    """The first names, and how many more there are of ``count``."""
    return ", ".join(names) + (f" and {count - len(names)} more" if count > len(names) else "")


def _named(kind: str, name: str, verdict: PodVerdict) -> str:
    about = list(dict.fromkeys(finding.rule.id for finding in verdict.findings if finding.denies))
    if kind == "Pod":  # a bare pod: the others are counted with their controllers
        about.append(BARE_POD)
    return f'{kind} "{name}"' + (f" ({', '.join(about)})" if about else "")
