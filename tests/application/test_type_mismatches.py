"""Fields of the wrong type: named by path, with what they are and what to write."""

import copy
from typing import Any

import pytest

from webhook.application.kind_lookup import workload_of
from webhook.application.workload_pods import UnreadablePodError, pods_of

QUOTE_IT = "must be text, not the number 8; quote it"


def read(kind: str, manifest: dict[str, Any]) -> None:
    workload = workload_of(None, kind)
    assert workload is not None
    list(pods_of(workload, manifest))


@pytest.mark.parametrize(
    ("kind", "manifest"),
    [
        ("Pod", {}),
        ("Pod", {"metadata": None, "spec": None}),
        (
            "Pod",
            {"spec": {"nodeSelector": None, "containers": [{"resources": {"limits": {"a": 1, "b": "1", "c": 1.5}}}]}},
        ),
        (
            "Deployment",
            {"metadata": {"annotations": {"a": "8"}}, "spec": {"template": {"spec": {"nodeSelector": {"a": "8"}}}}},
        ),
        ("Deployment", {"spec": None}),
        ("CronJob", {"spec": {"jobTemplate": {}}}),
    ],
)
def test_what_fits_is_read(kind: str, manifest: dict[str, Any]) -> None:
    read(kind, manifest)


@pytest.mark.parametrize(
    ("kind", "manifest", "message"),
    [
        ("Pod", {"spec": {"nodeSelector": {"a": "x", "b.c/d": 8}}}, f"spec.nodeSelector[b.c/d]: {QUOTE_IT}"),
        (
            "Deployment",
            {"spec": {"template": {"spec": {"nodeSelector": {"gpu-count": 8}}}}},
            f"spec.template.spec.nodeSelector[gpu-count]: {QUOTE_IT}",
        ),
        (
            "Pod",
            {"spec": {"nodeSelector": {"a": True}}},
            (
                "spec.nodeSelector[a]: must be text, not the boolean true; quote it (yes, no, on, off, true and false are "
                "booleans unless they are quoted)"
            ),
        ),
        ("Pod", {"spec": {"nodeSelector": {"a": None}}}, "spec.nodeSelector[a]: must be text, not empty; write text"),
        ("Pod", {"metadata": {"annotations": {"a": 8}}}, f"metadata.annotations[a]: {QUOTE_IT}"),
        ("Pod", {"metadata": {"name": 8}}, f"metadata.name: {QUOTE_IT}"),
        ("Deployment", {"metadata": {"namespace": 8}}, f"metadata.namespace: {QUOTE_IT}"),
        ("Deployment", {"metadata": ["a"]}, "metadata: must be a map, not a list; write a map"),
        ("Pod", {"spec": {"containers": [{"name": "a"}, {"name": 8}]}}, f"spec.containers[1].name: {QUOTE_IT}"),
        ("Pod", {"spec": {"containers": {"name": "a"}}}, "spec.containers: must be a list, not a map; write a list"),
        ("Pod", {"spec": {"containers": ["a"]}}, "spec.containers[0]: must be a map, not text; write a map"),
        ("Pod", {"spec": {"hostIPC": "true"}}, "spec.hostIPC: must be a boolean, not text; remove the quotes"),
        (
            "Pod",
            {"spec": {"tolerations": [{"tolerationSeconds": "8"}]}},
            "spec.tolerations[0].tolerationSeconds: must be a whole number, not text; remove the quotes",
        ),
        (
            "Pod",
            {"spec": {"containers": [{"resources": {"limits": {"cpu": 1, "nvidia.com/gpu": True}}}]}},
            (
                "spec.containers[0].resources.limits[nvidia.com/gpu]: must be a number or text, not the boolean true; "
                "write a number or text"
            ),
        ),
        ("Deployment", {"spec": ["a"]}, "spec: must be a map, not a list; write a map"),
        ("CronJob", {"spec": {"jobTemplate": 8}}, "spec.jobTemplate: must be a map, not a number; write a map"),
        ("Deployment", {"spec": {"template": "a"}}, "spec.template: must be a map, not text; write a map"),
    ],
)
def test_what_does_not_is_named_with_the_remedy(kind: str, manifest: dict[str, Any], message: str) -> None:
    with pytest.raises(UnreadablePodError) as caught:
        read(kind, manifest)
    assert str(caught.value) == message
    ((field, _),) = caught.value.mismatches
    assert message.startswith(f"{field}: ")


def fields_of(kind: str, manifest: dict[str, Any]) -> list[str]:
    """The fields that are reported, in order; the manifest is left as it was."""
    before = copy.deepcopy(manifest)
    with pytest.raises(UnreadablePodError) as caught:
        read(kind, manifest)
    assert manifest == before
    return [field for field, _ in caught.value.mismatches]


def test_each_field_of_a_wrong_type_is_reported() -> None:
    spec = {
        "containers": [{"name": 8, "resources": {"limits": 3, "requests": {"a": True, "b": "1", "c": []}}}, "a"],
        "nodeSelector": [],
        "tolerations": [{"tolerationSeconds": "8"}, {"key": 1, "effect": 2}],
    }
    expected = [
        *("containers[0].name", "containers[0].resources.limits", "containers[0].resources.requests[a]"),
        *("containers[0].resources.requests[c]", "containers[1]", "nodeSelector"),
        *("tolerations[0].tolerationSeconds", "tolerations[1].key", "tolerations[1].effect"),
    ]
    assert fields_of("Pod", {"metadata": {"name": 1}, "spec": spec}) == [
        "metadata.name",
        *(f"spec.{field}" for field in expected),
    ]
    assert fields_of("Deployment", {"metadata": {"name": 1}, "spec": {"template": {"spec": spec}}}) == [
        "metadata.name",
        *(f"spec.template.spec.{field}" for field in expected),
    ]


def test_what_is_wrong_above_the_template_and_in_the_metadata_is_reported_together() -> None:
    assert fields_of("Deployment", {"metadata": {"name": 1}, "spec": []}) == ["metadata.name", "spec"]


def test_very_many_are_reported_up_to_a_bound_which_is_said() -> None:
    manifest = {"metadata": {"annotations": {f"a{number}": number for number in range(10_000)}}}
    with pytest.raises(UnreadablePodError) as caught:
        read("Pod", manifest)
    *first, last = caught.value.mismatches
    assert [field for field, _ in first] == [f"metadata.annotations[a{number}]" for number in range(50)]
    assert last == ("", "other fields are checked once these are fixed")


def test_what_has_no_words_here_is_reported_as_it_is() -> None:
    with pytest.raises(UnreadablePodError, match="Expected `str`, got `int` - at `key`"):
        read("Pod", {"spec": {"nodeSelector": {8: "a"}}})
