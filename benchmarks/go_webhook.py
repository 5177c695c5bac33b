"""gpuwarden beside Kubernetes' own Pod Security webhook, which is in Go: the same reviews in turns, both servers on one core.

``python -m benchmarks.go_webhook PROGRAM [ROUNDS]``, where ``go build ./cmd/webhook`` in k8s.io/pod-security-admission makes the
program.
"""

import itertools
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import reviews
from benchmarks.processes import Cores, Running, listens, post
from benchmarks.reviews import GPU, NAMESPACE, NO_GPU, ONE, VARIANTS, Json
from benchmarks.samples import Spread
from benchmarks.servers import GPUWARDEN, NAMESPACES, Files, Server, gpuwarden
from benchmarks.wrk import Load, Wrk
from testing.control_plane.processes import free_port
from testing.stand_in.apiserver import StandIn
from testing.stand_in.kubeconfig import write_kubeconfig

GO, CONNECTIONS, SECONDS = "go", 16, 2
REWRITTEN, DENIED = "rewritten", "denied"


def path(name: str, kind: str) -> str:
    """Where a server is asked about a kind of pod."""
    return "/" if name == GO else "/validate" if kind == DENIED else "/mutate"


def asked_for_two(number: int) -> bytes:
    """The review of a pod that is denied: it requests two GPUs where they are shared."""
    pod = reviews.pod(ONE, number)
    for amounts in pod["spec"]["containers"][0]["resources"].values():
        amounts[GPU] = "2"
    return reviews.encode(reviews.review(pod, number))


def go_webhook(program: Path, folder: Path, files: Files, cores: Cores, stack: ExitStack) -> Server:
    """Start the Go webhook, with as many namespaces as gpuwarden knows, and wait until it listens."""
    cluster = stack.enter_context(StandIn())
    cluster.fill(NAMESPACES)
    cluster.set_namespace(NAMESPACE)
    config: Json = {"apiVersion": "pod-security.admission.config.k8s.io/v1", "kind": "PodSecurityConfiguration"}
    config["defaults"] = dict.fromkeys(("enforce", "warn", "audit"), "baseline")
    (folder / "pod-security.yaml").write_text(json.dumps(config), encoding="utf-8")
    port = free_port()
    command: list[str | Path] = [
        # The stand-in lists and then watches, as client-go does where an API server has no streamed lists.
        *(
            "env",
            "GOMAXPROCS=1",
            "KUBE_FEATURE_WatchListClient=false",
            program,
            "--config",
            folder / "pod-security.yaml",
        ),
        *("--kubeconfig", write_kubeconfig(folder / "kubeconfig", cluster.url)),
        *("--bind-address", "127.0.0.1", "--secure-port", str(port)),
        *("--tls-cert-file", files.certificate, "--tls-private-key-file", files.key),
    ]
    running = stack.enter_context(Running(command, cores))
    running.wait_until(lambda: listens(port), GO)
    return Server(running, port)


def main(program: Path, rounds: int) -> None:
    """Print reviews a second and p99 of each server and kind of pod."""
    cores = Cores()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        files = Files(folder / "files")
        own = stack.enter_context(gpuwarden(files, cores))
        own.running.wait_until(own.ready, GPUWARDEN)
        servers = {GPUWARDEN: own, GO: go_webhook(program, folder, files, cores, stack)}
        wrk = Wrk(cores, folder)
        sent = {
            REWRITTEN: reviews.bodies(ONE),
            DENIED: [asked_for_two(number) for number in range(VARIANTS)],
            "no GPU": reviews.bodies(NO_GPU),
        }
        folders = {kind: wrk.write(kind, bodies) for kind, bodies in sent.items()}
        for (kind, bodies), (name, server) in itertools.product(sent.items(), servers.items()):
            response = json.loads(post(server.port, path(name, kind), bodies[0], files.trust))["response"]
            expected = (kind != DENIED or name == GO, (kind, name) == (REWRITTEN, GPUWARDEN))
            if (response["allowed"], "patch" in response) != expected:
                raise RuntimeError(f"{kind}: {name} answered {response}")
        runs: dict[tuple[str, str], list[Load]] = {}
        for _ in range(rounds):
            for kind, written in folders.items():
                for name, server in servers.items():
                    url = f"https://127.0.0.1:{server.port}{path(name, kind)}?timeout=10s"
                    runs.setdefault((kind, name), []).append(wrk.run(url, written, CONNECTIONS, SECONDS))
        for (kind, name), loads in runs.items():
            speed, p99 = Spread.of([load.throughput for load in loads]), Spread.of([load.p99 / 1e3 for load in loads])
            sys.stdout.write(
                f"{kind:10} {name:10} {speed.median:7,.0f} ({speed.low:,.0f} to {speed.high:,.0f}) a second, "
                f"p99 {p99.median:.1f} ({p99.low:.1f} to {p99.high:.1f}) ms\n"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 5)  # noqa: PLR2004 - the second argument
