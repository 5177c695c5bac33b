"""The image: without one these tests are skipped, or fail if GPUWARDEN_REQUIRE_IMAGE is 1."""

import os
from pathlib import Path

import pytest

from tests.image.image import Image, NoImageError, find


@pytest.fixture(scope="session")
def image() -> Image:
    """What `make image` built."""
    try:
        return find()
    except NoImageError as error:
        if os.environ.get("GPUWARDEN_REQUIRE_IMAGE") == "1":
            pytest.fail(f"GPUWARDEN_REQUIRE_IMAGE is 1: {error}", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A folder that the image's user can read, as a volume with fsGroup."""
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o055)
    return tmp_path
