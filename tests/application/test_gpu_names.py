"""GPUs by other names, and pods that are left to HAMi: evaluated alike at admission, in advice, checks and audits."""

from collections.abc import Callable

import msgspec
import pytest

from testing.reviews import (
    TEAM,
    UID,
    Json,
    KnownNamespaces,
    Notes,
    Webhook,
    a_container,
    a_pod,
    a_review,
    encode,
    finish,
    read_answer,
)
from webhook.application.advising import Advising
from webhook.application.auditing import Auditor, WorkloadObject
from webhook.application.checking import Checker
from webhook.application.configuration import Configuration, Exemptions
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.other_gpus import GpuNames
from webhook.engine.pods import Pod

NONE = NamespaceLabels("none")
WITHOUT_HAMI = Configuration(exemptions=Exemptions(schedulers=frozenset({"kai-scheduler"})))
DECLARED = Configuration(names=GpuNames(gpus=("amd.com/gpu",), not_gpus=("nvidia.com/GA102GL_A10",)))
# What became of a pod: the rules that deny it, or why it is exempt.
Told = tuple[list[str], str | None]


def at_admission(pod: Json, configuration: Configuration) -> Told:
    answered = Webhook("none", configuration=configuration).validate(pod)
    return answered.rules, answered.annotations.get("exempt")


def in_advice(pod: Json, configuration: Configuration) -> Told:
    deployment = {"kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": pod}}
    review = a_review(deployment, kind={"group": "apps", "version": "v1", "kind": "Deployment"})
    notes = Notes()
    advising = Advising(lambda: configuration, KnownNamespaces({TEAM: NONE}), notes)
    answered = read_answer(finish(advising.advise(encode(review))), UID)
    told = [rule for note in notes for rule, severity, _ in note.evaluated.findings if severity == "deny"]
    assert bool(answered.warnings) is bool(told)
    return told, answered.annotations.get("exempt")


def in_a_check(pod: Json, configuration: Configuration) -> Told:
    manifest = {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"name": "a", "namespace": TEAM}}
    evaluated = Checker(configuration, {TEAM: NONE}).evaluate(manifest)
    return [finding.rule.id for finding in evaluated.findings], evaluated.exempt


def in_an_audit(pod: Json, configuration: Configuration) -> Told:
    seen = WorkloadObject("v1", "Pod", TEAM, "a", pod=msgspec.convert(pod, Pod))
    verdict = Auditor(configuration, {TEAM: NONE}).verdict(seen)
    if verdict is None:
        return [], None
    assert verdict.requests or verdict.not_evaluated, (
        "a pod that asks for GPUs by other names is not one without a request"
    )
    return [finding.rule.id for finding in verdict.findings], verdict.exempt


EVERYWHERE = pytest.mark.parametrize("evaluate", [at_admission, in_advice, in_a_check, in_an_audit])
Evaluate = Callable[[Json, Configuration], Told]

CARD = a_pod(a_container("vm", {"nvidia.com/GA102GL_A10": "1"}))
AMD = a_pod(a_container("train", {"amd.com/gpu": "1"}))
HAMI = a_pod(a_container("train", {"nvidia.com/gpu": "1", "nvidia.com/gpumem": "3000"}))


@EVERYWHERE
def test_a_network_is_no_gpu(evaluate: Evaluate) -> None:
    assert evaluate(a_pod(a_container("train", {"nvidia.com/hostdev": "1"})), Configuration()) == ([], None)


@EVERYWHERE
def test_another_name_is_denied(evaluate: Evaluate) -> None:
    assert evaluate(CARD, Configuration()) == (["other-gpu-resource"], None)


@EVERYWHERE
def test_the_configuration_adds_and_excepts_names(evaluate: Evaluate) -> None:
    assert evaluate(CARD, DECLARED) == ([], None)
    assert evaluate(AMD, Configuration()) == ([], None)
    assert evaluate(AMD, DECLARED) == (["other-gpu-resource"], None)


@EVERYWHERE
def test_what_requests_hami_s_resources_is_exempt_for_them(evaluate: Evaluate) -> None:
    assert evaluate(HAMI, Configuration()) == ([], "resources")
    assert evaluate(HAMI, WITHOUT_HAMI) == (["gpu-not-permitted", "other-gpu-resource"], None)


@EVERYWHERE
def test_what_names_hami_s_scheduler_is_exempt_for_that(evaluate: Evaluate) -> None:
    assert evaluate({**HAMI, "spec": {**HAMI["spec"], "schedulerName": "hami-scheduler"}}, Configuration()) == (
        [],
        "scheduler",
    )


@EVERYWHERE
def test_not_where_the_pod_names_its_node(evaluate: Evaluate) -> None:
    rules, exempt = evaluate({**HAMI, "spec": {**HAMI["spec"], "nodeName": "n1"}}, Configuration())

    assert exempt is None
    assert "gpu-not-permitted" in rules
