"""The pods that a claim is given to, with their claims: read each time, in time, and as they are now."""

import asyncio
import json
import threading
from typing import cast

import pytest

from tests.adapters.kubernetes.test_live_claims import DEVICES, GPUS, GROUP, ROOT, Api
from tests.builders import Json
from webhook.adapters.kubernetes.api_request import ApiRequest
from webhook.adapters.kubernetes.claim_holders import LiveClaimHolders
from webhook.adapters.kubernetes.client import ApiServer
from webhook.adapters.kubernetes.errors import ApiError, Fault
from webhook.application.pod_review import MOST_CLAIMS
from webhook.application.reservations import ClaimHolder, PodReference, PodUnavailable
from webhook.engine.claims import CLAIM, Reference

PODS = "/api/v1/namespaces/team/pods"
CLAIMS = f"{ROOT}/namespaces/team/resourceclaims"
TRAIN = PodReference("train", "1")


class Cluster(Api):
    """An API server with pods too."""

    def pod(self, *claims: Json, made: dict[str, str | None] | None = None, uid: str = "1") -> None:
        statuses = [{"name": name, "resourceClaimName": claim} for name, claim in (made or {}).items()]
        self.documents[f"{PODS}/train"] = {
            "metadata": {"name": "train", "uid": uid, "annotations": {"a": "b"}},
            "spec": {"containers": [{"name": "train"}], "resourceClaims": list(claims)},
            "status": {"phase": "Pending", "resourceClaimStatuses": statuses},
        }

    def absence(self, path: str) -> ApiError:
        if path.startswith(PODS):
            return ApiError(Fault.NOT_FOUND, "404", missing=path.rpartition("/")[2])
        return super().absence(path)


def by_name(name: str, claim: str) -> Json:
    return {"name": name, "resourceClaimName": claim}


def by_template(name: str, template: str = "one") -> Json:
    return {"name": name, "resourceClaimTemplateName": template}


def fetched(
    api: Api, *pods: PodReference, timeout: float = 5.0, times: int = 1
) -> dict[PodReference, ClaimHolder | None]:
    async def fetch() -> dict[PodReference, ClaimHolder | None]:
        holders = LiveClaimHolders(cast("ApiServer", api), timeout=timeout)
        found: dict[PodReference, ClaimHolder | None] = {}
        try:
            for _ in range(times):
                found = await holders.fetch("team", pods)
        finally:
            holders.close()
        return found

    return asyncio.run(fetch())


def held(api: Api) -> ClaimHolder:
    found = fetched(api, TRAIN)[TRAIN]
    assert found is not None
    return found


def test_a_pod_has_its_claims_and_those_that_were_made_from_templates_by_their_names() -> None:
    api = Cluster()
    made: dict[str, str | None] = {"b": "train-b-x", "c": "train-c-y", "unneeded": None}
    listed = by_name("a", "one"), by_template("b"), by_template("c"), by_template("unneeded")
    api.pod(*listed, made=made)
    for name in ("one", "train-b-x", "train-c-y"):
        api.claim(name)
    found = held(api)
    assert found.pod.spec is not None
    entries = found.pod.spec.resource_claims or []
    assert [(one.name, one.resource_claim_name, one.resource_claim_template_name) for one in entries] == [
        ("a", "one", None),
        ("b", "train-b-x", None),
        ("c", "train-c-y", None),
    ]
    assert found.claims == {Reference(CLAIM, name): GPUS for name in ("one", "train-b-x", "train-c-y")}
    assert sorted(api.asked) == [f"{PODS}/train", *(f"{CLAIMS}/{name}" for name in ("one", "train-b-x", "train-c-y"))]


@pytest.mark.parametrize("entry", [by_template("b"), {"name": "b", "ofAnotherSource": "x"}])
def test_a_pod_that_is_still_to_get_a_claim_is_not_evaluated_yet(entry: Json) -> None:
    """kube-controller-manager writes the names anew when it makes a claim again; no scheduler gives any before all are known."""
    api = Cluster()
    api.pod(by_name("a", "one"), entry)
    with pytest.raises(PodUnavailable, match=r"b of spec\.resourceClaims: the claim is not created yet"):
        fetched(api, TRAIN)
    assert api.asked == [f"{PODS}/train"]


def test_a_claim_that_does_not_exist_is_none() -> None:
    api = Cluster()
    api.pod(by_name("a", "one"))
    assert held(api).claims == {Reference(CLAIM, "one"): None}


def test_a_pod_without_claims_costs_one_request() -> None:
    api = Cluster()
    api.pod()
    assert held(api).claims == {}
    assert api.asked == [f"{PODS}/train"]


@pytest.mark.parametrize("pod", [PodReference("train", "2"), PodReference("other", "1"), PodReference("../x", "1")])
def test_a_pod_of_another_name_or_uid_is_none(pod: PodReference) -> None:
    api = Cluster()
    api.pod()
    assert fetched(api, pod) == {pod: None}


def test_each_read_is_new_even_while_another_is_under_way() -> None:
    """One that began before a claim was replaced must not be the answer to a review that was sent after that."""
    api, released = Cluster(), threading.Event()
    api.pod(by_name("a", "one"))
    api.claim()

    async def fetch() -> tuple[dict[PodReference, ClaimHolder | None], ...]:
        holders = LiveClaimHolders(cast("ApiServer", api), timeout=5.0)
        read = threading.Event()
        answered = api.call

        def slow(request: ApiRequest, *, timeout: float) -> bytes:
            body = answered(request, timeout=timeout)
            if request.path.startswith(CLAIMS) and not read.is_set():
                read.set()
                released.wait(5.0)  # the first read has the old claim, and is on its way
            return body

        api.call = slow  # type: ignore[method-assign]
        first = asyncio.create_task(holders.fetch("team", [TRAIN]))
        await asyncio.to_thread(read.wait, 5.0)
        api.documents[f"{CLAIMS}/one"] = {"metadata": {"name": "one"}, "spec": {"devices": {}}}
        second = await holders.fetch("team", [TRAIN])
        released.set()
        try:
            return await first, second
        finally:
            holders.close()

    before, after = (found[TRAIN] for found in asyncio.run(fetch()))
    assert before is not None
    assert after is not None
    assert (before.claims == {Reference(CLAIM, "one"): GPUS}, after.claims[Reference(CLAIM, "one")] == GPUS) == (
        True,
        False,
    )


@pytest.mark.parametrize("path", [f"{PODS}/train", f"{CLAIMS}/one"])
@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.SERVER_ERROR, Fault.UNREACHABLE, Fault.NOT_FOUND])
def test_a_failure_is_never_taken_for_nothing(path: str, fault: Fault) -> None:
    api = Cluster()
    api.serve("v1")
    api.pod(by_name("a", "one"))
    api.documents[path] = ApiError(fault, "why")
    with pytest.raises(PodUnavailable, match='pod "train" and its claims could not be read: ') as raised:
        fetched(api, TRAIN)
    assert fault is Fault.NOT_FOUND or "why" in str(raised.value)


def test_a_cluster_that_does_not_serve_claims_is_a_failure() -> None:
    api = Cluster(served=False)
    api.pod(by_name("a", "one"))
    with pytest.raises(PodUnavailable, match="the API server does not serve claims"):
        fetched(api, TRAIN)


def test_a_pod_with_too_many_claims_is_not_read() -> None:
    api = Cluster()
    api.pod(*(by_name(f"c{number}", f"c{number}") for number in range(MOST_CLAIMS + 1)))
    with pytest.raises(
        PodUnavailable, match=f"it has {MOST_CLAIMS + 1} claims; more than {MOST_CLAIMS} are not checked"
    ):
        fetched(api, TRAIN)
    assert api.asked == [f"{PODS}/train"]


def test_the_time_is_for_a_pod_and_all_its_claims() -> None:
    clock = iter(range(100))
    api = Cluster()
    api.pod(*(by_name(f"c{number}", f"c{number}") for number in range(9)))

    async def fetch() -> None:
        holders = LiveClaimHolders(cast("ApiServer", api), timeout=4.5, monotonic=lambda: float(next(clock)))
        try:
            await holders.fetch("team", [TRAIN])
        finally:
            holders.close()

    with pytest.raises(PodUnavailable, match=r"did not answer within 4\.5 s"):
        asyncio.run(fetch())
    assert len(api.asked) == 4


def test_claims_are_read_in_the_version_that_is_served() -> None:
    api = Cluster()
    api.serve("v1beta1")
    api.pod(by_name("a", "one"))
    path = f"{GROUP}/v1beta1/namespaces/team/resourceclaims/one"
    api.documents[path] = json.loads(json.dumps({"metadata": {"name": "one"}, "spec": DEVICES}))
    assert held(api).claims == {Reference(CLAIM, "one"): GPUS}
