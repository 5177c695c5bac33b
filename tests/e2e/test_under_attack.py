"""Strangers attack a replica's port while users create pods: they get their verdicts in time, and ``deny`` holds.

The paths have no tokens and callers no certificates, so that the strangers' reviews are read like the API server's. A few
attacks, and many at once, always run; each by itself, which takes minutes, only with ``GPUWARDEN_E2E_ATTACKS=1``. ``pytest -s``
prints what each came to.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from tests.deploy.chart import Chart, Json
from tests.e2e.installation import Installation
from tests.e2e.objects import ENFORCE, GPU, SHARED, pod, pod_spec
from tests.load.attackers import ATTACKS, TOGETHER
from tests.load.under_attack import MOST_MIB, MOST_SECONDS, Attackers

pytestmark = pytest.mark.e2e

VALUES: Json = {
    "pathToken": {"enabled": False},
    "config": {"policies": {"strict": {"forms": ["shared"], "visibleDevices": "deny"}}},
}
SECONDS = 4.0
PRIVILEGED: Json = {
    "containers": [{"name": "c", "image": "example.test/c", "securityContext": {"privileged": True}}],
    "automountServiceAccountToken": False,
}
PLAIN: Json = {**pod_spec(GPU), "automountServiceAccountToken": False}
# Two costly ones, of which each once kept the guard from answering, one of which most is shed, one that fills the connections,
# and all together.
ALWAYS = ("trees of containers", "trees of affinity", "templates at once", "handshakes")
CASES: dict[str, Sequence[str]] = {name: [name] for name in ATTACKS if not ATTACKS[name].silent_cluster}
# A silent cluster and an unread log are others' tests: here the API server answers, and the log is a file.
CHOSEN = [*(CASES if os.environ.get("GPUWARDEN_E2E_ATTACKS") == "1" else ALWAYS), "together"]


@dataclass
class User:
    """Somebody who creates one pod after another at the API server.

    Attributes:
        seconds: how long each took.
        became: what became of how many.
    """

    api: httpx.Client
    path: str
    spec: Json
    evaluate: Callable[[httpx.Response], str]
    seconds: list[float] = field(default_factory=list)
    became: Counter[str] = field(default_factory=Counter)

    def create_until(self, over: threading.Event) -> None:
        while not over.wait(0.05):
            began = time.monotonic()
            answer = self.api.post(self.path, json=pod(self.spec, f"pod-{len(self.seconds)}"))
            self.seconds.append(time.monotonic() - began)
            self.became[self.evaluate(answer)] += 1

    @property
    def row(self) -> str:
        slowest, median = max(self.seconds), sorted(self.seconds)[len(self.seconds) // 2]
        return f"{dict(self.became)}, median {median:.3f} s, slowest {slowest:.2f} s"


def rewritten(answer: httpx.Response) -> str:
    if answer.status_code != httpx.codes.CREATED:
        return str(answer.json()["message"])
    limits = answer.json()["spec"]["containers"][0]["resources"]["limits"]
    return "rewritten" if limits == {SHARED: "1"} else f"left as {limits}"


def denied(answer: httpx.Response) -> str:
    if answer.status_code == httpx.codes.CREATED:
        return "created"
    message = str(answer.json()["message"])
    return "denied" if "denied the request" in message else message


@pytest.fixture(scope="module")
def installation(
    control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    with Installation(control_plane, chart, tmp_path_factory.mktemp("gpuwarden"), values=VALUES) as running:
        for (
            relay
        ) in running.relays.values():  # a kubelet takes a replica out after several failed probes, not after one
            for replica in running.replicas:
                relay.add(replica.port)
        yield running


@pytest.mark.parametrize("name", CHOSEN)
def test_users_get_their_verdicts_and_deny_holds(
    control_plane: ControlPlane, installation: Installation, make_namespace: Callable[..., str], name: str
) -> None:
    """Once more where a verdict was late or missing, for the machine may be busy; that a pod was created is never excused."""
    if attacked(control_plane, installation, make_namespace({ENFORCE: "strict"}), name):
        assert attacked(control_plane, installation, make_namespace({ENFORCE: "strict"}), name) == []


def attacked(control_plane: ControlPlane, installation: Installation, namespace: str, name: str) -> list[str]:
    """Attack while users create pods; which verdicts were late, or no verdicts of gpuwarden's."""
    (replica,) = installation.replicas
    path = f"/api/v1/namespaces/{namespace}/pods"
    highest = 0
    with control_plane.client() as one, control_plane.client() as other:
        honest = User(one, f"{path}?dryRun=All", PLAIN, rewritten)
        sly = User(other, path, PRIVILEGED, denied)
        over = threading.Event()
        threads = [threading.Thread(target=user.create_until, args=(over,)) for user in (honest, sly)]
        with Attackers(replica.port, replica.ops_port, CASES.get(name, TOGETHER), SECONDS) as attackers:
            attackers.begin(SECONDS)
            for thread in threads:
                thread.start()
            while attackers.at_work():
                highest = max(highest, replica.resident_bytes)
                time.sleep(0.1)
            over.set()
            for thread in threads:
                thread.join()
            did = attackers.did()
    mebibytes = highest / (1 << 20)
    print(f"\n{name}: GPU pods {honest.row}; privileged pods {sly.row}; {mebibytes:.0f} MiB; attackers {dict(did)}")  # noqa: T201 - numbers to compare
    assert did["sent"], "the attack did not take place"
    assert "created" not in sly.became
    assert control_plane.get(path)["items"] == []
    assert replica.process.exit_code is None
    assert mebibytes < MOST_MIB
    most = MOST_SECONDS * (1.0 if name in CASES else 1.5)
    others = [what for what in (*honest.became, *sly.became) if what not in ("rewritten", "denied")]
    return others + [user.row for user in (honest, sly) if max(user.seconds) > most]
