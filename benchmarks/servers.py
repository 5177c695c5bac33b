"""The servers under measurement and the files that they read: gpuwarden itself, the wire, the usual way."""

import json
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import trustme

from benchmarks import reviews
from benchmarks.processes import Cores, Running, get, listens
from testing.control_plane.processes import free_port

POLICIES = 20
NAMESPACES = 200
GPUWARDEN, WIRE, USUAL = "gpuwarden", "wire", "usual"


class Files:
    """What every server reads: a serving pair, a configuration, namespaces."""

    def __init__(self, folder: Path) -> None:
        """Write them below a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        leaf = authority.issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.ECDSA)
        self.ca_pem = authority.cert_pem.bytes()
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        self.certificate.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        self.key.write_bytes(leaf.private_key_pem.bytes())
        self.configuration, self.namespaces = folder / "configuration.yaml", folder / "namespaces.json"
        self.configuration.write_text(json.dumps(reviews.configuration(POLICIES)), encoding="utf-8")
        listed = {"kind": "NamespaceList", "items": list(reviews.namespaces(NAMESPACES))}
        self.namespaces.write_text(json.dumps(listed), encoding="utf-8")
        self.trust = ssl.create_default_context(cadata=self.ca_pem.decode())


class Server:
    """A process, and the port on which it answers over TLS."""

    def __init__(self, running: Running, port: int) -> None:
        self.running, self.port = running, port


class Gpuwarden(Server):
    """``gpuwarden serve``, with everything on that production has."""

    def __init__(self, running: Running, port: int, ops_port: int) -> None:
        super().__init__(running, port)
        self._ops_port = ops_port

    def ready(self) -> bool:
        """Whether ``/readyz`` says so."""
        return get(self._ops_port, "/readyz")[0] == 200  # noqa: PLR2004 - HTTP's

    def metric(self, sample: str) -> float:
        """A metric's sample, named as the exposition writes it; 0 where it is not there."""
        lines = get(self._ops_port, "/metrics")[1].decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} ")), 0.0)


@contextmanager
def gpuwarden(
    files: Files,
    cores: Cores,
    *options: str | Path,
    pod: Sequence[str | Path] = (),
    pinned: bool = True,
) -> Iterator[Gpuwarden]:
    """Start it, namespaces from a file unless ``options`` or ``pod`` name another source. It is not waited for.

    ``pod`` is how it is started as in a pod (``in_a_pod``).
    """
    port, ops_port = free_port(), free_port()
    command: list[str | Path] = [
        *(pod or (sys.executable, "-m", "webhook")),
        *("serve", "--host", "127.0.0.1"),
        *("--port", str(port), "--ops-port", str(ops_port), "--config", files.configuration),
        *("--tls-cert-file", files.certificate, "--tls-private-key-file", files.key),
        *(options or (() if pod else ("--namespaces", files.namespaces))),
    ]
    with Running(command, cores, pinned=pinned) as running:
        yield Gpuwarden(running, port, ops_port)


def in_a_pod(files: Files, folder: Path, api_port: int) -> Sequence[str | Path]:
    """How gpuwarden is started as in a pod: the account's files are in a folder, and the API server at a loopback port."""
    folder.mkdir()
    Path(folder, "token").write_text("of-the-pod", encoding="ascii")
    Path(folder, "ca.crt").write_bytes(files.ca_pem)
    return (
        *("env", f"HOME={folder}", "KUBERNETES_SERVICE_HOST=127.0.0.1", f"KUBERNETES_SERVICE_PORT={api_port}"),
        *(sys.executable, "-m", "benchmarks.in_a_pod", folder),
    )


@contextmanager
def rival(name: str, files: Files, cores: Cores, sizes: Sequence[int] = ()) -> Iterator[Server]:
    """Start a rival and wait until it listens."""
    port = free_port()
    command: list[str | Path] = [
        *(sys.executable, "-m", "benchmarks.rivals", name, "--port", str(port)),
        *("--certificate", files.certificate, "--key", files.key),
        *("--config", files.configuration, "--namespaces", files.namespaces),
        *("--sizes", *map(str, sizes)),
    ]
    with Running(command, cores) as running:
        running.wait_until(lambda: listens(port), name)
        yield Server(running, port)
