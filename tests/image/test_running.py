"""The image at work as the chart runs it: user 65532, everything read-only, nothing writable mounted."""

import json
import signal
from pathlib import Path

import pytest
import trustme
import yaml

from hack.image import ROOT
from testing.reviews import a_pod, a_review
from tests.cli.serving import Served
from tests.image.image import Image

DEPLOYMENT = next(
    document
    for document in yaml.safe_load_all((ROOT / "deploy/gpuwarden.yaml").read_text())
    if document["kind"] == "Deployment"
)
POD = DEPLOYMENT["spec"]["template"]["spec"]
NAMESPACES = """\
apiVersion: v1
kind: Namespace
metadata: {name: team-a, labels: {gpuwarden.io/enforce: shared}}
"""
TRY_TO_WRITE = """
import os
assert (os.getuid(), os.getgid(), os.getgroups()) == (65532, 65532, [65532])
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
assert status["NoNewPrivs"].strip() == "1" and int(status["CapEff"], 16) == 0
for folder, _, _ in os.walk("/"):
    if not folder.startswith(("/proc", "/sys", "/dev")):
        try:
            open(os.path.join(folder, "written"), "w")
        except OSError:
            continue
        print(folder)
"""


def serving(image: Image, mounts: dict[Path, str]) -> list[str]:
    """The command line that serves, on free ports of loopback."""
    loopback = {"GPUWARDEN_HOST": "127.0.0.1", "GPUWARDEN_PORT": "0", "GPUWARDEN_OPS_PORT": "0"}
    return image.command(*image.entrypoint(*image.config["Cmd"]), mounts=mounts, environment=loopback)


def test_the_chart_mounts_nothing_writable() -> None:
    [container] = POD["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert all(mount["readOnly"] is True for mount in container["volumeMounts"])
    assert not any("emptyDir" in volume for volume in POD["volumes"])


def test_its_user_can_write_nowhere(image: Image) -> None:
    ran = image.run(["python3", "-c", TRY_TO_WRITE])
    assert (ran.code, ran.out) == (0, ""), ran.err


@pytest.mark.parametrize("certificate", ["mounted", "self-signed"])
def test_it_answers_reviews_over_tls_and_ends_when_told(image: Image, mounted: Path, certificate: str) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    (mounted / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (mounted / "tls.key").write_bytes(leaf.private_key_pem.bytes())
    (mounted / "namespaces.yaml").write_text(NAMESPACES)
    given = (
        ["--tls-self-signed"]
        if certificate == "self-signed"
        else ["--tls-cert-file=/etc/gpuwarden/tls/tls.crt", "--tls-private-key-file=/etc/gpuwarden/tls/tls.key"]
    )
    with Served(
        *given, "--namespaces=/etc/gpuwarden/tls/namespaces.yaml", "--shutdown-delay=0",
        authority=None if certificate == "self-signed" else authority,
        command=serving(image, {mounted: "/etc/gpuwarden/tls"}),
    ) as server:  # fmt: skip
        status = dict(line.split(":", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines())
        assert status["Uid"].split() == ["65532"] * 4
        answered = server.ask("/mutate", a_review(a_pod(), namespace="team-a"))
        assert "nvidia.com~1gpu.shared" in json.dumps(answered.patch)
        denied = server.ask("/validate", a_review(a_pod(), namespace="team-a"))
        assert not denied.allowed
        assert server.ops("/readyz").code == 200
        assert b"gpuwarden_" in server.ops("/metrics").body
        server.terminate(signal.SIGTERM)
        assert server.wait() == 0


def test_it_checks_manifests(image: Image, mounted: Path) -> None:
    (mounted / "pod.yaml").write_text(json.dumps(a_pod()))
    ran = image.run(
        image.entrypoint("check", "/manifests", "--policy", "shared", "-o", "json"), mounts={mounted: "/manifests"}
    )
    assert ran.code == 0, ran.err
    [checked] = json.loads(ran.out)["objects"]
    assert checked["decision"] == "rewritten"
    refused = image.run(image.entrypoint("check", "-", "--policy", "none"), stdin=json.dumps(a_pod()))
    assert refused.code == 1, refused.err


@pytest.mark.parametrize("output", ["table", "json", "junit", "sarif", "csv", "html"])
def test_it_audits_in_every_format(image: Image, mounted: Path, output: str) -> None:
    pod = a_pod() | {"metadata": {"name": "train", "namespace": "team-a"}}
    (mounted / "all.yaml").write_text(f"{NAMESPACES}---\n{json.dumps(pod)}")
    ran = image.run(image.entrypoint("audit", "/manifests/all.yaml", "-o", output), mounts={mounted: "/manifests"})
    assert ran.code == 0, ran.err
    assert "team-a" in ran.out


@pytest.mark.parametrize("command", [[], ["serve"], ["doctor"], ["audit"], ["check"], ["rewrite"], ["certs"]])
def test_every_command_explains_itself(image: Image, command: list[str]) -> None:
    ran = image.run(image.entrypoint(*command, "--help"))
    assert ran.code == 0, ran.err
    assert "Usage: gpuwarden" in ran.out


def test_every_module_can_be_imported(image: Image) -> None:
    modules = [
        ".".join(("gpuwarden", *path.relative_to(ROOT / "webhook").with_suffix("").parts))
        for path in sorted((ROOT / "webhook").rglob("*.py"))
        if path.name != "__main__.py"
    ]
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name.removesuffix('.__init__'))"
    ran = image.run(["python3", "-W", "error", "-c", program, *modules])
    assert (ran.code, ran.err) == (0, "")
