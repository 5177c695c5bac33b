"""Fields that must be text: each of another type is named with its path, what it is and what to write."""

from typing import Any

import pytest

from webhook.application.text_fields import wrong_types

QUOTE_IT = "must be text, not the number 1; quote it"
BOOLEAN = "must be text, not the boolean false; quote it (yes, no, on, off, true and false are booleans unless they are quoted)"


def an_object(kind: str = "Service", api_version: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **fields}


def a_pod(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "a", **fields}]}}


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        an_object(metadata=None),
        an_object(metadata={"name": "a", "labels": {"a": "1", "b": None}, "annotations": {}}),
        an_object(
            "Pod", metadata={"labels": {"a": "1"}}, spec={"containers": [{"env": [{"name": "A", "value": None}]}]}
        ),
        an_object("Namespace", metadata={"name": "a", "labels": {"gpuwarden.io/enforce": "none", "team": None}}),
        an_object(
            "Deployment", "apps/v1", spec={"selector": {"matchLabels": {"a": "1"}}, "template": a_pod(args=["1"])}
        ),
        # Not Kubernetes' own: nothing is known of its fields but the metadata.
        an_object("Deployment", "example.com/v1", spec={"selector": {"matchLabels": {"a": 1}}, "template": 3}),
        an_object("ConfigMap", data={"a": 1}),
    ],
)
def test_what_the_api_server_takes_is_not_named(manifest: dict[str, Any]) -> None:
    assert wrong_types(manifest) == []


@pytest.mark.parametrize(
    ("manifest", "field", "message"),
    [
        (an_object(metadata={"labels": {"a": 1}}), "metadata.labels[a]", QUOTE_IT),
        (an_object(metadata={"annotations": {"a.b/c": 1}}), "metadata.annotations[a.b/c]", QUOTE_IT),
        (an_object(metadata={"labels": ["a"]}), "metadata.labels", "must be a map, not a list; write a map"),
        (an_object(metadata={"labels": {"a": {}}}), "metadata.labels[a]", "must be text, not a map; write text"),
        (an_object(metadata={"namespace": 1}), "metadata.namespace", QUOTE_IT),
        (an_object(metadata={"generateName": 1}), "metadata.generateName", QUOTE_IT),
        (an_object(metadata="a"), "metadata", "must be a map, not text; write a map"),
        (an_object("Namespace", metadata={"name": 1}), "metadata.name", QUOTE_IT),
        *(
            (
                an_object("Namespace", metadata={"labels": {f"gpuwarden.io/{mode}": False}}),
                f"metadata.labels[gpuwarden.io/{mode}]",
                BOOLEAN,
            )
            for mode in ("enforce", "warn", "audit")
        ),
        (
            an_object("Namespace", metadata={"labels": {"gpuwarden.io/enforce": None}}),
            "metadata.labels[gpuwarden.io/enforce]",
            "must be text, not empty; write text",
        ),
        (an_object("Pod", **a_pod(env=[{"name": "A", "value": 1}])), "spec.containers[0].env[0].value", QUOTE_IT),
        (an_object("Pod", **a_pod(env=[{"name": False}])), "spec.containers[0].env[0].name", BOOLEAN),
        (an_object("Pod", **a_pod(args=["a", 1])), "spec.containers[0].args[1]", QUOTE_IT),
        (an_object("Pod", **a_pod(command=[False])), "spec.containers[0].command[0]", BOOLEAN),
        (an_object("Pod", **a_pod(image=1)), "spec.containers[0].image", QUOTE_IT),
        (
            an_object("Job", "batch/v1", spec={"template": {"metadata": {"labels": {"a": 1}}}}),
            "spec.template.metadata.labels[a]",
            QUOTE_IT,
        ),
        (
            an_object("CronJob", "batch/v1", spec={"jobTemplate": {"metadata": {"labels": {"a": 1}}}}),
            "spec.jobTemplate.metadata.labels[a]",
            QUOTE_IT,
        ),
        (
            an_object("Deployment", "apps/v1", spec={"selector": {"matchLabels": {"a": 1}}}),
            "spec.selector.matchLabels[a]",
            QUOTE_IT,
        ),
        (an_object("ReplicationController", spec={"selector": {"a": 1}}), "spec.selector[a]", QUOTE_IT),
        (
            an_object("PodTemplate", template={"metadata": {"labels": {"a": 1}}}),
            "template.metadata.labels[a]",
            QUOTE_IT,
        ),
        # What only the view of pods reads.
        (
            an_object("Pod", spec={"hostIPC": "true"}),
            "spec.hostIPC",
            "must be a boolean, not text; remove the quotes",
        ),
    ],
)
def test_another_type_is_named_once(manifest: dict[str, Any], field: str, message: str) -> None:
    assert wrong_types(manifest) == [(field, message)]


def test_all_are_named() -> None:
    manifest = an_object(
        "Deployment",
        "apps/v1",
        metadata={"name": 1, "labels": {"a": 1}},
        spec={"template": {"metadata": {"annotations": {"b": 1}}, **a_pod(name=1, env=[{"name": "A", "value": 1}])}},
    )
    assert [field for field, _ in wrong_types(manifest)] == [
        "metadata.labels[a]",
        "metadata.name",
        "spec.template.metadata.annotations[b]",
        "spec.template.spec.containers[0].name",
        "spec.template.spec.containers[0].env[0].value",
    ]
