"""The end-to-end check: dry runs of two pods in a namespace, compared with the expected result."""

import re
from collections.abc import Mapping
from typing import Any

from ...engine.decision import POLICY, Outcome
from ...engine.labels import NamespaceLabels
from ...engine.resources import GPU, resource_name
from ..checking import Checker
from ..configuration import Configuration, Mode
from .facts import Attempt, Facts, Probe, known
from .ours import our_webhooks
from .results import CheckOutcome, fail, ok, unknown

_DENIED = re.compile(r'admission webhook "(?P<webhook>[^"]+)" denied the request')
_UNANSWERED = re.compile(r'failed calling webhook "(?P<webhook>[^"]+)"')


def pod(name: str, resource: str, count: int) -> dict[str, Any]:
    """A pod that requests GPUs, and that the restricted Pod Security Standard lets through."""
    amounts = {"cpu": "1m", "memory": "1Mi", resource: str(count)}
    secured = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "probe",
        "image": "gpuwarden/doctor-never-runs",
        "resources": {"limits": amounts, "requests": amounts},
        "securityContext": secured,
    }
    spec = {
        "containers": [container],
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"gpuwarden-doctor-{name}"}, "spec": spec}


PLAIN = ("plain", GPU, 1)
TWO_SHARED = ("two-shared", resource_name(None, shared=True), 2)


def judge(facts: Facts) -> list[CheckOutcome]:
    """The dry runs had the outcome that the namespace's policy says; nothing where there were none."""
    probe = facts.probe
    if probe is None:
        return []
    configuration = facts.usable_configuration()
    labels = known(probe.labels)
    if configuration.mode is Mode.AUDIT:
        means = "in audit mode gpuwarden changes and denies nothing, so a dry run shows nothing"
        fix = f"run kubectl create --dry-run=server in {probe.namespace}: a warning appears where a policy would act"
        return [unknown(f"namespace {probe.namespace}, mode audit", means, fix)]
    if probe.namespace in configuration.exemptions.namespaces or not any(
        one.webhook.covers("CREATE", "pods") and one.webhook.selects(labels) for one in our_webhooks(facts)
    ):
        seen = f"namespace {probe.namespace} is exempt, or the webhooks exclude it"
        return [unknown(seen, "gpuwarden does not check its pods", "name another namespace with --probe-namespace")]
    return [
        _judged(facts, probe, configuration, labels, attempt, asks)
        for attempt, asks in ((probe.plain, PLAIN), (probe.two_shared, TWO_SHARED))
    ]


def _judged(  # noqa: PLR0913, PLR0917 - what was asked, where, by what it is judged, and the answer
    facts: Facts,
    probe: Probe,
    configuration: Configuration,
    labels: Mapping[str, str],
    attempt: Attempt,
    asks: tuple[str, str, int],
) -> CheckOutcome:
    _, resource, count = asks
    what = f"a pod with {resource}: {count} in {probe.namespace}"
    checker = Checker(configuration, {probe.namespace: NamespaceLabels.of(labels)}, namespace=probe.namespace)
    judgement = checker.judge(pod(*asks))
    expected = judgement.decision.outcome
    ours = {one.webhook.name for one in our_webhooks(facts)}
    fix = f"see checks trust, endpoints and replicas, and kubectl -n {facts.namespace} logs deploy/{facts.name}"
    if unanswered := _UNANSWERED.search(attempt.refusal):
        means = f"the API server got no usable answer from {unanswered['webhook']}"
        if unanswered["webhook"] not in ours:
            return unknown(f"{what}: {attempt.refusal}", means, "that webhook is not gpuwarden's; fix it first")
        return fail(f"{what}: {attempt.refusal}", means, fix)
    denied = _DENIED.search(attempt.refusal)
    if attempt.refusal and (denied is None or denied["webhook"] not in ours):
        means = "something else denies the pod before gpuwarden's answer can be seen"
        return unknown(
            f"{what}: {attempt.refusal}",
            means,
            "name another namespace with --probe-namespace, or run doctor as a user who may create pods there",
        )
    if denied and expected is Outcome.DENIED:
        return ok(f"{what} is denied by {denied['webhook']}, as its policy says")
    if denied:
        means = f'under policy "{judgement.policy.name}" it should be {expected}'
        return fail(f"{what}: {attempt.refusal}", means, fix)
    return _created(what, judgement.policy.name, expected, attempt, fix)


def _created(what: str, policy: str, expected: Outcome, attempt: Attempt, fix: str) -> CheckOutcome:
    annotations = (attempt.pod.metadata.annotations if attempt.pod else None) or {}
    acted = annotations.get(POLICY)
    if expected is Outcome.DENIED:
        return fail(
            f'{what} is created, although policy "{policy}" denies it', "gpuwarden does not check the pods there", fix
        )
    if expected is Outcome.REWRITTEN and acted != policy:
        means = "the mutating webhook is not called or does not answer, or the configuration exempts the user who runs doctor"
        return fail(f'{what} is created unchanged, although policy "{policy}" rewrites it', means, fix)
    if expected is Outcome.UNCHANGED and acted:
        means = "gpuwarden applies another policy than the namespace's: it has older labels or an older configuration"
        return fail(
            f'{what} is rewritten by policy "{acted}", although policy "{policy}" leaves it unchanged', means, fix
        )
    done = "rewritten" if acted else "created unchanged"
    return ok(f'{what} is {done}, as policy "{policy}" says')
