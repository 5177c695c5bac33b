"""The API server's own version: what is supported, and what is said of an older one."""

import pytest

from tests.application.diagnosis.world import healthy, the_result, troubled
from webhook.application.diagnosis.facts import Unread
from webhook.application.diagnosis.results import CheckStatus


@pytest.mark.parametrize("version", [(1, 30), (1, 31), (1, 36), (2, 0)])
def test_a_supported_version_is_well(version: tuple[int, int]) -> None:
    assert troubled(healthy(version=version)) == {}
    assert the_result(healthy(version=version), "kubernetes").observed.endswith(f" {version[0]}.{version[1]}")


@pytest.mark.parametrize("version", [(1, 29), (1, 20), (1, 9)])
def test_an_older_version_fails_in_plain_words(version: tuple[int, int]) -> None:
    assert troubled(healthy(version=version)) == {"kubernetes": CheckStatus.FAIL}
    found = the_result(healthy(version=version), "kubernetes")
    assert found.observed == f"the API server is Kubernetes {version[0]}.{version[1]}"
    assert found.impact.startswith("gpuwarden supports Kubernetes 1.30 and later: ")
    assert found.fix == "upgrade the cluster to Kubernetes 1.30 or later"


def test_a_version_that_cannot_be_read_is_unknown() -> None:
    unread = Unread("get /version", "GET /version: 403", forbidden=True)
    assert the_result(healthy(version=unread), "kubernetes").status is CheckStatus.UNKNOWN
