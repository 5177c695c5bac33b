"""Who decides a namespace's pods: by the selectors of bindings and webhooks as they are installed in each way."""

from collections.abc import Sequence

import msgspec
import pytest

from tests.builders import Json
from webhook.application.configuration import Configuration
from webhook.application.deciders import ConditionName, Decider, Deciders, Installed, PodWebhook
from webhook.application.diagnosis.selectors import Selector
from webhook.application.in_tree_compiler import ANNOTATION, compiled
from webhook.application.in_tree_drift import InTreeObject
from webhook.application.in_tree_webhooks import NOT_CALLED_YET, beside
from webhook.engine.namespace_labels import ENFORCE, WARN, NamespaceLabels

NAMED = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}
WHOLE: Json = {
    "webhooks": [
        {"name": f"{name}.gpuwarden.io", "namespaceSelector": {"matchExpressions": [NAMED]}}
        for name in ("mutate", "validate", "advise")
    ]
}
MADE = compiled(Configuration())
IN_TREE, WEBHOOKS, BOTH, NOBODY = Decider.API_SERVER, Decider.WEBHOOKS, Decider.BOTH, Decider.NOBODY


def objects(*, deny_others: bool = False) -> list[InTreeObject]:
    return [
        InTreeObject(each["kind"], each["metadata"]["name"], each["metadata"]["annotations"][ANNOTATION], each["spec"])
        for each in compiled(Configuration(), deny_others=deny_others).objects
    ]


def webhooks(configuration: Json) -> list[PodWebhook]:
    return msgspec.convert(configuration["webhooks"], list[PodWebhook])


SPLIT = webhooks(beside(WHOLE, MADE))


@pytest.mark.parametrize(
    ("ours", "asked", "of_shared", "of_any"),
    [
        ([], [], (NOBODY, NOBODY), (NOBODY, NOBODY)),
        ([], webhooks(WHOLE), (WEBHOOKS, WEBHOOKS), (WEBHOOKS, WEBHOOKS)),
        (objects(), webhooks(WHOLE), (BOTH, WEBHOOKS), (WEBHOOKS, WEBHOOKS)),
        (objects(), SPLIT, (IN_TREE, WEBHOOKS), (NOBODY, WEBHOOKS)),
        (objects(), [], (IN_TREE, NOBODY), (NOBODY, NOBODY)),
        (objects(deny_others=True), [], (IN_TREE, IN_TREE), (NOBODY, NOBODY)),
        ([], SPLIT, (NOBODY, WEBHOOKS), (NOBODY, WEBHOOKS)),
    ],
    ids=["nothing", "webhooks", "first step", "both", "alone", "alone, denying", "policies deleted"],
)
def test_who_decides(
    ours: Sequence[InTreeObject], asked: Sequence[PodWebhook], of_shared: Deciders, of_any: Deciders
) -> None:
    installed = Installed(ours, asked)
    assert (installed.deciders({ENFORCE: "shared"}), installed.deciders({})) == (of_shared, of_any)


def test_a_namespace_that_is_warned_or_left_out_has_an_answer_of_its_own() -> None:
    installed = Installed(objects(), SPLIT)
    assert installed.deciders({ENFORCE: "shared", WARN: "mps"}) == (WEBHOOKS, WEBHOOKS)
    assert Installed([], SPLIT).deciders({"kubernetes.io/metadata.name": "kube-system"}) == (NOBODY, NOBODY)


def test_a_part_that_is_not_called_yet_decides_nothing() -> None:
    part = PodWebhook("shared.mutate.gpuwarden.io", None, [ConditionName(NOT_CALLED_YET)])
    assert Installed([], [part]).deciders({}) == (NOBODY, NOBODY)


@pytest.mark.parametrize("kind", ["MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"])
def test_a_binding_without_its_policy_decides_nothing(kind: str) -> None:
    left = [each for each in objects() if each.kind == f"{kind}Binding"]
    assert Installed(left, []).deciders({ENFORCE: "shared"}) == (NOBODY, NOBODY)


def test_a_binding_that_only_warns_decides_nothing() -> None:
    warning = [each for each in objects() if each.name.startswith("gpuwarden-mps.warns")]
    assert {each.kind for each in warning} == {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    assert Installed(warning, []).deciders({ENFORCE: "mps"}) == (NOBODY, NOBODY)


def test_webhooks_of_others_and_those_for_other_objects_do_not_count() -> None:
    others = [PodWebhook("mutate.example.com"), PodWebhook("xmutate.gpuwarden.io"), PodWebhook("updates.gpuwarden.io")]
    assert Installed([], others).webhooks == []


def test_policies_have_a_line_for_each_answer_with_their_namespaces() -> None:
    namespaces = {
        "b": NamespaceLabels(enforce="shared"),
        "a": NamespaceLabels(enforce="shared"),
        "warned": NamespaceLabels(enforce="shared", warn="mps"),
        "mig": NamespaceLabels(enforce="mig-1g.5gb"),
        "unlabelled": NamespaceLabels(),
        "whole": NamespaceLabels(enforce="exclusive"),
    }
    found = Installed(objects(), SPLIT).policies(Configuration(), namespaces)
    assert [(each.policy, *each.deciders, each.namespaces) for each in found] == [
        ("any", Decider.UNCHANGED, WEBHOOKS, ("unlabelled",)),
        ("exclusive", IN_TREE, WEBHOOKS, ("whole",)),
        ("mig-1g.5gb", WEBHOOKS, WEBHOOKS, ("mig",)),
        ("mps", IN_TREE, WEBHOOKS, ()),
        ("none", IN_TREE, WEBHOOKS, ()),
        ("shared", IN_TREE, WEBHOOKS, ("a", "b")),
        ("shared", WEBHOOKS, WEBHOOKS, ("warned",)),
        ("time-slicing", IN_TREE, WEBHOOKS, ()),
    ]


def test_where_nothing_is_installed_that_is_said_of_the_default() -> None:
    (line,) = Installed([], []).policies(Configuration(), {})
    assert (line.policy, line.deciders) == ("any", (Decider.UNCHANGED, NOBODY))


def test_a_policy_whose_objects_were_deleted_is_not_one_that_needs_none() -> None:
    without = [each for each in objects() if each.policy != "mps"]
    found = Installed(without, SPLIT).policies(Configuration(), {"a": NamespaceLabels(enforce="mps")})
    assert [each.deciders for each in found if each.policy == "mps"] == [(NOBODY, WEBHOOKS)]


def test_what_the_webhooks_leave_out_and_nothing_decides() -> None:
    assert Installed(objects(), SPLIT).left_out(Configuration()) == ["any"]
    without = [each for each in objects() if each.policy != "mps"]
    assert Installed(without, SPLIT).left_out(Configuration()) == ["any", "mps"]
    assert Installed([], webhooks(WHOLE)).left_out(Configuration()) == []


def test_a_selector_of_labels_is_read_too() -> None:
    selector = Selector(match_labels={ENFORCE: "mps"})
    installed = Installed([], [PodWebhook("validate.gpuwarden.io", selector)])
    assert installed.deciders({ENFORCE: "mps"}) == (WEBHOOKS, WEBHOOKS)
    assert installed.deciders({}) == (NOBODY, NOBODY)
