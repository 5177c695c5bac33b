"""The label nvidia.com/mig.config as a selector: which form it states, and which it excludes."""

import pytest

from tests.builders import (
    EVERY_SETTING,
    GKE_PARTITION,
    GPU,
    MIG,
    NOT_RENAMED,
    RENAMED,
    SHARED,
    SINGLE,
    Json,
    a_pod,
    a_policy,
    affinity,
    evaluate,
    gpu,
    messages,
    rewritten,
    rules,
)
from webhook.engine.policy import Mismatch
from webhook.engine.spelling import DevicePlugin

CONFIG = "nvidia.com/mig.config"
ALL_1G = {"nodeSelector": {CONFIG: "all-1g.5gb"}}


@pytest.mark.parametrize("plugin", EVERY_SETTING.values(), ids=EVERY_SETTING)
@pytest.mark.parametrize(
    ("more", "forms", "resource", "form"),
    [
        # Nothing is stated: the configuration cuts nothing, or is an administrator's own, or is one of several kinds.
        ({"nodeSelector": {CONFIG: "all-disabled"}}, ["mps"], GPU, "mps"),
        ({"nodeSelector": {CONFIG: "all-disabled"}}, ["mig-1g.5gb", "exclusive"], GPU, "exclusive"),
        ({"nodeSelector": {CONFIG: "team-a"}}, ["mig-1g.5gb"], GPU, "mig-1g.5gb"),
        ({"affinity": affinity([(CONFIG, "In", "all-1g.5gb", "all-disabled")])}, ["exclusive"], GPU, "exclusive"),
        ({"affinity": affinity([(CONFIG, "In", "all-1g.5gb", "all-disabled")])}, ["mig-1g.5gb"], GPU, "mig-1g.5gb"),
        ({"affinity": affinity([(CONFIG, "NotIn", "all-1g.5gb")])}, ["exclusive"], GPU, "exclusive"),
        ({"affinity": affinity([(CONFIG, "In", "all-1g.5gb")], [("zone", "Exists")])}, ["exclusive"], GPU, "exclusive"),
        # A profile is stated.
        (ALL_1G, ["exclusive", "mig-1g.5gb"], GPU, "mig-1g.5gb"),
        (ALL_1G, ["mig-1g.5gb"], MIG, "mig-1g.5gb"),
        (ALL_1G, ["shared", "mig-1g.5gb-shared"], SHARED, "mig-1g.5gb-shared"),
        ({"affinity": affinity([(CONFIG, "In", "all-2g.10gb", "all-1g.5gb")])}, ["mig-1g.5gb"], GPU, "mig-1g.5gb"),
    ],
)
def test_the_form_of_a_pod_that_selects_configurations(
    more: Json, forms: list[str], resource: str, form: str, plugin: DevicePlugin
) -> None:
    pod, policy = a_pod(gpu(1, resource), **more), a_policy(*forms)

    assert [str(choice.form) for choice in evaluate(pod, policy, plugin).choices.values()] == [form]
    rewritten(pod, policy, plugin)


@pytest.mark.parametrize(
    ("more", "form", "resource", "plugin", "rule"),
    [
        (ALL_1G, "exclusive", GPU, RENAMED, "form-not-permitted"),
        (ALL_1G, "exclusive", GPU, SINGLE, "form-not-permitted"),
        (ALL_1G, "mig-2g.10gb", GPU, SINGLE, "form-not-permitted"),
        (ALL_1G, "mig-2g.10gb", "nvidia.com/mig-2g.10gb", RENAMED, "selector-conflict"),
        ({"nodeSelector": {CONFIG: "all-disabled"}}, "mig-1g.5gb", GPU, RENAMED, "selector-conflict"),
        ({"nodeSelector": {CONFIG: "all-enabled"}}, "shared", GPU, NOT_RENAMED, "selector-conflict"),
        ({"nodeSelector": {CONFIG: "all-balanced"}}, "exclusive", GPU, RENAMED, "selector-conflict"),
        ({"nodeSelector": {CONFIG: "all-balanced"}}, "mig-1g.5gb", GPU, SINGLE, "selector-conflict"),
    ],
)
def test_a_pod_that_selects_nodes_of_another_form_is_denied(
    more: Json, form: str, resource: str, plugin: DevicePlugin, rule: str
) -> None:
    assert rules(evaluate(a_pod(gpu(1, resource), **more), form, plugin)) == [rule]


def test_the_message_names_the_configurations_that_the_pod_selects_and_not_all_that_there_are() -> None:
    terms = affinity([(CONFIG, "In", "all-disabled", "all-enabled")])
    [message] = messages(evaluate(a_pod(affinity=terms), "mig-1g.5gb"))

    assert message == (
        f'container "train": form "mig-1g.5gb" is not on nodes with {CONFIG}: all-disabled or all-enabled, which the pod '
        f"selects; no node matches both; remove {CONFIG} from the pod, or request another form"
    )


def test_on_the_other_platform_and_under_another_form_the_label_goes() -> None:
    spec = rewritten(a_pod(**ALL_1G), "gke-mig-1g.5gb")["spec"]
    other = rewritten(a_pod(**ALL_1G), a_policy("exclusive", mismatch=Mismatch.REWRITE))["spec"]

    assert spec["nodeSelector"] == {GKE_PARTITION: "1g.5gb"}
    assert other["nodeSelector"] == {}
