"""docs/quickstart.md, run as it is written: every kubectl command, and what the page says that it prints."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.programs import Programs
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart
from tests.e2e.fleet import Fleet, Node
from tests.e2e.installation import Installation

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).parents[2] / "docs/quickstart.md"
INSTALLING = (
    "kind ",
    "docker ",
    "helm ",
    "kubectl -n gpuwarden-system rollout ",
)  # what the fixtures do in their place
NODE, NAMESPACE = "kind-control-plane", "/api/v1/namespaces/team-a"
ACCOUNT = f"{NAMESPACE}/serviceaccounts/default"


def steps(text: str) -> list[tuple[str, str]]:
    """The commands of a page with what it says that each prints."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"(?ms)^```console\n(.*?)^```", text):
        for step in re.split(r"(?m)^\$ ", block)[1:]:
            command = re.match(r"(?ms)(?:[^\n]*\\\n)*[^\n]*?(?:<<EOF\n.*?^EOF$|$)", step)
            assert command
            found.append((command[0], step[command.end() :].strip("\n")))
    return found


STEPS = steps(PAGE.read_text())


@pytest.fixture(scope="module")
def control_plane(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster of its own, because that of the page has one node."""
    with ControlPlane(programs, tmp_path_factory.mktemp("quickstart")) as running:
        yield running


@pytest.fixture(scope="module")
def installation(control_plane: ControlPlane, chart: Chart, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    [install] = [command for command, _ in STEPS if command.startswith("helm ")]
    chosen = dict(word.split("=") for word in shlex.split(install) if word.startswith("image."))
    values = {"image": {name.removeprefix("image."): value for name, value in chosen.items()}}
    node = Node(NODE, tainted=False)
    with (
        Fleet(control_plane, (node,)),
        Installation(control_plane, chart, tmp_path_factory.mktemp("gpuwarden"), values=values),
    ):
        yield
        control_plane.api.delete(NAMESPACE)
        wait_for("the namespace to be gone", lambda: control_plane.api.get(NAMESPACE).is_error)


@pytest.mark.usefixtures("installation")
def test_every_command_prints_what_the_page_says(
    control_plane: ControlPlane, programs: Programs, tmp_path: Path
) -> None:
    (tmp_path / "kubectl").symlink_to(Path(programs.kubectl).resolve())
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "KUBECONFIG": str(control_plane.kubeconfig()),
    }  # fmt: skip
    run = [step for step in STEPS if not step[0].startswith(INSTALLING)]
    assert len(run) == len(STEPS) - 5 > 7
    for command, said in run:
        done = subprocess.run(
            ["bash", "-c", command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
            check=False,
        )  # fmt: skip
        assert " ".join(done.stdout.split()) == " ".join(said.split()), f"{command}\n{done.stdout}"
        if "create namespace" in command:
            wait_for("the service account", lambda: control_plane.get(ACCOUNT))
