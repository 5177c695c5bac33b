"""kill -9 at random moments of the rotation: whoever lives can be called, or is again within 30 seconds; by itself."""

import base64
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.cluster import CONFIGURATIONS, SECRET, bundles, refusals, register, within
from tests.faults.killing import LIFETIMES, Caller, DangerousStandIn, Killer, Replica
from tests.faults.long import LONG
from webhook.application.certificates.issue import issue_ca, new_key
from webhook.application.certificates.secret import Authorities, read_authorities, write_authorities

KILLS = 200 if LONG else 12
REPLICAS = 3 if LONG else 2
PAUSE = 0.9 if LONG else 0.3  # seconds between two, on average; and as many for a write to come
HEALS = 30.0  # seconds
SEED = 20  # the same moments as far as a machine's speed lets them be


@pytest.fixture
def apiserver() -> Iterator[DangerousStandIn]:
    """With an authority that is due for a successor, so that the first rotation begins at once."""
    with DangerousStandIn() as stand_in:
        register(stand_in)
        lifetime = timedelta(seconds=LIFETIMES["ca"])
        aged = issue_ca(key=new_key(), at=datetime.now(UTC) - lifetime * 2 / 3, lifetime=lifetime)
        data = {k: base64.b64encode(v).decode() for k, v in write_authorities(Authorities(aged)).items()}
        stand_in.store(SECRET, {"kind": "Secret", "metadata": {"name": "gpuwarden-ca"}, "data": data})
        for path in CONFIGURATIONS.values():
            document = stand_in.objects[path]
            for webhook in document["webhooks"]:
                webhook["clientConfig"]["caBundle"] = base64.b64encode(aged.certificate_pem).decode()
        yield stand_in


def signer(apiserver: DangerousStandIn) -> int:
    """The authority that signs; there always is one, and the Secret is never half written."""
    with apiserver.changed:
        data = apiserver.objects[SECRET]["data"]
    found = read_authorities({key: base64.b64decode(value) for key, value in data.items()})
    assert not found.damage
    assert found.current is not None
    return found.current.certificate.serial_number


def test_replicas_that_are_killed_at_any_moment_leave_nothing_that_does_not_heal(
    apiserver: DangerousStandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - moments, not keys
    replicas = [Replica(tmp_path, apiserver, number) for number in range(REPLICAS)]
    callers = [Caller(apiserver, each) for each in replicas]
    killer = apiserver.killer = Killer(apiserver, replicas, chance)
    signers = {signer(apiserver)}
    try:
        with ExitStack() as stack:
            for caller in callers:
                stack.enter_context(caller)
            while killer.total < KILLS:
                time.sleep(chance.uniform(0, 2 * PAUSE))
                killer.kill_one(patience=2 * PAUSE)
                signers.add(signer(apiserver))
            # From wherever this has come to, everybody heals without a hand.
            took = within(
                HEALS,
                lambda: all(each.ready() and not refusals(apiserver, each.port) for each in replicas),
                "everybody ready and accepted",
            )
            within(HEALS, lambda: len(signers | {signer(apiserver)}) > 1, "the control: a rotation")
    finally:
        for each in replicas:
            each.kill()
    calls, lost = sum(c.called.calls for c in callers), [reason for c in callers for reason in c.called.lost]
    longest, why = max(caller.called.longest for caller in callers)
    ended = set().union(*(caller.called.ended for caller in callers)) - {-9}
    with capsys.disabled():
        if LONG:
            print(f"\n{killer.kills}, {len(signers)} authorities, {calls} calls, {len(lost)} lost, "  # noqa: T201 - the figures are what the long run is for
                  f"longest unreachable {longest:.1f} s ({why}), healed {took:.1f} s after the last")  # fmt: skip
    assert lost == []
    assert not ended, "only kills end a replica"
    assert longest < HEALS, why
    assert calls > KILLS
    assert not LONG or all(killer.kills.values()), killer.kills
    assert all(bundles(apiserver))
    for each in replicas:
        assert "Traceback" not in each.log
