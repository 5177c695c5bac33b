"""What the CronJobs that write reports have in common: their objects, their command, a run of it, and what it may read."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperOption

from testing.stand_in.kubeconfig import write_kubeconfig
from tests.adapters.kubernetes.workload_server import WorkloadServer
from tests.deploy.chart import Json, Rendered

MOUNTED = "/etc/gpuwarden/config/config.yaml"


def check_added_objects(without: Rendered, enabled: Rendered, name: str) -> None:
    """Nothing of the job is there unless it is enabled, and then these objects, of that name."""
    before, after = ({(one["kind"], one["metadata"]["name"]) for one in each.objects} for each in (without, enabled))
    assert before < after
    kinds = ("CronJob", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "NetworkPolicy")
    assert after - before == {(kind, name) for kind in kinds}


def pod_of(rendered: Rendered) -> Json:
    """The spec of the CronJob's pods."""
    spec: Json = rendered.the("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def options_of_job(rendered: Rendered, command: Callable[..., Any]) -> list[str]:
    """The options that the job's container passes to a command, which has all of them."""
    app = typer.Typer()
    app.command()(command)
    known = {name for each in typer.main.get_command(app).params if isinstance(each, TyperOption) for name in each.opts}
    (container,) = pod_of(rendered)["containers"]
    program, *words = container["args"]
    assert program == command.__name__
    assert {word.partition("=")[0] for word in words} <= known
    return [*words]


def run_job(cluster: WorkloadServer, rendered: Rendered, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run the container's command against a stand-in for the API server; it succeeds."""
    (home / "config.yaml").write_text(rendered.configuration_file)
    kubeconfig = write_kubeconfig(home / "kubeconfig", cluster.url, token="t")  # noqa: S106 - a test's own
    (container,) = pod_of(rendered)["containers"]
    arguments = [argument.replace(MOUNTED, str(home / "config.yaml")) for argument in container["args"]]
    environment = {"PATH": os.defpath, "HOME": str(home), "GPUWARDEN_KUBECONFIG": str(kubeconfig)}
    command = [sys.executable, "-m", "webhook", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done


def asked(cluster: WorkloadServer) -> set[tuple[str, str, str]]:
    """Verb, group and resource of each request, as RBAC sees them; discovery is everybody's."""
    found = set()
    for seen in cluster.requests:
        if seen.path == "/apis":
            continue
        match = re.fullmatch(
            r"/(?:api/v1|apis/(?P<group>[^/]+)(?:/[^/]+)?)"
            r"(?:/namespaces/[^/]+(?=/))?(?:/(?P<resource>[^/]+)(?P<name>/[^/]+)?)?",
            seen.path,
        )
        assert match, seen.path
        if match["resource"]:
            read = "get" if match["name"] else "list"
            verb = {"POST": "create", "PUT": "update", "DELETE": "delete", "GET": read}[seen.method]
            found.add((verb, match["group"] or "", match["resource"]))
    return found


def granted(rendered: Rendered, name: str) -> set[tuple[str, str, str]]:
    """What the ClusterRole of that name, which its ServiceAccount has, grants."""
    rules = rendered.the("ClusterRole", name)["rules"]
    (binding,) = (b for b in rendered.all("ClusterRoleBinding") if b["metadata"]["name"] == name)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "gpuwarden-system"}]
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def a_pod_of(namespace: str) -> Json:
    """A pod that asks for a GPU."""
    resources = {"limits": {"nvidia.com/gpu": "1"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "train", "namespace": namespace, "uid": "u"},
        "spec": {"containers": [{"name": "train", "resources": resources}]},
    }
