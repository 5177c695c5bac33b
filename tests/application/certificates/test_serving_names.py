"""Names as a person writes them."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from webhook.application.certificates.issue import ServingNames
from webhook.application.certificates.pem import CertificateError


def test_names_are_kept_once_in_order_and_in_lower_case() -> None:
    names = ServingNames.parse(["Localhost", "a.b.svc.", "localhost", " x "], ["::1", "127.0.0.1", "0::1"])

    assert names.dns == ("localhost", "a.b.svc", "x")
    assert names.ips == (IPv6Address("::1"), IPv4Address("127.0.0.1"))
    assert names.texts == ("localhost", "a.b.svc", "x", "::1", "127.0.0.1")


@pytest.mark.parametrize(
    "name", ["*.example.com", "a-b.c", "x1", "a_b.svc", "xn--bcher-kva.example", "a" * 63], ids=str
)
def test_dns_names_that_are_accepted(name: str) -> None:
    assert ServingNames.parse([name], []).dns == (name,)


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", "-a", "a-", "*", "a.*.b", "**.a", "bücher.example", "a b", "a/b", "a" * 64, "a." * 127 + "a"],
    ids=str,
)
def test_dns_names_that_are_refused(name: str) -> None:
    with pytest.raises(CertificateError, match="is not a DNS name"):
        ServingNames.parse([name], [])


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1/8", "1.2.3", "[::1]"], ids=str)
def test_addresses_that_are_refused(address: str) -> None:
    with pytest.raises(CertificateError, match="is not an IP address"):
        ServingNames.parse([], [address])


def test_no_name_at_all_is_refused() -> None:
    with pytest.raises(CertificateError, match="at least one"):
        ServingNames.parse([], [])
