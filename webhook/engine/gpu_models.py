"""GPU models and their MIG profiles, as NVIDIA documents them."""

import re
from functools import lru_cache

from .mig_profiles import read_profile

# By the names of models as a regular expression: profiles without the suffixes of their engines. Models whose boards have
# different memory have the profiles of all boards. hack/chart_tables.py writes this table into the chart.
PROFILES_OF_MODELS = {
    "A30X?(-.*)?": "1g.6gb 2g.12gb 4g.24gb",
    "A[18]00-.*40GB.*": "1g.5gb 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb",
    "[AH][18]00-.*80GB.*|A100X|H[18]00-PCIe": "1g.10gb 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb",
    "H[18]00-NVL": "1g.12gb 1g.24gb 2g.24gb 3g.47gb 4g.47gb 7g.94gb",
    "GH200-480GB": "1g.12gb 1g.24gb 2g.24gb 3g.48gb 4g.48gb 7g.96gb",
    "GH200-144G-HBM3e": "1g.18gb 1g.36gb 2g.36gb 3g.72gb 4g.72gb 7g.144gb",
    "H200(-NVL)?": "1g.18gb 1g.35gb 2g.35gb 3g.71gb 4g.71gb 7g.141gb",
    "G?B200(-.*)?": (
        "1g.23gb 1g.24gb 1g.45gb 1g.47gb 2g.45gb 2g.47gb 3g.90gb 3g.93gb 3g.95gb 4g.90gb 4g.93gb 4g.95gb "
        "7g.180gb 7g.186gb 7g.189gb"
    ),
    "G?B300(-.*)?": (
        "1g.34gb 1g.35gb 1g.67gb 1g.70gb 2g.67gb 2g.70gb 3g.135gb 3g.139gb 4g.135gb 4g.139gb 7g.269gb 7g.278gb"
    ),
    "RTX-PRO-6000-Blackwell-.*": "1g.24gb 2g.48gb 4g.96gb",
    # NVIDIA MIG user guide, "Supported GPUs", lists none of these.
    "Tesla-.*|(GeForce|Quadro|TITAN)-.*|L(2|4|20|40|40S|40G)|A(2|10|10G|10M|16|40)": "",
}
_MODELS = [(re.compile(names), tuple(sizes.split())) for names, sizes in PROFILES_OF_MODELS.items()]


@lru_cache(maxsize=1024)
def sizes_of(model: str) -> tuple[str, ...] | None:
    """Return the MIG profiles of a GPU model, without suffixes such as ``.me``.

    Sources: NVIDIA MIG user guide, "Supported GPUs" and "Supported MIG Profiles", and mig-parted's config-default.yaml. Names of
    models are those of GPU feature discovery; older drivers write no ``NVIDIA-`` in front.

    Args:
        model: the label ``nvidia.com/gpu.product`` without the suffix of a form.

    Returns:
        The profiles, none for a model without MIG; ``None`` for a model that is not known here, which may have any.
    """
    name = model.removeprefix("NVIDIA-")
    return next((sizes for pattern, sizes in _MODELS if pattern.fullmatch(name)), None)


def lacks(model: str, partition: str) -> bool:
    """Return whether a model is known and lacks a MIG profile. Suffixes are not compared: drivers add new ones."""
    sizes = sizes_of(model)
    profile = read_profile(partition)
    return sizes is not None and f"{profile.slices}g.{profile.gigabytes}gb" not in sizes
