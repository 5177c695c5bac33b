"""Measured memory of MIG slices: by model, the lowest over models, and nothing where nothing is measured."""

import pytest

from webhook.engine.gpu_models import lacks
from webhook.engine.mig_memory import MEASURED, lowest_memory, measured_memory, memory_range, suffix_of
from webhook.engine.mig_profiles import DOCUMENTED, read_profile

A_MODEL_OF = {
    "A30": "NVIDIA-A30",
    "A100 40GB": "NVIDIA-A100-SXM4-40GB",
    "A100 80GB": "NVIDIA-A100-80GB-PCIe",
    "H100 80GB": "NVIDIA-H100-80GB-HBM3",
    "H100 94GB": "NVIDIA-H100-NVL",
    "H200": "NVIDIA-H200",
    "RTX PRO 6000": "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition",
}


@pytest.mark.parametrize(
    ("model", "profile"),
    [
        ("NVIDIA-B200", "1g.23gb"),
        ("NVIDIA-H20", "1g.12gb"),
        ("NVIDIA-GH200-480GB", "1g.12gb"),
        ("NVIDIA-H200", "1g.35gb"),
        ("NVIDIA-A100-SXM4-40GB", "1g.20gb"),
        ("Tesla-T4", "1g.5gb"),
        ("", "1g.5gb"),
    ],
)
def test_nothing_is_known_of_what_was_not_measured(model: str, profile: str) -> None:
    assert measured_memory(model, profile) is None
    assert lowest_memory(profile, (model,)) is None


@pytest.mark.parametrize(
    ("model", "profile", "lowest"),
    [
        ("NVIDIA-A100-SXM4-40GB", "1g.5gb", 4864),
        ("A100-SXM4-40GB", "1g.5gb.me", 4864),
        ("NVIDIA-A100-SXM4-40GB", "1g.10gb", 9856),
        ("NVIDIA-A100-SXM4-80GB", "1g.10gb", 9728),
        ("NVIDIA-H100-80GB-HBM3", "1g.10gb", 9984),
        ("NVIDIA-H100-NVL", "1g.24gb", 22016),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", "1g.24gb-me", 23675),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", "1g.24gb.me.all", 23675),
        ("NVIDIA-H200", "1g.18gb", 16384),
    ],
)
def test_the_same_name_is_another_slice_on_another_model(model: str, profile: str, lowest: int) -> None:
    found = measured_memory(model, profile)
    assert found is not None
    assert found.lowest == lowest == lowest_memory(profile, (model,))
    assert found.source


def test_of_several_models_the_lowest_counts_and_one_that_is_not_measured_spoils_it() -> None:
    a100, h100 = "NVIDIA-A100-SXM4-80GB", "NVIDIA-H100-80GB-HBM3"
    assert lowest_memory("1g.10gb", (h100, a100)) == 9728
    assert lowest_memory("1g.10gb", (h100, "NVIDIA-H20")) is None


def test_without_models_every_measured_one_counts() -> None:
    assert lowest_memory("1g.24gb") == 22016
    assert lowest_memory("1g.23gb") is None
    assert memory_range("1g.24gb") == (22016, 24192)


def test_every_row_is_of_a_documented_profile_that_the_model_has_and_below_its_nominal_size() -> None:
    seen = set()
    for row in MEASURED:
        models = [model for model in A_MODEL_OF.values() if row.is_of(model)]
        assert len(models) == 1, row
        for profile in row.profiles:
            nominal = read_profile(profile).gigabytes * 1024
            assert profile in DOCUMENTED
            assert not lacks(models[0], profile)
            assert 0.88 * nominal < row.lowest <= row.highest < nominal
            assert (models[0], profile) not in seen
            seen.add((models[0], profile))


@pytest.mark.parametrize(
    ("partition", "suffix"), [("1g.10gb", ""), ("1g.10gb.me", ".me"), ("2g.35gb-me", "-me"), ("", "")]
)
def test_suffixes(partition: str, suffix: str) -> None:
    assert suffix_of(partition) == suffix
