"""GPU models: which MIG profiles each has; a model that is not known may have any."""

import pytest

from webhook.engine.gpu_models import lacks, sizes_of
from webhook.engine.mig_profiles import DOCUMENTED, is_profile

UNKNOWN = (
    *(
        "",
        "NVIDIA-",
        "A100",
        "NVIDIA-A100-SXM-64GB",
        "NVIDIA-H20",
        "NVIDIA-H20-3e",
        "NVIDIA-GH200-120GB",
        "NVIDIA-R100",
    ),
    *("GRID-A100-10C", "NVIDIA-RTX-PRO-5000-Blackwell", "NVIDIA-L400", "NVIDIA-DRIVE-A100-40GB", "nvidia-a30"),
)


@pytest.mark.parametrize("model", UNKNOWN)
def test_a_model_that_is_not_known_may_have_any(model: str) -> None:
    assert sizes_of(model) is None
    assert not any(lacks(model, profile) for profile in DOCUMENTED)


@pytest.mark.parametrize(
    ("models", "smallest", "largest"),
    [
        (("NVIDIA-A30", "A30"), "1g.6gb.me", "4g.24gb"),
        (
            ("NVIDIA-A100-SXM4-40GB", "A100-SXM4-40GB", "NVIDIA-A100-PCIE-40GB", "NVIDIA-A800-40GB-Active"),
            "1g.5gb",
            "7g.40gb",
        ),
        (
            ("NVIDIA-A100-SXM4-80GB", "NVIDIA-A100-80GB-PCIe", "NVIDIA-A800-SXM4-80GB", "NVIDIA-A100X"),
            "1g.10gb",
            "7g.80gb",
        ),
        (("NVIDIA-H100-80GB-HBM3", "H100-80GB-HBM3", "NVIDIA-H100-PCIe", "NVIDIA-H800-PCIe"), "1g.10gb.me", "7g.80gb"),
        (("NVIDIA-H100-NVL",), "1g.12gb", "7g.94gb"),
        (("NVIDIA-GH200-480GB",), "1g.12gb", "7g.96gb"),
        (("NVIDIA-GH200-144G-HBM3e",), "1g.18gb", "7g.144gb"),
        (("NVIDIA-H200", "NVIDIA-H200-NVL"), "1g.18gb", "7g.141gb"),
        (("NVIDIA-B200",), "1g.23gb", "7g.180gb"),
        (("NVIDIA-GB200",), "1g.24gb", "7g.189gb"),
        (("NVIDIA-B300-SXM6-AC",), "1g.34gb", "7g.269gb"),
        (("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition",), "1g.24gb.me.all", "4g.96gb.gfx"),
    ],
)
def test_a_known_model_has_the_profiles_of_its_memory(models: tuple[str, ...], smallest: str, largest: str) -> None:
    for model in models:
        assert not lacks(model, smallest)
        assert not lacks(model, largest)
        assert any(lacks(model, profile) for profile in ("1g.5gb", "1g.6gb"))


@pytest.mark.parametrize(
    "model", ["Tesla-T4", "Tesla-V100-SXM2-16GB", "NVIDIA-L4", "NVIDIA-L40S", "NVIDIA-A10", "NVIDIA-A16"]
)
def test_a_model_without_mig_has_none(model: str) -> None:
    assert sizes_of(model) == ()
    assert all(lacks(model, profile) for profile in DOCUMENTED)


def test_every_profile_of_a_model_is_a_documented_one() -> None:
    of_models = {
        size
        for model in ("A30", "A100-SXM4-40GB", "H100-PCIe", "H100-NVL", "GH200-480GB", "GH200-144G-HBM3e")
        for size in sizes_of(model) or ()
    }
    of_models |= {
        size for model in ("H200", "B200", "B300", "RTX-PRO-6000-Blackwell-X") for size in sizes_of(model) or ()
    }
    plain = {profile for profile in DOCUMENTED if profile.endswith("gb")}

    # Those of the RTX PRO 4500 and 5000, which are not known here.
    assert of_models == plain - {"1g.16gb", "2g.32gb"}


@pytest.mark.parametrize(("text", "expected"), [("1g.10gb.me", True), ("1c.3g.40gb", False), ("1g.10gb+me", False)])
def test_a_profile_is_spelled_as_in_resource_names(text: str, *, expected: bool) -> None:
    assert is_profile(text) is expected
