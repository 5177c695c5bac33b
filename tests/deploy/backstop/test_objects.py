"""The ValidatingAdmissionPolicy and its binding, as the chart renders them: when, for whom, and with what effect."""

import subprocess
import sys
from functools import cache

import pytest

from hack.tools import ROOT
from tests.builders import Json, a_container, a_pod, gpu, view
from tests.deploy.backstop.evaluator import Backstop
from tests.deploy.backstop.stored import stored
from tests.deploy.chart import Chart, Rendered
from webhook.application.configuration import Exemptions
from webhook.engine.schedulers import HAMI_RESOURCES

ON: Json = {"backstop": {"enabled": True}}
KINDS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
TWO_SLOTS = stored(a_pod(gpu(2, "nvidia.com/gpu.shared"))) or {}


def test_it_is_off_unless_it_is_switched_on(rendered: Rendered, chart: Chart) -> None:
    assert [rendered.all(kind) for kind in KINDS] == [[], []]
    assert [len(chart.render(ON).all(kind)) for kind in KINDS] == [1, 1]


@pytest.mark.parametrize(
    ("mode", "actions", "policy"), [("enforce", ["Deny"], "Fail"), ("audit", ["Warn", "Audit"], "Ignore")]
)
def test_it_refuses_only_where_gpuwarden_does(chart: Chart, mode: str, actions: list[str], policy: str) -> None:
    rendered = chart.render({**ON, "install": {"mode": mode}})
    assert rendered.the(KINDS[1])["spec"] == {"policyName": "gpuwarden", "validationActions": actions}
    assert rendered.the(KINDS[0])["spec"]["failurePolicy"] == policy


def test_it_is_asked_where_the_validating_webhook_is_asked(chart: Chart) -> None:
    rendered = chart.render({**ON, "webhooks": {"excludedNamespaces": ["ops"]}})
    webhook = rendered.webhooks["validate.gpuwarden.io"]
    constraints = rendered.the(KINDS[0])["spec"]["matchConstraints"]
    assert constraints["namespaceSelector"] == webhook["namespaceSelector"]
    updates = rendered.webhooks["updates.gpuwarden.io"]
    created, updated = ([rule for rule in one["rules"] if rule["resources"] == ["pods"]] for one in (webhook, updates))
    assert [created[0] | {"operations": ["CREATE", "UPDATE"]}] == constraints["resourceRules"]
    assert [updated[0] | {"operations": ["CREATE", "UPDATE"]}] == constraints["resourceRules"]
    assert "objectSelector" not in constraints


def test_whoever_is_exempt_from_gpuwarden_is_exempt_here(chart: Chart) -> None:
    exemptions: Json = {
        "namespaces": ["lab"],
        "usernames": ['o"brien', "system:serviceaccount:ops:robot"],
        "runtimeClasses": ["kata"],
        "schedulers": ["kai-scheduler"],
    }
    backstop = Backstop(chart.render({**ON, "config": {"exemptions": exemptions}}))

    def asked(pod: Json = TWO_SLOTS, *, namespace: str = "team", user: str = "someone") -> bool:
        return backstop.evaluate(pod, namespace=namespace, user=user).asked

    def with_spec(**fields: str) -> Json:
        return {**TWO_SLOTS, "spec": {**TWO_SLOTS["spec"], **fields}}

    assert asked()
    assert asked(namespace="laboratory")
    assert asked(user="o'brien")
    assert asked(with_spec(schedulerName="default-scheduler", runtimeClassName="nvidia"))
    assert not asked(namespace="lab")
    assert not asked(user='o"brien')
    assert not asked(with_spec(runtimeClassName="kata"))
    assert not asked(with_spec(schedulerName="kai-scheduler"))
    assert asked(with_spec(schedulerName="kai-scheduler", nodeName="n1"))
    assert not asked({**TWO_SLOTS, "metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}})
    assert asked({**TWO_SLOTS, "metadata": {"annotations": {"gpuwarden.io/policy": "any"}}})


@pytest.mark.parametrize("schedulers", [["hami-scheduler"], ["kai-scheduler"], []], ids=str)
@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"nodeName": "n1"},
        {"schedulerName": "volcano"},
        {"schedulerName": "hami-scheduler"},
        {"schedulerName": "hami-scheduler", "nodeName": "n1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("amount", ["0", "3000"])
@pytest.mark.parametrize("resource", [*sorted(HAMI_RESOURCES), "nvidia.com/gpumemory"])
def test_pods_that_are_left_to_hami_are_exempt_as_they_are_to_gpuwarden(
    chart: Chart, schedulers: list[str], spec: Json, amount: str, resource: str
) -> None:
    backstop = with_schedulers(chart, *schedulers)
    exemptions = Exemptions(schedulers=frozenset(schedulers))
    limits = {"nvidia.com/gpu.shared": "2", resource: amount}
    for pod in (
        a_pod(a_container(limits=limits), **spec),
        a_pod(gpu(2, "nvidia.com/gpu.shared"), initContainers=[a_container("load", limits={resource: amount})], **spec),
    ):
        taken = stored(pod) or {}
        assert backstop.evaluate(taken).asked is (exemptions.of_pod(view(taken)) is None)


@cache
def with_schedulers(chart: Chart, *schedulers: str) -> Backstop:
    return Backstop(chart.render({**ON, "config": {"exemptions": {"schedulers": list(schedulers)}}}))


def test_no_exemptions_are_none(chart: Chart) -> None:
    nobody: Json = {name: [] for name in ("namespaces", "usernames", "runtimeClasses", "schedulers")}
    backstop = Backstop(chart.render({**ON, "config": {"exemptions": nobody}}))
    assert backstop.evaluate(TWO_SLOTS, namespace="gpu-operator").messages


def test_a_pod_without_gpus_is_never_asked_about(chart: Chart) -> None:
    backstop = Backstop(chart.render(ON))
    assert not backstop.evaluate({"metadata": {}, "spec": {"containers": [{"name": "web", "image": "i"}]}}).asked
    assert backstop.evaluate(TWO_SLOTS).messages


def test_the_configurations_default_policy_holds_where_there_is_no_label(chart: Chart) -> None:
    backstop = Backstop(chart.render({**ON, "config": {"defaults": {"enforce": "shared"}}}))
    two = stored(a_pod(gpu(2))) or {}
    assert backstop.evaluate(two).messages
    assert not backstop.evaluate(two, {"gpuwarden.io/enforce": "exclusive"}).messages


def test_the_chart_has_what_the_rules_say_now() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hack.backstop", "--check"], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
