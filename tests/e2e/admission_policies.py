"""Policies as ``gpuwarden compile`` prints them, many at a time on one API server, and what they must decide."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from queue import SimpleQueue
from typing import Any, NamedTuple, Self

import httpx
import msgspec

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from testing.reviews import TEAM, Webhook
from tests.builders import Json, a_pod, gpu, view
from tests.e2e.test_backstop import sendable
from webhook.application.configuration import Configuration
from webhook.application.in_tree_compiler import ANNOTATION, WARNS, compiled, object_name
from webhook.engine.common_case import BETWEEN, CommonCase
from webhook.engine.common_case_pods import is_common

_OWN_FIELDS = ("uid", "creationTimestamp", "namespace", "managedFields")
_LABEL = "situation"
_CONNECTIONS = 8
_DENIED = "' denied request: "
_WARNED = re.compile(
    r"Validation failed for ValidatingAdmissionPolicy '([^']*)' with binding '([^']*)': (.*)", re.DOTALL
)


class Decided(NamedTuple):
    """What becomes of a pod: it, or what is said of one that is denied; and the warnings, as one text."""

    result: Json | str
    warnings: str = ""


class Situation(msgspec.Struct, frozen=True):
    """One policy of a configuration, in namespace ``team``; its objects select pods by a label instead of namespaces.

    Attributes:
        name: of its objects, and the value of the label.
        enforce: the value of the namespace's label.
        configuration: the configuration.
        case: the common case; ``None`` where the webhooks decide every pod.
        objects: what is applied.
    """

    name: str
    enforce: str | None
    configuration: Configuration
    case: CommonCase | None
    objects: tuple[Json, ...]

    @classmethod
    def of(cls, name: str, configuration: Configuration, enforce: str | None) -> "Situation":
        """The situation of pods in namespaces with an ``enforce`` label, or without one."""
        if TEAM in configuration.exemptions.namespaces:
            return cls(name, enforce, configuration, None, ())
        made = compiled(configuration, [enforce] if enforce and configuration.policies.resolve(enforce) else ())
        policy = enforce or made.default
        case = next((case for case in made.cases if case.policy.name == policy), None)
        own = object_name(policy)
        objects = [
            _renamed(each, name, own)
            for each in made.objects
            if each["metadata"]["annotations"][ANNOTATION] == policy and not is_unlabelled(each)
        ]
        return cls(name, enforce, configuration, case, tuple(objects))

    def expected(self, before: Json, user: str) -> Decided:
        """What gpuwarden's webhooks make of a pod that is the common case, or say of it.

        A pod whose requests alone are the common case is only rewritten, and every other pod stays as it is.
        """
        pod = view(before)
        exemptions = self.configuration.exemptions
        if self.case is None or exemptions.of_pod(pod) or user in exemptions.usernames:
            return Decided(before)
        common = is_common(pod, self.case)
        if not common and not is_common(pod, self.case.changed):
            return Decided(before)
        webhook = Webhook(self.enforce, configuration=self.configuration)
        mutated = webhook.mutate(before)
        assert not mutated.warnings
        final = mutated.applied_to(before)
        if not common:
            return Decided(_as_stored(final))
        validated = webhook.validate(final)
        return Decided(_as_stored(final) if validated.allowed else validated.message, BETWEEN.join(validated.warnings))


def _as_stored(pod: Json) -> Json:
    """A pod as the API server writes it: a variable without a value is an empty one."""
    for container in pod["spec"]["containers"]:
        for variable in container.get("env", ()):
            if variable.get("value") == "":
                del variable["value"]
    return pod


def is_unlabelled(document: Json) -> bool:
    """Whether it is the binding of a policy for the namespaces without a label."""
    return "policyName" in document["spec"] and document["metadata"]["name"] != document["spec"]["policyName"]


def _renamed(document: Json, name: str, own: str) -> Json:
    """An object that begins with another name than that of its policy, for the pods with a label."""
    spec = document["spec"]
    new = name + document["metadata"]["name"].removeprefix(own)
    if "policyName" in spec:
        spec = {**spec, "policyName": new, "matchResources": {"objectSelector": {"matchLabels": {_LABEL: name}}}}
    return {**document, "metadata": {**document["metadata"], "name": new}, "spec": spec}


class AdmissionPolicies:
    """An API server with the objects of many situations, and one namespace for all pods, which are never stored."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._numbers = count()
        self._clients = [control_plane.client() for _ in range(_CONNECTIONS)]
        self._idle: SimpleQueue[httpx.Client] = SimpleQueue()
        for client in self._clients:
            self._idle.put(client)

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()

    def _request(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Ask the API server, with a client that no other thread uses meanwhile: it may close a connection that another reads."""
        client = self._idle.get()
        try:
            return client.request(method, path, **content)
        finally:
            self._idle.put(client)

    @contextmanager
    def applied(self, situations: Iterable[Situation]) -> Iterator[None]:
        """Create the objects; the API server acts by all of them inside."""
        # Objects are noticed in the order in which those of their kind were created. What was deleted acts a while longer, so
        # that a name used before would seem to act at once.
        last = Situation.of(f"last-{next(self._numbers)}", Configuration(), "shared")
        objects = [each for situation in situations for each in situation.objects]
        try:
            self._each(self._make, objects)
            self._each(self._make, last.objects)
            wait_for("the last policy to act", lambda: self._acts(last), 120)
            yield
        finally:
            paths = [f"{path_of(each)}/{each['metadata']['name']}" for each in (*objects, *last.objects)]
            self._each(lambda path: self._request("DELETE", path), paths)

    def _make(self, document: Json) -> None:
        self._request("POST", path_of(document), json=document).raise_for_status()

    def _acts(self, situation: Situation) -> bool:
        plain, denied = sendable(a_pod(gpu("1"))), sendable(a_pod(gpu("2")))
        return self.agrees(plain, situation) and self.agrees(denied, situation)

    @staticmethod
    def _each(do: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            return [*pool.map(do, values)]

    def accepted(self, pods: Iterable[tuple[Json, Situation, str | None]]) -> int:
        """Compare API server and webhooks for each of some pods, users too; how many Kubernetes itself does not deny."""
        return sum(self._each(lambda one: self.agrees(*one), pods))

    def create(self, pod: Json, label: str, user: str | None = None) -> httpx.Response:
        """Create a pod as a dry run."""
        metadata = {key: value for key, value in pod["metadata"].items() if key not in _OWN_FIELDS}
        metadata = {"name": "job-0", **metadata, "labels": {**(metadata.get("labels") or {}), _LABEL: label}}
        headers = {"Impersonate-User": user, "Impersonate-Group": "system:masters"} if user else {}
        body = {**pod, "metadata": metadata}
        return self._request("POST", self._pods, params={"dryRun": "All"}, headers=headers, json=body)

    def agrees(self, pod: Json, situation: Situation, user: str | None = None) -> bool:
        """Whether webhooks and API server agree about a pod; ``False`` too where Kubernetes itself denies the pod."""
        before = self.create(pod, "none", user)
        if before.status_code != httpx.codes.CREATED:
            return False
        expected = situation.expected(own(before.json()), user or "")
        found = decided(self.create(pod, situation.name, user), situation.name)
        assert found == expected, (situation.name, situation.enforce, pod, found, expected)
        return True


def path_of(document: Mapping[str, Any]) -> str:
    """The path of an object's kind in the API."""
    kind = document["kind"].lower()
    return f"/apis/{document['apiVersion']}/{kind.removesuffix('y') + 'ies' if kind.endswith('y') else kind + 's'}"


def decided(answer: httpx.Response, name: str) -> Decided:
    """What the API server made of a pod, or what an admission policy said of it, and the warnings of one with a name."""
    warned = warnings_of(answer, f"{name}{WARNS}")
    if answer.status_code == httpx.codes.CREATED:
        return Decided(own(answer.json()), warned)
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    before, by_us, sentence = answer.json()["message"].partition(_DENIED)
    assert by_us, before
    return Decided(str(sentence), warned)


def warnings_of(answer: httpx.Response, policy: str) -> str:
    """What an admission policy warns of, without what the API server writes before it; empty where it doesn't.

    A warning is a quoted string (k8s.io/apimachinery pkg/util/net http.go NewWarningHeader).
    """
    said = [re.sub(r"\\(.)", r"\1", each[len('299 - "') : -1]) for each in answer.headers.get_list("Warning")]
    found = [match[3] for match in map(_WARNED.fullmatch, said) if match and match[1] == match[2] == policy]
    assert len(found) <= 1
    return "".join(found)


def own(pod: Json) -> Json:
    """A pod without what differs between two that are made alike: a condition of a gated pod has the time of its creation."""
    copied: Json = {key: value for key, value in json.loads(json.dumps(pod)).items() if key != "status"}
    metadata = {key: value for key, value in copied["metadata"].items() if key not in _OWN_FIELDS}
    del metadata["labels"][_LABEL]
    return {**copied, "metadata": metadata}
