"""Fields of the wrong type: named by path, with what they are and what to write."""

from typing import Any

import pytest

from webhook.application.checking import UnreadablePodError, pod_of
from webhook.application.workloads import WORKLOADS

QUOTE_IT = "must be text, not the number 8; quote it"


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
    pod_of(WORKLOADS[kind], manifest)


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
        pod_of(WORKLOADS[kind], manifest)
    assert str(caught.value) == message
    assert message.startswith(f"{caught.value.field}: ")
