"""The configuration file: what a good one means, field by field."""

import json

import pytest

from testing.reviews import Json
from tests.builders import additions
from webhook.adapters.configuration.file import parse
from webhook.application.configuration import DEFAULT_EXEMPTIONS, Configuration, Exemptions, Mode
from webhook.engine.forms import Form, Platform, Sharing
from webhook.engine.namespace_labels import NamespaceLabels
from webhook.engine.other_gpus import BUILT_IN, GpuNames
from webhook.engine.pods import Toleration
from webhook.engine.policy import Mismatch, Policy
from webhook.engine.spelling import DevicePlugin

HEAD = "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
# As the documentation has it.
EXAMPLE = """\
apiVersion: gpuwarden.io/v1
kind: Configuration
mode: enforce                     # or audit
devicePlugin: {renameByDefault: true}
defaults: {enforce: any, warn: any, audit: any}
policies:
  inference:
    forms: [mig-1g.5gb, gke-mig-1g.5gb]
    mismatch: reject              # or rewrite
    maxPerContainer: 1
    maxPerPod: 4
    nodeSelector: {}
    tolerations: []
    runtimeClassName: nvidia
    env: {CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: "25"}
exemptions: {namespaces: [kube-system, gpu-operator], usernames: [], runtimeClasses: [], schedulers: [kai-scheduler, hami-scheduler]}
"""  # noqa: E501 - word for word


def said(configuration: Configuration) -> tuple[object, ...]:
    """Everything that a configuration says, to be compared."""
    policies = configuration.policies
    return (
        policies.configured,
        policies.defaults,
        configuration.mode,
        configuration.plugin,
        configuration.exemptions,
        configuration.names,
    )


def test_the_example_of_the_design_means_exactly_what_it_says() -> None:
    inference = Policy(
        "inference",
        (Form("1g.5gb"), Form("1g.5gb", platform=Platform.GKE)),
        permits_any=False,
        mismatch=Mismatch.REJECT,
        max_per_container=1,
        max_per_pod=4,
        additions=additions(runtime_class_name="nvidia", env={"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25"}),
    )

    assert said(parse(EXAMPLE)) == (
        {"inference": inference},
        NamespaceLabels("any", "any", "any"),
        Mode.ENFORCE,
        DevicePlugin(rename_by_default=True),
        Exemptions(
            frozenset({"kube-system", "gpu-operator"}),
            frozenset(),
            frozenset(),
            frozenset({"kai-scheduler", "hami-scheduler"}),
        ),
        BUILT_IN,
    )


def test_a_file_of_head_alone_is_all_defaults() -> None:
    assert said(parse(HEAD)) == (
        {},
        NamespaceLabels("any", "any", "any"),
        Mode.ENFORCE,
        DevicePlugin(rename_by_default=True),
        DEFAULT_EXEMPTIONS,
        BUILT_IN,
    )


def test_every_field_may_say_something_else() -> None:
    configuration = parse(
        HEAD
        + """
mode: audit
devicePlugin: {renameByDefault: false}
defaults: {enforce: pool.A_1, warn: mps, audit: gke-mps-4}
policies:
  pool.A_1:
    forms: [shared]
    mismatch: rewrite
    nodeSelector: {cloud.google.com/gke-accelerator: nvidia-l4, empty: ""}
    tolerations:
      - {key: a, operator: Equal, value: b, effect: NoExecute, tolerationSeconds: 30}
      - {operator: Exists}
    env: {A: "", B.c-d: "="}
    adminAccess: true
exemptions: {namespaces: [], usernames: ["system:admin"], runtimeClasses: [kata], schedulers: []}
resources: {gpus: [amd.com/gpu, example.com/*], notGPUs: [nvidia.com/fpga-1*]}
claims: {deviceClasses: {gpu.nvidia.com: time-slicing, slices.example.com: mig, a: gke-mig-1g.5gb}}
"""
    )

    policy = configuration.policies.configured["pool.A_1"]
    assert (configuration.mode, configuration.plugin) == (Mode.AUDIT, DevicePlugin(rename_by_default=False))
    assert configuration.policies.defaults == NamespaceLabels("pool.A_1", "mps", "gke-mps-4")
    assert policy.additions.tolerations == (
        Toleration("a", "Equal", "b", "NoExecute", 30),
        Toleration(operator="Exists"),
    )
    assert policy.mismatch is Mismatch.REWRITE
    assert dict(policy.additions.node_selector) == {"cloud.google.com/gke-accelerator": "nvidia-l4", "empty": ""}
    assert dict(policy.additions.env) == {"A": "", "B.c-d": "="}
    assert policy.admin_access
    assert configuration.device_classes == {
        "gpu.nvidia.com": "time-slicing",
        "slices.example.com": "mig",
        "a": "gke-mig-1g.5gb",
    }
    assert configuration.classes.form("gpu.nvidia.com", None) == Form(sharing=Sharing.TIME_SLICING)
    assert not configuration.classes.provides_gpus("dra.cpu")
    assert (policy.max_per_container, policy.max_per_pod, policy.additions.runtime_class_name) == (None, None, None)
    assert configuration.exemptions == Exemptions(
        frozenset(), frozenset({"system:admin"}), frozenset({"kata"}), frozenset()
    )
    assert configuration.names == GpuNames(("amd.com/gpu", "example.com/*"), ("nvidia.com/fpga-1*",))


@pytest.mark.parametrize(
    "fields",
    [
        "forms: [any], nodeSelector: {nvidia.com/gpu.product: NVIDIA-A10}",
        "forms: [any], nodeSelector: {nvidia.com/gpu.sharing-strategy: mps}, maxPerContainer: 1",
        "forms: [mps], nodeSelector: {nvidia.com/gpu.sharing-strategy: mps}",
        "forms: [shared], nodeSelector: {nvidia.com/gpu.sharing-strategy: mps, nvidia.com/mig.capable: 'false'}",
        "forms: [gke-mps-4, gke-mps-8], nodeSelector: {cloud.google.com/gke-gpu-sharing-strategy: mps}",
        "forms: [mig-1g.5gb], nodeSelector: {nvidia.com/mig.capable: 'true', nvidia.com/mig.strategy: mixed}",
        "forms: [exclusive], nodeSelector: {nvidia.com/gpu.memory: '40536', nvidia.com/mig.strategy: mixed, pool: gpu}",
    ],
)
def test_a_policy_may_select_nodes_that_hold_what_it_permits(fields: str) -> None:
    head = "apiVersion: gpuwarden.io/v1\nkind: Configuration\n"
    assert parse(f"{head}policies: {{house: {{{fields}}}}}\n").policies.resolve("house")


@pytest.mark.parametrize(("form", "permits_any"), [("any", True), ("none", False)])
def test_a_policy_may_be_any_or_none_with_settings(form: str, permits_any: bool) -> None:  # noqa: FBT001 - a parameter of the table
    policy = parse(HEAD + f"policies: {{house: {{forms: [{form}], maxPerPod: 2}}}}").policies.configured["house"]

    assert (policy.forms, policy.permits_any, policy.max_per_pod) == ((), permits_any, 2)


def test_exemptions_may_be_any_name_that_there_can_be() -> None:
    text = (
        "exemptions: {namespaces: [a-1, '5'], usernames: ['system:serviceaccount:ci:runner.x', 'system:admin', 'bob smith@x.y'], "
        "runtimeClasses: [kata.v2], schedulers: [My_Scheduler]}"
    )
    exemptions = parse(HEAD + text).exemptions

    assert exemptions.usernames == {"system:serviceaccount:ci:runner.x", "system:admin", "bob smith@x.y"}
    assert exemptions.schedulers == {"My_Scheduler"}


def test_exemptions_that_are_written_replace_the_default_ones_list_by_list() -> None:
    exemptions = parse(HEAD + "exemptions: {namespaces: [mine]}").exemptions

    assert exemptions.namespaces == {"mine"}
    assert exemptions.schedulers == DEFAULT_EXEMPTIONS.schedulers


def test_json_is_yaml() -> None:
    document: Json = {
        "apiVersion": "gpuwarden.io/v1",
        "kind": "Configuration",
        "policies": {"house": {"forms": ["mps"]}},
        "defaults": {"enforce": "house"},
    }

    assert said(parse(json.dumps(document))) == said(
        parse(HEAD + "policies: {house: {forms: [mps]}}\ndefaults: {enforce: house}\n")
    )


def test_an_anchor_may_be_used_twice() -> None:
    configured = parse(HEAD + "policies: {one: &it {forms: [mps]}, other: *it}").policies.configured

    assert configured["one"].forms == configured["other"].forms
    assert [policy.name for policy in configured.values()] == ["one", "other"]
