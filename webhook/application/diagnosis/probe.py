"""The end-to-end check: dry runs of two pods in a namespace, compared with the expected result."""

import re
from typing import Any

from ...engine.decision import POLICY, Outcome
from ...engine.namespace_labels import NamespaceLabels
from ...engine.resources import GPU, resource_name
from ..checking import Checker
from ..configuration import Mode
from ..evaluation import Evaluation
from .facts import Attempt, Facts, known
from .our_webhooks import our_webhooks
from .results import CheckOutcome, Findings, fail, ok, unknown

_DENIED = re.compile(r'admission webhook "(?P<webhook>[^"]+)" denied the request')
_UNANSWERED = re.compile(r'failed calling webhook "(?P<webhook>[^"]+)"')


def pod(name: str, resource: str, count: int) -> dict[str, Any]:
    """A pod that requests GPUs, and that the restricted Pod Security Standard admits."""
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


def evaluate(facts: Facts) -> Findings:
    """The dry runs have the outcomes that the namespace's policy requires; nothing is reported if there were none."""
    probe = facts.probe
    if probe is None:
        return ""
    configuration = facts.usable_configuration()
    labels = known(probe.labels)
    if configuration.mode is Mode.AUDIT:
        yield unknown(
            f"namespace {probe.namespace}, mode audit",
            "in audit mode gpuwarden changes and denies nothing, so a dry run shows nothing",
            f"run kubectl create --dry-run=server in {probe.namespace}: a warning appears if a policy would act",
        )
    elif probe.namespace in configuration.exemptions.namespaces or not any(
        one.webhook.covers("CREATE", "pods") and one.webhook.selects(labels) for one in our_webhooks(facts)
    ):
        yield unknown(
            f"namespace {probe.namespace} is exempt, or the webhooks exclude it",
            "gpuwarden does not check its pods",
            "name another namespace with --probe-namespace",
        )
    else:
        checker = Checker(configuration, {probe.namespace: NamespaceLabels.of(labels)}, namespace=probe.namespace)
        for attempt, asks in ((probe.plain, PLAIN), (probe.two_shared, TWO_SHARED)):
            _, resource, count = asks
            what = f"a pod with {resource}: {count} in {probe.namespace}"
            yield _compared(facts, what, attempt, checker.evaluate(pod(*asks)))
    return ""


def _compared(facts: Facts, what: str, attempt: Attempt, evaluation: Evaluation) -> CheckOutcome:
    fix = f"see checks trust, endpoints and replicas, and kubectl -n {facts.namespace} logs deploy/{facts.name}"
    if attempt.refusal:
        return _refused({one.name for one in our_webhooks(facts)}, what, attempt.refusal, evaluation, fix)
    return _created(what, attempt, evaluation, fix)


def _refused(ours: set[str], what: str, refusal: str, evaluation: Evaluation, fix: str) -> CheckOutcome:
    observed = f"{what}: {refusal}"
    if unanswered := _UNANSWERED.search(refusal):
        impact = f"the API server got no usable answer from {unanswered['webhook']}"
        if unanswered["webhook"] not in ours:
            return unknown(observed, impact, "that webhook is not gpuwarden's; fix it first")
        return fail(observed, impact, fix)
    denied = _DENIED.search(refusal)
    if denied is None or denied["webhook"] not in ours:
        return unknown(
            observed,
            "something else denies the pod before gpuwarden's answer can be seen",
            "name another namespace with --probe-namespace, or run doctor as a user who may create pods there",
        )
    expected = evaluation.decision.outcome
    if expected is Outcome.DENIED:
        return ok(f"{what} is denied by {denied['webhook']}, as its policy requires")
    return fail(observed, f'under policy "{evaluation.policy.name}" it should be {expected}', fix)


def _created(what: str, attempt: Attempt, evaluation: Evaluation, fix: str) -> CheckOutcome:
    policy, expected = evaluation.policy.name, evaluation.decision.outcome
    acted = ((attempt.pod.metadata.annotations if attempt.pod else None) or {}).get(POLICY)
    if expected is Outcome.DENIED:
        observed = f'{what} is created, although policy "{policy}" denies it'
        return fail(observed, "gpuwarden does not check the pods there", fix)
    if expected is Outcome.REWRITTEN and acted != policy:
        observed = f'{what} is created unchanged, although policy "{policy}" rewrites it'
        impact = "the mutating webhook is not called or does not answer, or the configuration exempts the user who runs doctor"
        return fail(observed, impact, fix)
    if expected is Outcome.UNCHANGED and acted:
        observed = f'{what} is rewritten by policy "{acted}", although policy "{policy}" leaves it unchanged'
        impact = "gpuwarden applies another policy than the namespace's: it has older labels or an older configuration"
        return fail(observed, impact, fix)
    return ok(f'{what} is {"rewritten" if acted else "created unchanged"}, as policy "{policy}" requires')
