"""Namespaces of their own for tests."""

from collections.abc import Mapping
from typing import Self
from uuid import uuid4

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for


class Namespaces:
    """Makes namespaces, and deletes them when the context is left."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._made: list[str] = []

    def __enter__(self) -> Self:
        """Nothing to begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete them; not waited for: the next test has namespaces of its own."""
        for name in self._made:
            self._control_plane.api.delete(f"/api/v1/namespaces/{name}")

    def make(self, labels: Mapping[str, str] | None = None) -> str:
        """Make a namespace with labels; a pod can be made in it at once, its service account is there."""
        name = self.make_bare(labels)
        self.wait_for_account(name)
        return name

    def make_bare(self, labels: Mapping[str, str] | None = None) -> str:
        """Make a namespace and answer at once."""
        name = f"e2e-{uuid4().hex[:8]}"
        body = {"metadata": {"name": name, "labels": dict(labels or {})}}
        self._control_plane.api.post("/api/v1/namespaces", json=body).raise_for_status()
        self._made.append(name)
        return name

    def wait_for_account(self, name: str) -> None:
        """Wait until the namespace's service account lets pods in."""
        wait_for(f"the service account of namespace {name}", lambda: self._pods_are_admitted(name))

    def _pods_are_admitted(self, name: str) -> bool:
        return bool(self._control_plane.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"))
