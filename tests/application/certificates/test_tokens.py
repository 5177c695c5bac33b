"""Tokens in paths: what is left alone, what a token is, where it is found and put, and which paths are admitted."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from webhook.application.certificates.tokens import (
    PATHS,
    PathTokens,
    is_token,
    masked,
    path_of,
    path_token,
    token_of,
    with_token,
    without_token,
)

ONE, TWO = "0123456789abcdef" * 2, "fedcba9876543210" * 2
VALIDATE = "validate.gpuwarden.io"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/mutate/",
        "/mutate//",
        "/mutate/0123",
        f"/mutate/{ONE}/",
        f"/mutate/{ONE}0",
        f"/mutate/{ONE.upper()}",
        f"/mutate/{TWO}",
        f"//mutate/{ONE}",
        f"/a/mutate/{ONE}",
        f"/mutate/../mutate/{ONE}",
        f"/elsewhere/{ONE}",
        f"/{ONE}",
        ONE,
        "/mutate/é",
        "/mutate/\udcff\ud800",
        "/mutate",
        "/elsewhere",
    ],
)
def test_no_other_path_is_admitted_than_one_with_a_token(path: str) -> None:
    paths = PathTokens(PATHS.values())
    paths.replace([ONE], plain=False)
    assert paths.admits(path) is None
    assert paths.rejected_since_last_call()
    assert not paths.rejected_since_last_call(), "asked once"


@pytest.mark.parametrize("name", ["x.gpuwarden.io", "shared.advise.gpuwarden.io", ".mutate.gpuwarden.io", "mutate"])
def test_no_other_webhook_has_a_path(name: str) -> None:
    assert path_of(name) is None
    with pytest.raises(KeyError, match=name):
        with_token(name, "/x", ONE)


@pytest.mark.parametrize("name", ["shared", "mig-1g.5gb", "warn.others", "any-unlabelled", "namespace"])
def test_a_part_of_a_webhook_has_the_path_of_the_whole(name: str) -> None:
    assert path_of(f"{name}.mutate.gpuwarden.io") == "/mutate"
    assert with_token(f"{name}.{VALIDATE}", "", ONE) == f"/validate/{ONE}"
    assert token_of(f"{name}.{VALIDATE}", f"/validate/{ONE}") == ONE
    assert token_of(f"{name}.{VALIDATE}", f"/mutate/{ONE}") == ""


@pytest.mark.parametrize("plain", sorted({*PATHS.values()}))
def test_a_path_with_any_of_the_tokens_leads_to_its_endpoint(plain: str) -> None:
    paths = PathTokens(PATHS.values())
    paths.replace([ONE, TWO], plain=False)
    assert [paths.admits(f"{plain}/{token}") for token in (ONE, TWO)] == [plain, plain]
    assert not paths.rejected_since_last_call()
    paths.replace([TWO], plain=False)
    assert paths.admits(f"{plain}/{ONE}") is None


def test_plain_paths_are_admitted_while_they_may_be_called() -> None:
    paths = PathTokens(PATHS.values())
    assert (paths.admits("/mutate"), paths.admits(f"/mutate/{ONE}"), paths.admits("/readyz")) == ("/mutate", None, None)
    paths.replace([ONE], plain=True)
    assert (paths.admits("/mutate"), paths.admits(f"/mutate/{ONE}")) == ("/mutate", "/mutate")


def test_nothing_is_admitted_until_it_is_known_what_may_be() -> None:
    paths = PathTokens(PATHS.values(), plain=False)
    assert [paths.admits(path) for path in ("/mutate", "/mutate/", f"/mutate/{ONE}")] == [None] * 3


@given(st.integers(1, 2**255), st.integers(1, 2**255))
def test_each_key_has_a_token_of_its_own(one: int, other: int) -> None:
    tokens = [path_token(ec.derive_private_key(number, ec.SECP256R1())) for number in (one, other)]
    assert (tokens[0] == tokens[1]) is (one == other)
    assert all(map(is_token, tokens))


def test_a_token_stays_the_same_through_every_version() -> None:
    """Replicas of two versions run side by side in a rollout, and must agree."""
    assert path_token(ec.derive_private_key(7, ec.SECP256R1())) == "c96607de7e860c9f9239dab2ada2248e"


def test_a_ca_of_somebodys_own_may_have_an_rsa_key() -> None:
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    assert is_token(path_token(keys[0]))
    assert path_token(keys[0]) != path_token(keys[1])


@pytest.mark.parametrize(
    ("target", "token"),
    [
        ("", ""),
        ("/validate", ""),
        ("/validate/", ""),
        (f"/validate/{ONE[1:]}", ""),
        (f"/mutate/{ONE}", ""),  # the path of another webhook
        (f"/proxy/validate/{ONE}", ""),  # nothing stands between the API server and a Service
        ("https://example.test", ""),
        ("https://example.test/validate", ""),
        (f"https://example.test/mutate/{ONE}", ""),
        (f"/validate/{ONE}", ONE),
        (f"https://example.test:8443/validate/{ONE}", ONE),
        (f"https://example.test/proxy/validate/{ONE}", ONE),
    ],
)
def test_a_token_is_found_where_the_rest_is_right(target: str, token: str) -> None:
    assert token_of(VALIDATE, target) == token


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("", f"/validate/{TWO}"),
        ("/validate", f"/validate/{TWO}"),
        (f"/validate/{ONE}", f"/validate/{TWO}"),
        ("/elsewhere", f"/validate/{TWO}"),
        ("https://example.test", f"https://example.test/validate/{TWO}"),
        ("https://[::1]:8443/validate", f"https://[::1]:8443/validate/{TWO}"),
        (f"https://example.test/proxy/validate/{ONE}", f"https://example.test/proxy/validate/{TWO}"),
        ("https://example.test/elsewhere", f"https://example.test/validate/{TWO}"),
    ],
)
def test_only_the_path_is_changed_and_a_second_time_nothing(target: str, wanted: str) -> None:
    assert with_token(VALIDATE, target, TWO) == wanted
    assert with_token(VALIDATE, wanted, TWO) == wanted
    assert token_of(VALIDATE, wanted) == TWO


def test_what_people_are_shown_has_no_token() -> None:
    said = (
        f'Post "https://gpuwarden.x.svc:443/validate/{ONE}?timeout=3s": EOF; /validate-namespace/{TWO}, /mutate {TWO}'
    )
    assert masked(said) == (
        f'Post "https://gpuwarden.x.svc:443/validate/<token>?timeout=3s": EOF; /validate-namespace/<token>, /mutate {TWO}'
    )
    assert masked("kubectl get pods") == "kubectl get pods"
    assert [without_token(path) for path in ("", "/mutate", f"/mutate/{ONE}", f"/p/mutate/{ONE}")] == [
        "", "/mutate", "/mutate", "/p/mutate",
    ]  # fmt: skip
