"""The chart's mode `cert-manager` with cert-manager itself: it issues, injects and renews, and no pod is denied for it."""

import ssl
from collections.abc import Callable, Iterator

import pytest
from cryptography import x509

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.certificates import bundles
from tests.e2e.neighbours.cert_manager import CAINJECTOR, CERTIFICATES, CONTROLLER, CertManager, CertManagerInstallation
from tests.e2e.objects import ENFORCE, GPU, SHARED, as_list, limits_of, pod, pod_spec, pods_in
from tests.e2e.post_render import KINDS
from tests.e2e.stream import PodStream
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

# The shortest that cert-manager's own validation lets through is an hour. Of that, all but 15 seconds are left at renewal.
RENEWED_OFTEN = {"duration": "1h", "renewBefore": "59m45s"}
RENEWALS = 3


@pytest.fixture
def cert_manager(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertManager]:
    with CertManager(control_plane, tmp_path_factory.mktemp("cert-manager")) as running:
        yield running


@pytest.fixture
def installation(
    control_plane: ControlPlane, chart: Chart, cert_manager: CertManager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CertManagerInstallation]:
    cert_manager.start(CONTROLLER)
    cert_manager.start(CAINJECTOR)
    made = CertManagerInstallation(control_plane, chart, tmp_path_factory.mktemp("gpuwarden"), RENEWED_OFTEN)
    try:
        with made:
            yield made
    finally:
        tell(cert_manager.tails())


def served(port: int) -> x509.Certificate:
    """The certificate that a replica serves."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port), timeout=30).encode())


def test_certificates_are_issued_injected_and_renewed_while_reviews_flow(
    control_plane: ControlPlane, installation: CertManagerInstallation, make_namespace: Callable[..., str]
) -> None:
    # gpuwarden acts by now, so that it was issued and injected: by whom is seen in the objects.
    (ready,) = (
        c for c in control_plane.get(f"{CERTIFICATES}/gpuwarden")["status"]["conditions"] if c["type"] == "Ready"
    )
    assert ready["status"] == "True"
    trusted = bundles(control_plane)
    assert trusted
    assert all(trusted)
    first = {replica.port: served(replica.port) for replica in installation.replicas}
    (name,) = next(iter(first.values())).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert name.value == "gpuwarden.gpuwarden-system.svc"

    with PodStream(control_plane, make_namespace({ENFORCE: "shared"})) as stream:
        for renewal in range(RENEWALS):
            before = {replica.port: served(replica.port).serial_number for replica in installation.replicas}
            for port, serial in before.items():
                wait_for(
                    f"renewal {renewal + 1} to be served on port {port}",
                    lambda port=port, serial=serial: served(port).serial_number != serial,  # type: ignore[misc]  # mypy can't infer a lambda's default
                    60,
                )
            assert stream.failures == [], stream.report()
        stream.wait_for_more(100)
        tell(stream.report())
        assert stream.failures == [], stream.report()
        assert {attempt.asks for attempt in stream.attempts} == {SHARED}
    assert control_plane.get(f"{CERTIFICATES}/gpuwarden")["status"]["revision"] > RENEWALS
    # A renewed leaf is of the same CA: the configurations need no change, and had none.
    assert bundles(control_plane) == trusted
    for replica in installation.replicas:
        assert replica.readiness() == {}


def test_without_cainjector_the_replicas_are_not_ready_and_say_why_and_pods_with_gpus_are_denied(
    control_plane: ControlPlane,
    cert_manager: CertManager,
    installation: CertManagerInstallation,
    make_namespace: Callable[..., str],
) -> None:
    namespace = make_namespace({ENFORCE: "shared"})
    cert_manager.stop(CAINJECTOR)
    # As `helm upgrade --force` does: whole objects are replaced, and the caBundle is gone.
    configurations = tuple(o for o in installation.objects if o["kind"] in KINDS)
    replaced = control_plane.kubectl("replace", "--force", "-f", "-", stdin=as_list(configurations))
    assert replaced.returncode == 0, replaced.stderr
    assert not any(bundles(control_plane))

    path = f"/api/v1/namespaces/{namespace}/pods"
    with_gpu, without = pod(pod_spec(GPU)), pod(pod_spec("cpu"), "web")

    def denial() -> str:
        answer = control_plane.api.post(path, params={"dryRun": "All"}, json=with_gpu)
        return str(answer.json()["message"]) if answer.is_error else ""

    # "x509: certificate signed by unknown authority", until the replicas are no longer ready; then nobody answers.
    message = wait_for("a denial", denial)
    tell(message)
    assert 'failed calling webhook "validate.gpuwarden.io"' in message
    for replica in installation.replicas:
        (reason,) = wait_for("replicas to notice", lambda replica=replica: set(replica.readiness().values()))  # type: ignore[misc]  # mypy can't infer a lambda's default
        tell(reason)
        assert "does not trust the serving certificate" in reason
    assert control_plane.api.post(path, json=without).is_success, "a pod without a GPU is nobody's business"

    cert_manager.start(CAINJECTOR)
    wait_for("cainjector to mend it", lambda: all(bundles(control_plane)))
    wait_for("gpuwarden to act again", installation.acts)
    assert control_plane.api.post(path, json=with_gpu).is_success
    (made,) = (found for found in pods_in(control_plane, namespace) if found["metadata"]["name"] == "train")
    assert limits_of(made) == [{SHARED: "1"}]
