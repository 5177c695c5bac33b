"""The story of docs/how-to/adopt.md, walked: what audit says before anything changes is what happens when the labels are set.

``GPUWARDEN_E2E_MANIFESTS`` names a folder of real manifests to walk it with instead of our own, then with 200 workloads in
20 namespaces.
"""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.namespaces import Namespaces
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.adoption import Cluster, Team, asks_for_gpu, deploy, manifests_in, own_manifests
from tests.e2e.fleet import Fleet
from tests.e2e.gpuwarden import PROGRAM
from tests.e2e.installation import Installation, render
from tests.e2e.objects import GPU, SHARED, deployment, limits_of, pod_spec
from tests.e2e.post_render import with_urls
from tests.e2e.running import probe
from tests.e2e.telling import tell

pytestmark = pytest.mark.e2e

POLICIES = ("shared", "mps", "mig-1g.5gb", "exclusive", "gke-mig-1g.5gb", "gke-time-sharing-8", "none", "any")
FOLDER = os.environ.get("GPUWARDEN_E2E_MANIFESTS")
NAMESPACES, WORKLOADS = (20, 10) if FOLDER else (4, 10)


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, fleet: Fleet, chart: Chart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    values = {"install": {"mode": "audit"}}
    with Installation(control_plane, chart, tmp_path_factory.mktemp("gpuwarden"), values=values) as running:
        yield running


@pytest.fixture(scope="module")
def teams(
    control_plane: ControlPlane, installation: Installation, module_namespaces: Namespaces
) -> dict[str, tuple[Team, str]]:
    """Each team's namespace, with its workloads and the policy that it is to get."""
    manifests = manifests_in(Path(FOLDER)) if FOLDER else own_manifests()
    names = [module_namespaces.make_bare() for _ in range(NAMESPACES)]
    for name in names:
        module_namespaces.wait_for_account(name)
    found = {}
    for number, (name, policy) in enumerate(zip(names, cycle(POLICIES), strict=False)):
        start = number * WORKLOADS % len(manifests)
        found[name] = deploy(control_plane, name, manifests[start:] + manifests[:start], WORKLOADS), policy
    return found


def audit(control_plane: ControlPlane, teams: dict[str, tuple[Team, str]], *options: str) -> dict[str, str]:
    """What the command says of each workload of the teams that asks for GPUs, as ``namespace/Kind/name``."""
    command = [str(PROGRAM), "audit", "-o", "json", f"--kubeconfig={control_plane.kubeconfig()}", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return {
        f"{line['namespace']}/{line['kind']}/{line['name']}": line["decision"]
        for line in json.loads(done.stdout)["objects"]
        if line["namespace"] in teams and line["requests"] and not line["exempt"]
    }


def test_what_audit_says_is_what_happens(
    control_plane: ControlPlane, chart: Chart, installation: Installation, teams: dict[str, tuple[Team, str]]
) -> None:
    # Installed in audit mode; the workloads are there as they always were. What if?
    assume = [f"--assume={name}={policy}" for name, (_, policy) in teams.items()]
    said = wait_for("every workload to be there", lambda: audit(control_plane, teams, *assume))
    asking = [one for team, _ in teams.values() for one in team.manifests if asks_for_gpu(one)]
    tell(f"{sum(len(team.manifests) for team, _ in teams.values())} workloads, audit: {Counter(said.values())}")
    assert set(Counter(said.values())) == {"rewritten", "denied", "unchanged"}
    assert len(said) <= len(asking)

    # Installed in audit mode, the label of a namespace changes nothing but what is said.
    first = next(name for name, (_, policy) in teams.items() if policy == "shared")
    label(control_plane, first, "enforce", "shared")
    tried = control_plane.kubectl(
        "apply", "-n", first, "-f", "-", stdin=json.dumps(deployment(pod_spec(GPU, count=2), "new"))
    )
    assert tried.returncode == 0, tried.stderr

    # Enforced, namespace by namespace.
    enforced = render(control_plane, chart, {"shutdownDelaySeconds": 1, "namespace": {"create": True}})
    manifest = json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": with_urls(enforced.objects, installation.ports)}
    )
    assert control_plane.kubectl("apply", "-f", "-", stdin=manifest).returncode == 0
    installation.reconfigure(enforced)
    wait_for("gpuwarden to enforce", lambda: limits_of(probe(control_plane).json()) == [{SHARED: "1"}])
    for name, (_, policy) in teams.items():
        label(control_plane, name, "enforce", policy)
    labelled = audit(control_plane, teams)
    assert {name: labelled[name] for name in said} == said  # one more is there by now

    cluster = Cluster(control_plane, [team for team, _ in teams.values()])
    cluster.restart()
    bare = cluster.create_bare_pods()

    def all_seen() -> dict[str, str]:
        seen = cluster.outcomes() | bare
        if missing := said.keys() - seen.keys():
            raise AssertionError(sorted(missing))
        return {name: seen[name] for name in said}

    happened = wait_for("every workload to have tried a pod", all_seen)
    tell(f"happened: {Counter(happened.values())}")
    assert happened == said


def label(control_plane: ControlPlane, namespace: str, mode: str, policy: str) -> None:
    """Label a namespace, as an operator does."""
    done = control_plane.kubectl("label", "--overwrite", "namespace", namespace, f"gpuwarden.io/{mode}={policy}")
    assert done.returncode == 0, done.stderr
