"""Paths with tokens, written by gpuwarden and called through a Service: who is answered, and how they come and go with Helm."""

import re
import time
from collections.abc import Callable

import httpx
import pytest

from testing.control_plane.cluster import ControlPlane
from testing.control_plane.waiting import wait_for
from tests.deploy.chart import Chart, Rendered
from tests.e2e.certificates import bundles, stranger_status, targets, tokens
from tests.e2e.gpuwarden import Replica
from tests.e2e.installation import CONFIGURATION_KINDS, configuration_path, render
from tests.e2e.objects import ENFORCE, MIG
from tests.e2e.release import Release
from tests.e2e.running import Running
from tests.e2e.stream import PodStream
from tests.e2e.telling import tell
from tests.e2e.test_doctor import doctor
from webhook.application.certificates.tokens import ANNOTATION, PATHS

pytestmark = pytest.mark.e2e

ENFORCED = {"install": {"mode": "enforce"}, "config": {"policies": {"inference": {"forms": ["mig-1g.5gb"]}}}}
PLAIN = {**ENFORCED, "pathToken": {"enabled": False}}
GAP_SECONDS = 5.0  # a look, which the first call at a wrong path brings on, and a write


def is_closed(replica: Replica) -> bool:
    return {stranger_status(replica.port, path) for path in PATHS.values()} == {httpx.codes.NOT_FOUND}


def start(release: Release, relayed: Running, rendered: Rendered, values: dict[str, object], *options: str) -> None:
    """Install, and start two replicas."""
    release.install(values)
    relayed.reconfigure(rendered)
    relayed.wait_until_serving(relayed.start_replica(*options), relayed.start_replica(*options))
    wait_for("gpuwarden to act", relayed.acts)


def test_the_api_server_is_answered_and_strangers_are_not(
    bare: ControlPlane, chart: Chart, relayed: Running, release: Release, make_namespace: Callable[..., str]
) -> None:
    start(release, relayed, render(bare, chart, ENFORCED), ENFORCED)
    (secret,) = tokens(bare)
    assert re.fullmatch("[0-9a-f]{32}", secret)
    assert targets(bare) == {name: f"{path}/{secret}" for name, path in PATHS.items() if name in targets(bare)}
    for replica in relayed.replicas:
        wait_for("the plain paths to be closed", lambda replica=replica: is_closed(replica))  # type: ignore[misc]  # mypy can't infer a lambda's default
        refused = [
            f"/mutate/{'0' * 32}",
            f"/mutate/{secret}/",
            f"/mutate/{secret[:-1]}",
            f"/{secret}",
            f"/elsewhere/{secret}",
        ]
        assert {stranger_status(replica.port, path) for path in refused} == {httpx.codes.NOT_FOUND}
        # The control: what is refused is the path, and nothing else of the request.
        assert {stranger_status(replica.port, f"{path}/{secret}") for path in PATHS.values()} & {httpx.codes.OK}
        assert stranger_status(replica.port, f"/mutate/{secret}") == httpx.codes.OK
    with PodStream(bare, make_namespace({ENFORCE: "shared"})) as stream:
        stream.wait_for_more(50)
    assert stream.failures == [], stream.report()
    denied = bare.kubectl(
        "run", "two", "-n", make_namespace({ENFORCE: "shared"}), "--image=example.test/train", "--dry-run=server",
        '--overrides={"spec":{"containers":[{"name":"two","image":"i","resources":{"limits":{"nvidia.com/gpu.shared":"2"}}}]}}',
    )  # fmt: skip
    assert "validate.gpuwarden.io" in denied.stderr

    _, found = doctor(bare)
    assert [line["status"] for line in found["path-tokens"]] == ["ok"]
    assert [line["seen"] for line in found["callers"]] == [
        "other clients are kept out by the token in the paths; NetworkPolicies are not checked"
    ]
    for replica in relayed.replicas:
        operations = f"http://127.0.0.1:{replica.ops_port}"
        shown = [httpx.get(f"{operations}{path}", trust_env=False).text for path in ("/metrics", "/readyz")]
        log = (replica.home / "log").read_text()
        assert "certificates changed" in log or "stopped" not in log
        for text in (str(found), log, *shown):
            assert secret not in text


def test_tokens_come_with_the_second_of_two_upgrades_and_go_with_a_rollback(
    bare: ControlPlane, chart: Chart, relayed: Running, release: Release, make_namespace: Callable[..., str]
) -> None:
    start(release, relayed, render(bare, chart, PLAIN), PLAIN, "--propagation=2")
    assert targets(bare) == {name: PATHS[name] for name in targets(bare)}
    assert not any(is_closed(replica) for replica in relayed.replicas), "the control"
    trusted = bundles(bare)

    def gap(what: str, change: Callable[[], object], come: Callable[[], bool]) -> None:
        """See that nothing is lost but in the moment of the change."""
        with PodStream(bare, make_namespace({ENFORCE: "inference"}), connections=2) as stream:
            stream.wait_for_more(20)
            changing = time.monotonic()
            change()
            changed = time.monotonic()
            wait_for(what, come)
            stream.wait_for_more(50)
        lost = [failure.began - changing for failure in stream.failures]
        tell(
            f"{what}: {len(lost)} lost, the last {max(lost, default=0):.1f} s after helm began ({changed - changing:.1f} s)"
        )
        assert all(0 <= each < changed - changing + GAP_SECONDS for each in lost), stream.report()
        assert {attempt.asks for attempt in stream.attempts[-10:]} == {MIG}

    gap(
        "tokens in every path",
        lambda: release.upgrade(ENFORCED),
        lambda: tokens(bare) != {""} and len(tokens(bare)) == 1,
    )
    for replica in relayed.replicas:
        wait_for("the plain paths to be closed", lambda replica=replica: is_closed(replica))  # type: ignore[misc]  # mypy can't infer a lambda's default
    gap(
        "plain paths again",
        release.rollback,
        lambda: set(targets(bare).values()) == {*PATHS.values()} and not any(map(is_closed, relayed.replicas)),
    )
    annotations = [bare.get(configuration_path(kind))["metadata"]["annotations"] for kind in CONFIGURATION_KINDS]
    assert [found[ANNOTATION] for found in annotations] == ["false", "false"]
    assert bundles(bare) == trusted
