"""Every object against Kubernetes' own API, as the official client describes it: no field is misspelt or misplaced."""

import copy
from typing import Any

import pytest
from kubernetes import client
from pydantic import BaseModel, ValidationError

from tests.deploy.argo import api_versions
from tests.deploy.chart import MODES, Chart, Json, Rendered, merged

# With everything that is off by default.
EVERYTHING: Json = {
    "namespace": {"create": True},
    "hostNetwork": True,
    "imagePullSecrets": [{"name": "pull"}],
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "extraEnv": [{"name": "A", "value": "b"}],
    "podAnnotations": {"a": "b"},
    "service": {"annotations": {"a": "b"}},
    "serviceAccount": {"annotations": {"a": "b"}},
    "networkPolicy": {"opsFrom": [{"podSelector": {}}]},
    "audit": {"report": {"enabled": True}},
    "monitoring": {kind: {"create": True} for kind in ("serviceMonitor", "prometheusRule", "dashboard")},
    "backstop": {"enabled": True},
}


def model(document: Json) -> type[BaseModel]:
    """The client's model of a kind; it forbids fields that the API doesn't have."""
    found: type[BaseModel] = getattr(client, f"V1{document['kind']}")
    return found


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_every_object_is_what_the_api_says(chart: Chart, mode: str, values: Json) -> None:
    rendered = chart.render(merged(MODES[mode], values), more=api_versions())
    for document in rendered.objects:
        if not document["apiVersion"].startswith(("cert-manager.io/", "monitoring.coreos.com/")):
            model(document).model_validate(document)
    assert len(rendered.objects) > 10


def test_a_misspelt_field_is_found(rendered: Rendered) -> None:
    document: Any = copy.deepcopy(rendered.the("Deployment"))
    document["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(ValidationError, match="livenesProbe"):
        model(document).model_validate(document)


def test_every_namespaced_object_is_in_the_releases_namespace(in_each_mode: dict[str, Rendered], mode: str) -> None:
    cluster_wide = {
        "ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
    }  # fmt: skip
    for document in in_each_mode[mode].objects:
        there = document["metadata"].get("namespace")
        assert there == (None if document["kind"] in cluster_wide else "gpuwarden-system"), document["kind"]


def test_lists_that_are_merged_by_key_have_all_of_their_keys(rendered: Rendered) -> None:
    """Server-side apply, which Helm 4 uses, tells ports apart by number and protocol."""
    ports = [*rendered.the("Service")["spec"]["ports"], *rendered.container["ports"]]
    assert all(port["protocol"] == "TCP" for port in ports)
