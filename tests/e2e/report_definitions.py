"""Definitions of the two APIs for reports, as small as an API server takes them: any fields below the usual ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from webhook.application.report_api import ReportApi

Json = dict[str, Any]
_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definitions(api: ReportApi) -> list[Json]:
    """The definitions of an API's two kinds: reports of namespaces, and of the cluster."""
    scopes = ((api.kind, api.plural, "Namespaced"), (api.cluster_kind, api.cluster_plural, "Cluster"))
    return [_definition(api, kind, plural, scope) for kind, plural, scope in scopes]


@contextmanager
def installed(control_plane: ControlPlane, api: ReportApi) -> Iterator[None]:
    """Have an API while a block runs; afterwards the API server has forgotten it."""
    for definition in definitions(api):
        control_plane.api.post(_PATH, json=definition).raise_for_status()
    wait_for(f"{api.api_version} to be served", lambda: _served(control_plane, api) == {api.plural, api.cluster_plural})
    try:
        yield
    finally:
        for definition in definitions(api):
            control_plane.api.delete(f"{_PATH}/{definition['metadata']['name']}").raise_for_status()
        wait_for(f"{api.api_version} to be gone", lambda: not _served(control_plane, api))


def _definition(api: ReportApi, kind: str, plural: str, scope: str) -> Json:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{api.group}"},
        "spec": {
            "group": api.group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {"name": api.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
            ],
        },
    }


def _served(control_plane: ControlPlane, api: ReportApi) -> set[str]:
    answer = control_plane.api.get(f"/apis/{api.api_version}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return set()
    answer.raise_for_status()
    return {resource["name"] for resource in answer.json()["resources"]}
