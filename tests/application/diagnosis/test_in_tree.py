"""Check in-tree: admission policies as the configuration compiles to are well; every difference is named, with the fix."""

import dataclasses
from collections.abc import Callable
from copy import deepcopy

import msgspec
import pytest

from tests.application.diagnosis.world import Json, configured, healthy, namespaces, results, the_result
from webhook.application.diagnosis.diagnose import diagnose
from webhook.application.diagnosis.facts import Facts
from webhook.application.diagnosis.results import CheckStatus
from webhook.application.diagnosis.webhook_configurations import WebhookConfiguration
from webhook.application.in_tree_compiler import ANNOTATION, compiled
from webhook.application.in_tree_drift import InTreeObject
from webhook.application.in_tree_webhooks import beside


def installed(change: Callable[[list[Json]], object] = lambda _: None, *, alone: bool = False) -> Facts:
    """A healthy cluster with the admission policies of its configuration, which a test changes."""
    objects = [deepcopy(each) for each in compiled(configured(), ["mig-1g.5gb"], deny_others=alone).objects]
    for each in objects:  # defaults of the API server's
        part = "matchResources" if each["kind"].endswith("Binding") else "matchConstraints"
        each["spec"][part]["objectSelector"] = {}
    change(objects)
    ours = [
        InTreeObject(each["kind"], each["metadata"]["name"], each["metadata"]["annotations"][ANNOTATION], each["spec"])
        for each in objects
    ]
    return healthy(in_tree=ours)


def apart(facts: Facts) -> Facts:
    """The same without webhooks and replicas."""
    return dataclasses.replace(facts, mutating=None, validating=None, deployment=None, pods=[], budgets=[], contacts=[])


def beside_policies(facts: Facts) -> Facts:
    """The same with webhooks that leave the common case out."""
    made = compiled(configured(), ["mig-1g.5gb"])

    def split(configuration: object) -> WebhookConfiguration:
        return msgspec.convert(beside(msgspec.to_builtins(configuration), made), WebhookConfiguration)

    return dataclasses.replace(facts, mutating=split(facts.mutating), validating=split(facts.validating))


def named(objects: list[Json], kind: str, name: str = "gpuwarden-shared") -> Json:
    (found,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def expressions(objects: list[Json]) -> list[Json]:
    """The namespaces of the binding that rewrites for ``shared``."""
    selector = named(objects, "MutatingAdmissionPolicyBinding")["spec"]["matchResources"]["namespaceSelector"]
    found: list[Json] = selector["matchExpressions"]
    return found


def test_without_admission_policies_of_ours_all_is_well() -> None:
    assert the_result(healthy(), "in-tree").observed.startswith("the webhooks decide every pod")


def test_who_decides_is_said() -> None:
    together = the_result(installed(), "in-tree")
    assert together.status is CheckStatus.OK
    decided = "the API server decides the common case of exclusive, mig-1g.5gb, mps, none, shared, time-slicing"
    also = "the webhooks are also called for that of exclusive, mig-1g.5gb, mps, none, shared, time-slicing"
    assert together.observed == f"{decided}; {also}; the webhooks decide all other pods"
    split = the_result(beside_policies(installed()), "in-tree")
    assert (split.status, split.observed) == (CheckStatus.OK, f"{decided}; the webhooks decide all other pods")
    alone = the_result(apart(installed()), "in-tree")
    assert alone.observed == f"{decided}; nobody decides the other pods: they are created as they are"
    denying = the_result(apart(installed(alone=True)), "in-tree")
    assert denying.observed == f"{decided}; it denies all other pods with GPUs"


@pytest.mark.parametrize("gone", ["Policy", "Binding"])
def test_a_common_case_that_nobody_decides_fails(gone: str) -> None:
    """The webhooks leave it out, and the policies were deleted by hand, or only their bindings."""

    def delete(objects: list[Json]) -> None:
        objects[:] = [
            each
            for each in objects
            if each["metadata"]["annotations"][ANNOTATION] != "shared" or (gone == "Binding" and is_policy(each))
        ]

    found = results(beside_policies(installed(delete)), "in-tree")
    assert {one.status for one in found} == {CheckStatus.FAIL}
    assert "MutatingAdmissionPolicyBinding gpuwarden-shared is missing" in {one.observed for one in found}
    assert all(one.impact.startswith("nobody decides: the webhooks leave the common case") for one in found)
    everything = results(beside_policies(installed(list.clear)), "in-tree")
    assert {one.status for one in everything} == {CheckStatus.FAIL}


def without_warnings(objects: list[Json]) -> None:
    objects[:] = [each for each in objects if ".warns" not in each["metadata"]["name"]]


def test_what_warns_is_missing_only_where_no_webhook_warns() -> None:
    assert the_result(installed(without_warnings), "in-tree").status is CheckStatus.OK
    wanted = [
        f"ValidatingAdmissionPolicy{part} gpuwarden-{policy}.warns is missing"
        for part in ("", "Binding")
        for policy in ("mig-1g.5gb", "mps")
    ]
    for facts in (beside_policies(installed(without_warnings)), apart(installed(without_warnings))):
        assert [one.observed for one in results(facts, "in-tree")] == wanted


def is_policy(document: Json) -> bool:
    return bool(document["kind"].endswith("Policy"))


def test_namespaces_that_only_the_chart_leaves_out_are_no_difference() -> None:
    without = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}
    assert (
        the_result(installed(lambda objects: expressions(objects).append(without)), "in-tree").status is CheckStatus.OK
    )


def test_alone_in_the_api_server_checks_of_webhooks_and_replicas_are_skipped() -> None:
    found = {result.check: result for result in diagnose(apart(installed()))}
    assert {result.status for result in found.values()} == {CheckStatus.OK, CheckStatus.SKIPPED}, found
    skipped = {name for name, result in found.items() if "the API server decides alone" in result.observed}
    assert skipped >= {"webhooks", "replicas", "spread", "disruption-budget", "trust", "rights", "callers"}
    assert skipped.isdisjoint({"in-tree", "configuration", "labels", "nodes", "quotas", "kubernetes"})


def test_alone_a_label_of_a_policy_that_is_not_compiled_has_no_effect() -> None:
    facts = dataclasses.replace(
        apart(installed(alone=True)), namespaces=namespaces(a="shared", b="exclusive", c="mig-2g.10gb", d="any")
    )
    (found,) = results(facts, "label-effects")
    assert found.status is CheckStatus.WARN
    assert found.observed == "namespaces c: there are no webhooks, and no admission policy for mig-2g.10gb"
    assert "--policy mig-2g.10gb" in found.fix
    beside = dataclasses.replace(installed(), namespaces=facts.namespaces)
    assert the_result(beside, "label-effects").status is CheckStatus.OK


@pytest.mark.parametrize("part", ["mutating", "validating", "deployment"])
def test_a_part_of_the_webhooks_that_is_left_is_checked(part: str) -> None:
    """A user who has deleted the rest by mistake is told."""
    facts = installed()
    left = dataclasses.replace(apart(facts), **{part: getattr(facts, part)})
    assert the_result(left, "disruption-budget").status is not CheckStatus.SKIPPED
    assert CheckStatus.FAIL in {result.status for result in diagnose(left)}


def test_nothing_is_skipped_where_nothing_decides() -> None:
    facts = apart(healthy())
    assert {result.status for result in results(facts, "webhooks")} == {CheckStatus.FAIL}


def other_text(objects: list[Json]) -> None:
    named(objects, "MutatingAdmissionPolicy")["spec"]["variables"][0]["expression"] = "1"


def other_number(objects: list[Json]) -> None:
    named(objects, "MutatingAdmissionPolicy")["spec"]["variables"].pop()


def other_pods(objects: list[Json]) -> None:
    resources = named(objects, "MutatingAdmissionPolicyBinding")["spec"]["matchResources"]
    resources["objectSelector"] = {"matchLabels": {"a": "b"}}


def recorded_only(objects: list[Json]) -> None:
    named(objects, "ValidatingAdmissionPolicyBinding")["spec"]["validationActions"] = ["Audit"]


def removed(kind: str) -> Callable[[list[Json]], object]:
    return lambda objects: objects.remove(named(objects, kind))


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (other_text, "MutatingAdmissionPolicy gpuwarden-shared differs from what the configuration compiles to"),
        (other_number, "MutatingAdmissionPolicy gpuwarden-shared differs from what the configuration compiles to"),
        (other_pods, "MutatingAdmissionPolicyBinding gpuwarden-shared differs from what the configuration compiles to"),
        (
            lambda objects: expressions(objects).pop(),
            "MutatingAdmissionPolicyBinding gpuwarden-shared differs from what the configuration compiles to",
        ),
        (
            lambda objects: expressions(objects)[0].update(values=["mps"]),
            "MutatingAdmissionPolicyBinding gpuwarden-shared differs from what the configuration compiles to",
        ),
        (
            recorded_only,
            "ValidatingAdmissionPolicyBinding gpuwarden-shared differs from what the configuration compiles to",
        ),
        (removed("MutatingAdmissionPolicy"), "MutatingAdmissionPolicy gpuwarden-shared is missing"),
        (removed("ValidatingAdmissionPolicyBinding"), "ValidatingAdmissionPolicyBinding gpuwarden-shared is missing"),
        (
            lambda objects: named(objects, "MutatingAdmissionPolicy")["metadata"].update(name="gpuwarden-old"),
            "MutatingAdmissionPolicy gpuwarden-old is not made from the configuration",
        ),
    ],
)
def test_differences_are_named(change: Callable[[list[Json]], object], seen: str) -> None:
    found = [one for one in results(installed(change), "in-tree") if one.observed == seen]
    assert [one.status for one in found] == [CheckStatus.WARN]
    assert "docs/how-to/in-tree.md" in found[0].fix
