"""Counts which share of the pods in manifests is the common case of a policy, and what the others are.

Run it as `python -m hack.common_case_share POLICY PATH...` on manifests of other projects. A pod, or a template of pods, counts
if it requests NVIDIA GPUs or MIG slices; one that the default configuration exempts is counted apart, because nothing decides it.
The same pod in two files counts twice in the first number, and once in the second.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from webhook.application.checking import Checker
from webhook.application.configuration import Configuration
from webhook.application.evaluation import EvaluatedPod
from webhook.application.in_tree_compiler import compiled
from webhook.application.text_fields import wrong_types
from webhook.cli.manifest_input import read_paths
from webhook.engine.common_case import CommonCase
from webhook.engine.common_case_pods import is_common
from webhook.engine.decision import decide
from webhook.engine.pods import Pod
from webhook.engine.quantity import Quantity, whole
from webhook.engine.resources import PREFIX


class Counted(msgspec.Struct):
    """Pods that request GPUs, by file, with the findings on those that are not the common case."""

    pods: int = 0
    common: int = 0
    exempt: int = 0
    specs: dict[bytes, bool] = {}
    others: list[tuple[str, str]] = []

    def __str__(self) -> str:
        distinct = len(self.specs), sum(self.specs.values())
        reasons = Counter(why for _, why in self.others)
        return "\n".join(
            [
                f"{self.pods} pods, {self.common} of the common case: {_share(self.common, self.pods)}",
                f"{distinct[0]} distinct specs, {distinct[1]} of the common case: {_share(distinct[1], distinct[0])}",
                f"{self.exempt} more are exempt",
                *(f"{count:4} {why}" for why, count in reasons.most_common()),
                *(f"  {source}: {why}" for source, why in self.others),
            ]
        )


def _share(part: int, whole_of_it: int) -> str:
    return f"{part / whole_of_it:.1%}" if whole_of_it else "none"


def counted(policy: str, paths: Sequence[str]) -> Counted:
    """Count the pods in manifests."""
    configuration = Configuration()
    case = next(case for case in compiled(configuration, [policy]).cases if case.policy.name == policy)
    found = Counted()
    for source, evaluated in _pods(configuration, paths):
        if evaluated.is_exempt:
            found.exempt += 1
            continue
        pod = as_admitted(evaluated.pod)
        common = is_common(pod, case)
        found.pods += 1
        found.common += common
        found.specs[msgspec.json.encode(pod.spec)] = common
        if not common:
            found.others.append((source, _why(pod, case, configuration)))
    return found


def _pods(configuration: Configuration, paths: Sequence[str]) -> Iterator[tuple[str, EvaluatedPod]]:
    """Each pod, or template of one, that requests GPUs, with its source."""
    checker = Checker(configuration, {})
    for source, items in read_paths(paths).sources:
        for item in items:
            if wrong_types(item.object, configuration.kinds):
                continue
            for evaluated in checker.evaluate(item.object).pods:
                if any(each.amounts for each in evaluated.decision.gpu_containers):
                    yield source.name, evaluated


def as_admitted(pod: Pod) -> Pod:
    """The pod as the API server has it at admission: counts are written plainly, and what is limited is requested too."""
    spec = pod.spec
    for container in (*((spec and spec.containers) or ()), *((spec and spec.init_containers) or ())):
        if resources := container.resources:
            limits = {name: _plainly(name, count) for name, count in (resources.limits or {}).items()}
            requests = {name: _plainly(name, count) for name, count in (resources.requests or {}).items()}
            resources.limits, resources.requests = limits or None, {**limits, **requests} or None
    return pod


def _plainly(name: str, count: Quantity) -> Quantity:
    number = whole(count) if name.startswith(PREFIX) else None
    return count if number is None else str(number)


def _why(pod: Pod, case: CommonCase, configuration: Configuration) -> str:
    """What the engine says about a pod that is not the common case, as ids of rules, or that it uses claims."""
    if pod.spec and pod.spec.resource_claims:
        return "resource claims"
    found = decide(pod, case.policy, configuration.plugin).findings
    return ", ".join(dict.fromkeys(finding.rule.id for finding in found)) or "nothing is said about it"


if __name__ == "__main__":
    print(counted(sys.argv[1], sys.argv[2:]))  # noqa: T201 - a script speaks
