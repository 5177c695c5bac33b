"""Who may call, by the common names in a client certificate as the ssl module shows it."""

import pytest

from webhook.adapters.http.connection import unwelcome

API_SERVER = "kube-apiserver"


def certificate(*names: str) -> dict[str, object]:
    return {"subject": ((("organizationName", API_SERVER),), *((("commonName", name),) for name in names))}


@pytest.mark.parametrize("names", [[API_SERVER], ["front-proxy"], [API_SERVER, "front-proxy"]])
def test_an_allowed_name_may_call(names: list[str]) -> None:
    assert unwelcome(certificate(*names), frozenset({API_SERVER, "front-proxy"})) is None
    assert unwelcome(None, frozenset()) is None, "where no names are given, TLS alone decides"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "none"),
        ({}, "none"),
        (certificate(), "none"),
        (certificate("stranger"), '"stranger"'),
        (certificate("Kube-Apiserver"), '"Kube-Apiserver"'),
        (certificate("kube-apiserver "), '"kube-apiserver "'),
        (certificate("kube\u2010apiserver"), '"kube\u2010apiserver"'),
        (certificate(API_SERVER, "stranger"), f'"{API_SERVER}" and "stranger"'),
        (certificate("stranger", API_SERVER), f'"stranger" and "{API_SERVER}"'),
    ],
)
def test_any_other_may_not_and_is_told_what_it_is_called(given: dict[str, object] | None, shown: str) -> None:
    refusal = unwelcome(given, frozenset({API_SERVER}))

    assert refusal is not None
    assert refusal.code == 403
    assert f"common name is {shown}, which" in refusal.message
    assert "--allowed-cn" in refusal.message
