"""The configuration while it decides: broken, gone, unreadable, swapped as the kubelet does it. The last good one decides."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testing.reviews import a_pod, a_review
from tests.cli.serving import COMMAND, Served
from tests.faults.cluster import parts, within
from tests.faults.long import LONG

CONFIGURATION = "apiVersion: gpuwarden.io/v1\nkind: Configuration\ndefaults: {enforce: %s}\n"
FAILING = 'gpuwarden_reload_failing{file="configuration"}'
REVIEW = a_review(a_pod(), namespace="team")
PATIENCE = 60.0


_versions = itertools.count()


def mount(folder: Path, text: str) -> None:
    """Write the file as the kubelet does (pkg/volume/util/atomic_writer.go): a new folder, one rename, the old one removed."""
    old = (folder / "..data").resolve()
    data = folder / f"..{next(_versions)}"
    data.mkdir()
    (data / "config.yaml").write_text(text, encoding="utf-8")
    if not (folder / "config.yaml").is_symlink():
        (folder / "config.yaml").symlink_to("..data/config.yaml")
    (folder / "..data_tmp").symlink_to(data.name)
    (folder / "..data_tmp").replace(folder / "..data")
    if old.name.startswith("..") and old != data:
        shutil.rmtree(old, ignore_errors=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("mounted")
    mount(made, CONFIGURATION % "none")
    return made


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Served]:
    # Root reads everything, whatever its mode says; a process without these rights does not.
    drop = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    with Served("--tls-self-signed", "--config", folder / "config.yaml", command=(*drop, *COMMAND)) as served:
        yield served


@pytest.fixture
def server(running: Served, folder: Path) -> Served:
    """Whatever was before: it refuses GPUs now, by a file that is good."""
    mount(folder, CONFIGURATION % "none")
    within(PATIENCE, lambda: running.ask("/validate", REVIEW).rules == ["gpu-not-permitted"], "the configuration")
    return running


def gone(folder: Path) -> None:
    (folder / "..data" / "config.yaml").unlink()


def dangling(folder: Path) -> None:
    shutil.rmtree((folder / "..data").resolve())


def unreadable(folder: Path) -> None:
    (folder / "..data" / "config.yaml").chmod(0)


def a_folder(folder: Path) -> None:
    file = folder / "..data" / "config.yaml"
    file.unlink()
    file.mkdir()


def broken(folder: Path) -> None:
    mount(folder, "policies: [")


def emptied(folder: Path) -> None:
    (folder / "..data" / "config.yaml").write_text("", encoding="utf-8")


def no_text(folder: Path) -> None:
    (folder / "..data" / "config.yaml").write_bytes(b"\xff\xfe\x00")


def nested(folder: Path) -> None:
    mount(folder, "[" * 20_000)


DAMAGES: dict[Callable[[Path], None], str] = {
    gone: "config.yaml, which does not exist; restore it, readable for this user",
    dangling: "does not exist; restore it",
    unreadable: "permission denied; restore it",
    a_folder: "it is a folder; restore it",
    broken: "expected a value",
    emptied: "the file is empty",
    no_text: "can't decode",
    nested: "nested deeper",
}


@pytest.mark.parametrize("damage", [d for d in DAMAGES if LONG or d in (gone, unreadable, broken)])
def test_the_last_good_configuration_decides_and_the_operator_is_told(
    server: Served, folder: Path, damage: Callable[[Path], None]
) -> None:
    since = len(server.log)
    damage(folder)
    told = server.wait_for("file not reloaded, the last valid content stays in use", since, file="configuration")
    assert DAMAGES[damage] in told["reason"]
    assert server.metric(FAILING) == 1
    part = parts(server)["configuration"]
    assert part["ready"]
    assert DAMAGES[damage] in part["message"]
    assert server.ops("/readyz").code == 200
    assert server.ask("/validate", REVIEW).rules == ["gpu-not-permitted"]
    mount(folder, CONFIGURATION % "any")
    within(PATIENCE, lambda: server.ask("/validate", REVIEW).allowed, "the new configuration")
    within(PATIENCE, lambda: server.metric(FAILING) == 0, "mended")
    assert parts(server)["configuration"]["message"] == "loaded"
    said = [line for line in server.log[since:] if line["event"].startswith("file not")]
    assert len(said) == 1, "once, however often it looks"


def test_the_same_file_back_where_it_was_is_taken_as_mended(server: Served, folder: Path) -> None:
    file, since = folder / "..data" / "config.yaml", len(server.log)
    file.rename(folder / "aside")
    server.wait_for("file not reloaded, the last valid content stays in use", since)
    (folder / "aside").rename(file)
    within(PATIENCE, lambda: server.metric(FAILING) == 0, "mended")
    assert server.ask("/validate", REVIEW).rules == ["gpu-not-permitted"]


def test_no_review_is_lost_while_the_kubelet_swaps_again_and_again(server: Served, folder: Path) -> None:
    verdicts = set()
    with server.connect() as wire:
        for number in range(40):
            mount(folder, CONFIGURATION % ("any" if number % 2 else "none"))
            for _ in range(10):
                verdicts.add(tuple(server.ask_on(wire, "/validate", REVIEW).rules))
    assert verdicts <= {(), ("gpu-not-permitted",)}
    within(PATIENCE, lambda: server.ask("/validate", REVIEW).allowed, "the last one")
    assert server.metric('gpuwarden_reloads_total{file="configuration",result="success"}') >= 1
