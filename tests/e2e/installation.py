"""gpuwarden on the control plane of the tests: the chart's own objects, and its replicas as processes beside it.

Two things differ from a cluster's. The webhooks are reached by URL on loopback (here is no network for Services), through
a :class:`Relay` for each path; and the processes log in with a client certificate in the name of the chart's
ServiceAccount, so that they may do exactly what the chart grants.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from hack.render_manifests import NAME, NAMESPACE
from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart, Rendered
from tests.e2e.post_render import KINDS, with_urls
from tests.e2e.running import Running, is_forgotten, prepare_probe

CONFIGURATION_KINDS = MUTATING, VALIDATING = "mutatingwebhookconfigurations", "validatingwebhookconfigurations"
SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/{NAME}-ca"
# A replica that is told to stop need not wait longer for a relay than for kube-proxy.
VALUES = {"shutdownDelaySeconds": 1, "namespace": {"create": True}}

Json = dict[str, Any]


class Installation(Running):
    """gpuwarden, installed and running. A context manager: leaving it removes everything that it made.

    Attributes:
        objects: what is applied to the cluster.
    """

    def __init__(  # noqa: PLR0913 - the parts, and what tests vary
        self,
        control_plane: ControlPlane,
        chart: Chart,
        directory: Path,
        *,
        values: Mapping[str, Any] | None = None,
        replicas: int = 1,
        options: Sequence[str] = (),
        kubeconfig: Path | None = None,
    ) -> None:
        """Render the chart for the control plane's version.

        Args:
            control_plane: where it goes.
            chart: the chart.
            directory: for the replicas' files.
            values: the chart's values.
            replicas: how many processes to start.
            options: further options of ``gpuwarden serve``.
            kubeconfig: how the replicas reach the API server, if not directly.
        """
        rendered = render(control_plane, chart, {**VALUES, **(values or {})})
        super().__init__(control_plane, rendered, directory, options=options, kubeconfig=kubeconfig)
        self.objects = with_urls(rendered.objects, self.ports)
        self._count = replicas

    def __enter__(self) -> Self:
        """Apply the objects, start the replicas, and wait until pods are changed."""
        super().__enter__()
        try:
            self._install()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Remove everything but the namespaces, which take their time, and end the processes."""
        kinds = [o for o in self.objects if o["kind"] in KINDS]
        self._kubectl("delete", "--ignore-not-found", objects=kinds)
        super().__exit__()
        rest = [o for o in self.objects if o["kind"] not in (*KINDS, "Namespace")]
        self._kubectl("delete", "--ignore-not-found", "--wait=false", objects=rest)
        self._control_plane.api.delete(SECRET)
        wait_for("the API server to forget the webhooks", lambda: is_forgotten(self._control_plane))

    def _install(self) -> None:
        prepare_probe(self._control_plane)
        done = self._kubectl("apply", objects=self.objects)
        assert done == "", done
        self.wait_until_serving(*[self.start_replica() for _ in range(self._count)])
        wait_for("gpuwarden to act on pods", self.acts)

    def _kubectl(self, *arguments: str, objects: Sequence[Json]) -> str:
        """Run kubectl on objects; answer what it says when it fails."""
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        done = self._control_plane.kubectl(*arguments, "-f", "-", stdin=manifest)
        return done.stderr if done.returncode else ""


def render(control_plane: ControlPlane, chart: Chart, values: Mapping[str, Any]) -> Rendered:
    """Render the chart for the control plane's version."""
    return chart.render(dict(values), kubernetes=control_plane.get("/version")["gitVersion"])


def configuration_path(kind: str) -> str:
    """The path of one of our webhook configurations."""
    return f"/apis/admissionregistration.k8s.io/v1/{kind}/{f'zz-{NAME}' if kind == MUTATING else NAME}"
