"""The admission policies of ``gpuwarden compile`` on a real API server, alone: they decide what the engine decides.

Set ``GPUWARDEN_IN_TREE_PODS`` to compare more pods than the default.
"""

import json
import os
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import httpx
import jsonpatch
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.waiting import wait_for
from tests.builders import Json, a_pod, gpu, view
from tests.e2e.objects import ENFORCE
from tests.e2e.test_backstop import sendable
from tests.engine.common_pods import BUILT_IN, CONFIGURED, a_random_pod
from webhook.adapters.configuration.file import parse
from webhook.application.configuration import Configuration
from webhook.application.in_tree import Compiled, compiled, object_name
from webhook.engine.common_case import CommonCase
from webhook.engine.common_case_pods import is_common
from webhook.engine.decision import decide
from webhook.engine.patch import patch

pytestmark = pytest.mark.e2e

PODS = int(os.environ.get("GPUWARDEN_IN_TREE_PODS", "600"))
SETTINGS: dict[str, Json] = {
    "renamed": {},
    "not renamed": {"devicePlugin": {"renameByDefault": False}},
    "single": {"devicePlugin": {"migStrategy": "single"}},
    "single by product": {"devicePlugin": {"migStrategy": "single", "products": ["NVIDIA-A100-SXM4-40GB"]}},
    "autopilot": {"gke": {"autopilot": True}},
}
_OWN_FIELDS = ("uid", "creationTimestamp", "namespace", "managedFields")


class InTree:
    """An API server with the admission policies of a configuration, and a namespace for each policy."""

    def __init__(self, control_plane: ControlPlane, namespaces: Mapping[str, str], setting: str) -> None:
        self.control_plane = control_plane
        document = {"apiVersion": "gpuwarden.io/v1", "kind": "Configuration", "policies": CONFIGURED}
        self.configuration: Configuration = parse(json.dumps({**document, **SETTINGS[setting]}))
        self.compiled: Compiled = compiled(self.configuration, BUILT_IN)
        self.cases: dict[str, CommonCase] = {case.policy.name: case for case in self.compiled.cases}
        self.namespaces = namespaces

    def apply(self) -> None:
        """Create the objects; the API server acts by all of them when this returns."""
        for each in self.compiled.objects:
            self.control_plane.api.post(path_of(each), json=each).raise_for_status()
        probe = sendable(a_pod(gpu("1")))
        for policy in self.cases:
            wait_for(f"policy {policy} to act", lambda policy=policy: self.agrees(probe, policy))  # type: ignore[misc]  # mypy can't infer a lambda's default

    def remove(self) -> None:
        """Delete the objects, bindings first."""
        for each in reversed(self.compiled.objects):
            self.control_plane.api.delete(f"{path_of(each)}/{each['metadata']['name']}")

    def create(self, pod: Json, policy: str, **parameters: Any) -> httpx.Response:
        """Create a pod as a dry run in the namespace of a policy; under ``any`` nothing is done to it."""
        path = f"/api/v1/namespaces/{self.namespaces[policy]}/pods"
        return self.control_plane.api.post(path, params={"dryRun": "All", **parameters}, json=pod)

    def expected(self, before: Json, case: CommonCase | None) -> Json | str:
        """What the engine makes of a pod that is the common case, or says of it; of every other pod, the pod as it is."""
        pod = view(before)
        if case is None or not is_common(pod, case) or before["spec"].get("schedulerName") == "kai-scheduler":
            return before
        decision = decide(pod, case.policy, self.configuration.plugin)
        assert not decision.warnings
        if decision.denials:
            return "; and ".join(finding.message for finding in decision.denials)
        changed: Json = jsonpatch.apply_patch(before, patch(pod, decision.edits))
        return changed

    def got(self, answer: httpx.Response, policy: str) -> Json | str:
        """What the API server made of a pod, or what an admission policy said of it."""
        if answer.status_code == httpx.codes.CREATED:
            return own(answer.json())
        assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
        name = object_name(policy)
        before, by_us, sentence = answer.json()["message"].partition(f"'{name}' with binding '{name}' denied request: ")
        assert by_us, before
        return str(sentence)

    def agrees(self, pod: Json, policy: str) -> bool:
        """Whether engine and API server agree about a pod; ``False`` too where Kubernetes itself denies the pod."""
        before = self.create(pod, "any")
        if before.status_code != httpx.codes.CREATED:
            return False
        expected = self.expected(own(before.json()), self.cases.get(policy))
        assert self.got(self.create(pod, policy), policy) == expected, (policy, pod)
        return True


def path_of(document: Json) -> str:
    """The path of an object's kind in the API."""
    kind = document["kind"].lower()
    return f"/apis/{document['apiVersion']}/{kind.removesuffix('y') + 'ies' if kind.endswith('y') else kind + 's'}"


def own(pod: Json) -> Json:
    """A pod without what differs between two that are made alike."""
    metadata = {key: value for key, value in pod["metadata"].items() if key not in _OWN_FIELDS}
    return {**pod, "metadata": metadata}


@pytest.fixture(scope="module")
def namespaces(control_plane: ControlPlane, module_namespaces: Namespaces) -> Mapping[str, str]:
    """A namespace for each policy, by the policy's name, and the RuntimeClass that one of them sets."""
    runtime = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "nvidia"},
        "handler": "nvidia",
    }
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(runtime))
    return {name: module_namespaces.make({ENFORCE: name}) for name in (*CONFIGURED, *BUILT_IN)}


@pytest.fixture(scope="module", params=SETTINGS)
def in_tree(
    control_plane: ControlPlane, namespaces: Mapping[str, str], request: pytest.FixtureRequest
) -> Iterator[InTree]:
    """The policies, applied; the API server acts by all of them when this returns."""
    made = InTree(control_plane, namespaces, request.param)
    try:
        made.apply()
        yield made
    finally:
        made.remove()


def test_the_api_server_decides_the_common_case_as_the_engine_does(in_tree: InTree) -> None:
    """And does nothing to every other pod, which is the webhooks'."""
    random = Random(18)  # noqa: S311 - test data
    policies = sorted(in_tree.namespaces)
    accepted = sum(in_tree.agrees(a_random_pod(random), random.choice(policies)) for _ in range(PODS // len(SETTINGS)))
    assert accepted > PODS // len(SETTINGS) // 2
