"""Reconciler and serving certificate together, evaluated by OpenSSL: a client that trusts the caBundle is served throughout."""

import contextlib
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from tests.application.certificates.world import SETTINGS, VALIDATING, World
from webhook.adapters.tls.serving import ServingCertificate
from webhook.application.certificates.issue import ServingNames, issue_ca, new_key
from webhook.application.certificates.plan import Phase
from webhook.application.certificates.reconcile import CertificateReconciler

NAME = "gpuwarden.gpuwarden.svc"
SECOND = timedelta(seconds=1)


class Replica:
    """A reconciler whose certificate is really served."""

    def __init__(self, world: World) -> None:
        self.serving = ServingCertificate(lambda: datetime.now(UTC))
        self.reconciler = CertificateReconciler(
            store=world,
            holder=self.serving,
            names=ServingNames.parse([NAME], []),
            settings=SETTINGS,
            clock=lambda: world.now,
            monotonic=lambda: world.seconds,
            new_key=new_key,
        )

    def shake_hands(self, bundle: bytes, name: str = NAME) -> None:
        """As an API server would: with this caBundle, for this name. In memory.

        Raises:
            ssl.SSLError: The client refuses what it is shown.
        """
        client = ssl.create_default_context(cadata=bundle.decode())
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = self.serving.context()
        assert context
        near = client.wrap_bio(to_client, to_server, server_hostname=name)
        far = context.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(2):
            for end in (near, far):
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()


def bundle_in(world: World) -> bytes:
    return next(iter(world.bundles[VALIDATING].values()))


def test_a_client_that_trusts_the_bundle_is_served_through_three_new_authorities() -> None:
    world = World(now=datetime.now(UTC))
    replicas = [Replica(world), Replica(world)]
    authorities = []
    for replica in replicas:
        assert replica.reconciler.reconcile().trusted
    for _ in range(3):
        current = world.authorities.current
        assert current
        authorities.append(current)
        world.put_secret(None)
        for _ in range(6):
            world.now += 3 * SECOND
            for replica in replicas:
                replica.reconciler.reconcile()
                for each in replicas:
                    each.shake_hands(bundle_in(world))
        assert replicas[0].reconciler.reconcile().phase is Phase.RETIRING
        assert replicas[0].reconciler.leaf
        assert replicas[0].reconciler.leaf.issuer == world.authorities.certificates[0]

    assert world.authorities.current not in authorities
    assert len({ca.certificate for ca in authorities}) == 3


def test_a_client_with_another_bundle_or_for_another_name_is_not() -> None:
    world = World(now=datetime.now(UTC))
    replica = Replica(world)
    replica.reconciler.reconcile()
    stranger = issue_ca(key=new_key(), at=world.now, lifetime=timedelta(days=1))

    replica.shake_hands(bundle_in(world))
    with pytest.raises(ssl.SSLCertVerificationError):
        replica.shake_hands(stranger.certificate_pem)
    with pytest.raises(ssl.SSLCertVerificationError):
        replica.shake_hands(bundle_in(world), "example.com")
