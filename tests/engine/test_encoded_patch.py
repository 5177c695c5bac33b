"""The encoded patch is that of the pod at hand, whatever pods were before it."""

import msgspec
import pytest
from hypothesis import given

from tests.builders import GPU, RENAMED, SHARED, Json, a_container, a_pod, affinity, gpu, judge, view
from tests.engine.strategies import plugins, pods, policies
from tests.engine.test_decision_properties import PROPERTY
from webhook.engine.decision import decide
from webhook.engine.encoded_patch import encoded
from webhook.engine.patch import patch
from webhook.engine.policy import Policy
from webhook.engine.policy_additions import POLICY
from webhook.engine.spelling import DevicePlugin

OURS = {"metadata": {"annotations": {POLICY: "another"}}}
BOTH = a_container(limits={GPU: 1}, requests={GPU: 1})
PODS = [
    pytest.param(a_pod(gpu(2, resource="cpu")), id="nothing to change"),
    pytest.param(a_pod(BOTH), id="as most pods"),
    pytest.param(a_pod(BOTH) | {"metadata": None}, id="no metadata"),
    pytest.param(a_pod(BOTH) | {"metadata": {"annotations": {"a": "b"}}}, id="annotations"),
    pytest.param(a_pod(BOTH) | OURS, id="our annotations"),
    pytest.param(a_pod(BOTH, tolerations=[{"key": "a"}]), id="tolerations"),
    pytest.param(a_pod(BOTH, nodeSelector={"a": "b"}), id="a nodeSelector"),
    pytest.param(a_pod(BOTH, affinity=affinity([("a", "In", "b")])), id="node affinity"),
    pytest.param(a_pod(a_container(limits={GPU: 1}, requests={SHARED: 0})), id="a zero under the new name"),
    pytest.param(a_pod(a_container(limits={GPU: 1})), id="limits only"),
    pytest.param(a_pod(*[BOTH] * 40), id="many containers"),
]


@pytest.mark.parametrize("policy", ["mps", "shared"])
@pytest.mark.parametrize("pod", PODS)
def test_it_is_the_patch_of_the_pod(pod: Json, policy: str) -> None:
    edits = judge(pod, policy, RENAMED).edits

    for _ in range(2):
        assert msgspec.json.decode(encoded(view(pod), edits)) == patch(view(pod), edits)


@PROPERTY
@given(pods, policies, plugins)
def test_it_is_the_patch_of_any_pod(pod: Json, policy: Policy, plugin: DevicePlugin) -> None:
    edits = decide(view(pod), policy, plugin).edits

    assert msgspec.json.decode(encoded(view(pod), edits)) == msgspec.to_builtins(patch(view(pod), edits))
