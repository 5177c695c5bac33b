"""Other kinds: which custom resources may lead to pods, by their schemas, and what is said of them."""

from typing import Any

import pytest

from webhook.application.other_kinds import OtherKind, leads_to_pods, unknown_kinds

TEXT = {"type": "string"}
OPEN = {"x-kubernetes-preserve-unknown-fields": True}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def a_list(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item}


CONTAINERS = a_list(an_object(name=TEXT, image=TEXT))
POD = an_object(spec=an_object(containers=CONTAINERS))


@pytest.mark.parametrize(
    "schema",
    [
        an_object(spec=an_object(template=POD)),
        an_object(spec=an_object(workers=a_list(an_object(template=POD)))),
        an_object(spec=an_object(roles={"type": "object", "additionalProperties": an_object(template=POD)})),
        an_object(spec=an_object(template=OPEN)),
        an_object(spec=an_object(chart=an_object(values=OPEN))),
        an_object(spec=an_object(parts=a_list(OPEN))),
        an_object(spec=an_object(sources=a_list(an_object(manifest=TEXT)))),
        an_object(spec=an_object(gpuCount=TEXT)),
        an_object(spec=an_object(serverResources=an_object(limits=an_object()))),
        an_object(spec=an_object(containers=a_list(OPEN))),
        an_object(spec=an_object(mainContainer=an_object(image=TEXT))),
        an_object(spec=an_object(resources=an_object(limits=an_object()))),
        an_object(spec=an_object(resourceClaims=a_list(an_object()))),
        an_object(spec=an_object(devices=an_object(resourceClaimTemplateName=TEXT))),
        an_object(spec={"type": "object", **OPEN}),
        {"type": "object", **OPEN},
        None,
    ],
)
def test_what_holds_containers_or_claims_or_may_hold_anything_leads_to_pods(schema: dict[str, Any] | None) -> None:
    assert leads_to_pods(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        an_object(spec=an_object(replicas=TEXT)),
        an_object(spec=an_object(template=an_object(metadata=an_object()))),
        an_object(spec=an_object(containers=TEXT)),
        an_object(spec=an_object(steps=a_list(an_object(weight=TEXT)))),
        # The size of a disk.
        an_object(spec=an_object(volumeClaimTemplate=an_object(resources=an_object(requests=an_object())))),
        # What there is, not what is to be made.
        an_object(status=an_object(template=POD)),
        an_object(spec="unreadable"),
    ],
)
def test_what_holds_none_does_not(schema: dict[str, Any]) -> None:
    assert not leads_to_pods(schema)


def test_a_kind_that_may_not_be_listed_is_named_with_the_rule_and_what_to_run() -> None:
    assert OtherKind("ray.io/v1", "RayCluster", "rayclusters", None, "403", forbidden=True).message == (
        "RayCluster.ray.io: its objects were not checked, and their number is unknown (403); existing pods were checked, pods "
        "that are yet to be created were not; grant {apiGroups: [ray.io], resources: [rayclusters], verbs: [list]} (in the "
        "chart, audit.report.rules), or run kubectl get rayclusters.ray.io -A -o yaml | gpuwarden check -"
    )
    assert "grant" not in OtherKind("ray.io/v1", "RayCluster", "rayclusters", None, "500").message


def test_a_list_that_was_cut_is_named_with_what_is_missing() -> None:
    message = OtherKind("ray.io/v1", "RayCluster", "rayclusters", 2000, checked=5000).message
    assert (
        "RayCluster.ray.io: 5,000 objects were checked and 2,000 others were not, because an audit reads at most "
        in message
    )
    assert "and others were not" in OtherKind("ray.io/v1", "RayCluster", "rayclusters", None, checked=5000).message


def test_what_is_not_known_is_said_with_the_reason() -> None:
    message = unknown_kinds("403")
    assert "not all could be read (403); grant list on customresourcedefinitions" in message
