"""What `make demo` shows: decisions on examples/, then one real AdmissionReview over TLS, answered by the real server."""

import base64
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GPUWARDEN = Path(sys.executable).with_name("gpuwarden")
EXAMPLES = ["--config", "examples/configuration.yaml", "--namespaces", "examples/namespaces.yaml"]

REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": "CREATE",
        "namespace": "notebooks",
        "userInfo": {"username": "alice"},
        "object": {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "notebook", "namespace": "notebooks"},
            "spec": {
                "containers": [
                    {
                        "name": "jupyter",
                        "image": "jupyter/pytorch-notebook",
                        "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}},
                    }
                ]
            },
        },
    },
}


def say(text: str) -> None:
    """Print a heading, before whatever a command prints next."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)  # noqa: T201 - a demo talks


def gpuwarden(*arguments: str) -> int:
    """Show a command and run it."""
    say(f"$ gpuwarden {' '.join(arguments)}")
    return subprocess.run([str(GPUWARDEN), *arguments], cwd=ROOT, check=False).returncode


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def server(folder: Path) -> Iterator[tuple[int, int]]:
    """The server with a certificate from ``folder``; its two ports, once it is ready."""
    port, ops_port = free_port(), free_port()
    pair = ["--tls-cert-file", str(folder / "tls.crt"), "--tls-private-key-file", str(folder / "tls.key")]
    ports = ["--host", "127.0.0.1", "--port", str(port), "--ops-port", str(ops_port)]
    say(f"$ gpuwarden serve --port {port} --ops-port {ops_port} {' '.join(EXAMPLES)} --tls-cert-file …")
    process = subprocess.Popen([str(GPUWARDEN), "serve", *ports, *EXAMPLES, *pair, "--log-format", "text"], cwd=ROOT)
    try:
        wait_until_ready(process, ops_port)
        yield port, ops_port
    finally:
        process.terminate()
        process.wait(timeout=15)


def wait_until_ready(process: subprocess.Popen[bytes], ops_port: int) -> None:
    """Return when ``/readyz`` says 200.

    Raises:
        SystemExit: the server ended, or took longer than 30 seconds.
    """
    for _ in range(300):
        if process.poll() is not None:
            raise SystemExit("the server ended before it was ready")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{ops_port}/readyz") as answer:
                say(f"GET /readyz: {answer.status} {answer.read().decode()}")
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise SystemExit("the server was not ready within 30 seconds")


def post(port: int, path: str, authority: Path) -> None:
    """Send the review over TLS, trusting only the demo's own authority, and show the answer."""
    request = urllib.request.Request(
        f"https://localhost:{port}{path}",
        data=json.dumps(REVIEW).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    trust = ssl.create_default_context(cafile=str(authority))
    with urllib.request.urlopen(request, context=trust) as answer:
        review = json.load(answer)
        say(f"POST {path}: HTTP {answer.status}")
    print(json.dumps(review, indent=2))  # noqa: T201 - as above
    if patch := review["response"].get("patch"):
        say("the patch, decoded:")
        print(json.dumps(json.loads(base64.b64decode(patch)), indent=2), flush=True)  # noqa: T201 - as above


def main() -> None:
    """Run the demo."""
    gpuwarden("check", "examples", *EXAMPLES)
    gpuwarden("check", "examples/notebook.yaml", "-o", "diff", *EXAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        gpuwarden("certs", "self-signed", "--out", folder)
        with server(Path(folder)) as (port, _):
            post(port, "/mutate", Path(folder) / "ca.crt")
    say("Done: the Job in examples/sweep.yaml was denied on purpose; everything else succeeded.")


if __name__ == "__main__":
    main()
