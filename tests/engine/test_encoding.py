"""Encoding: what is remembered of a patch is what would be made of it anew."""

import json
from typing import Any

import pytest
from hypothesis import given

from tests.builders import GPU, PRODUCT, Json, a_container, a_pod, a_policy, gpu, judge, view
from tests.engine.strategies import plugins, pods, policies
from tests.engine.test_decision_properties import PROPERTY
from webhook.engine.encoding import encoded
from webhook.engine.patch import patch
from webhook.engine.pods import Toleration
from webhook.engine.policy import Policy
from webhook.engine.spelling import DevicePlugin


def operations(pod: Json, policy: str | Policy = "shared", plugin: DevicePlugin | None = None) -> list[Any]:
    """The operations of the encoded patch."""
    decision = judge(pod, policy, plugin or DevicePlugin())
    return json.loads(encoded(view(pod), decision.edits) or b"[]")  # type: ignore[no-any-return]  # a list of objects


@PROPERTY
@given(pods, policies, plugins)
def test_the_patch_is_the_same_whether_it_is_remembered_or_not(pod: Json, policy: Policy, plugin: DevicePlugin) -> None:
    made = patch(view(pod), judge(pod, policy, plugin).edits)

    assert operations(pod, policy, plugin) == operations(pod, policy, plugin) == made


BOTH = a_container(limits={GPU: 1}, requests={GPU: 1})
SHAPES = [
    pytest.param(a_pod(BOTH), id="metadata without annotations"),
    pytest.param(a_pod(BOTH, annotations={}), id="annotations"),
    pytest.param(a_pod(BOTH, annotations={"note": "x"}, tolerations=[]), id="annotations and tolerations"),
    pytest.param(a_pod(BOTH, annotations={"gpuwarden.io/policy": "old"}), id="an annotation of ours"),
    pytest.param({"spec": a_pod(BOTH)["spec"]}, id="no metadata"),
    pytest.param(a_pod(BOTH, tolerations=[{"key": "x"}]), id="tolerations"),
    pytest.param(a_pod(gpu(1)), id="limits only"),
    pytest.param(a_pod(a_container(limits={GPU: 1}, requests={"nvidia.com/gpu.shared": 0})), id="a zero to remove"),
    pytest.param(a_pod(*[BOTH] * 20), id="many containers"),
    pytest.param(a_pod(*[{**BOTH, "name": "x" * 300}] * 2), id="a long annotation"),
    pytest.param(a_pod(BOTH, nodeSelector={PRODUCT: "A100"}), id="a selector"),
]


@pytest.mark.parametrize(
    "policy",
    [
        "shared",
        "mps",
        a_policy("shared", env={"A": "1"}, runtime_class_name="nvidia"),
        a_policy("shared", tolerations=tuple(Toleration(key=f"team-{number}") for number in range(20))),
    ],
    ids=str,
)
@pytest.mark.parametrize("pod", SHAPES)
def test_pods_of_every_shape_get_their_own(pod: Json, policy: str | Policy) -> None:
    """One after the other, so that one remembered for another's shape would show."""
    decision = judge(pod, policy)

    assert decision.edits
    assert operations(pod, policy) == patch(view(pod), decision.edits)


def test_a_renaming_by_itself_is_one() -> None:
    pod = view(a_pod(BOTH))
    (renaming, *_) = judge(a_pod(BOTH), "shared").edits

    assert json.loads(encoded(pod, (renaming,))) == patch(pod, (renaming,))


def test_nothing_to_change_is_no_patch() -> None:
    assert encoded(view(a_pod()), ()) == b""
    assert encoded(view({}), ()) == b""
