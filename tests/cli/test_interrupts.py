"""Ctrl-C ends ``gpuwarden recommend`` while its threads wait for a Prometheus that stalls."""

import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from testing.gpu_usage import device, steady
from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.prometheus.test_client import serving, succeeds
from tests.cli.test_doctor import Cluster
from tests.cli.test_fleet_option import NODES

SECONDS = 20


def test_an_interrupt_ends_the_wait_for_queries(tmp_path: Path) -> None:
    stop = threading.Event()
    series = succeeds([dict(device("a", "p", sm=steady(0.5)).labels)])

    def stalls(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.endswith("/series"):
            series(handler)
        else:
            stop.wait(60)

    with Cluster() as cluster, serving(stalls) as server:
        cluster.lists(NODES)
        cluster.lists("/api/v1/pods")
        for plural in ("replicasets", "deployments", "statefulsets", "daemonsets"):
            cluster.lists(f"/apis/apps/v1/{plural}")
        for path in ("/apis/batch/v1/jobs", "/apis/batch/v1/cronjobs", "/api/v1/replicationcontrollers"):
            cluster.lists(path)
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", cluster.url)
        command = [
            sys.executable,
            "-m",
            "webhook",
            "recommend",
            "--prometheus",
            server.url,
            "--kubeconfig",
            str(kubeconfig),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            until = time.monotonic() + SECONDS
            while not any(path.endswith("/query") for path, *_ in server.seen) and time.monotonic() < until:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            try:
                out, err = process.communicate(timeout=SECONDS)
            finally:
                process.kill()
                stop.set()
    assert (process.returncode, out, err) == (-signal.SIGINT, "", "")
