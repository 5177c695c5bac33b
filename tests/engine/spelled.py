"""Every form written out: what it looks like in a pod."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.builders import (
    COMPUTE_SLICES,
    EVERY_SETTING,
    GKE_CLIENTS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    GPU_SLICES,
    GPU_TOLERATION,
    MEMORY,
    MIG,
    MIG_SHARED,
    MIG_STRATEGY,
    MODELS,
    PRODUCT,
    SHARED,
    STRATEGY,
    Json,
    expression,
)
from webhook.engine.spelling import DevicePlugin

Requirement = tuple[str, ...]


@dataclass(frozen=True)
class Spelled:
    """A resource name, nodeSelectors, and requirements of the node affinity."""

    resource: str
    selector: dict[str, str] = field(default_factory=dict)
    required: list[Requirement] = field(default_factory=list)

    def spec(self, container: Json, *, renamed_from: str = GPU, **spec: Any) -> Json:
        """The spec of a pod of one container that asked plainly, once it is spelled so."""
        [(_, count)] = container["resources"]["limits"].items()
        resources = {section: {self.resource: count} for section in container["resources"]}
        whole: Json = {"containers": [{**container, "resources": resources}], **spec}
        if self.selector:
            whole["nodeSelector"] = self.selector
        if self.required:
            terms = [{"matchExpressions": [expression(*requirement) for requirement in self.required]}]
            required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
            whole["affinity"] = {"nodeAffinity": required}
        if self.resource != renamed_from:
            whole["tolerations"] = [GPU_TOLERATION]
        return whole


SHARED_BY = ("time-slicing", "mps")
UNSHARED, UNPARTITIONED = (GKE_SHARING, "DoesNotExist"), (GKE_PARTITION, "DoesNotExist")

# Both columns of each form: with renameByDefault, and without.
TABLE: dict[str, tuple[Spelled, Spelled]] = {
    "exclusive": (Spelled(GPU), Spelled(GPU, required=[(STRATEGY, "NotIn", *SHARED_BY)])),
    "shared": (Spelled(SHARED), Spelled(GPU, required=[(STRATEGY, "In", *SHARED_BY)])),
    "time-slicing": (Spelled(SHARED, {STRATEGY: "time-slicing"}), Spelled(GPU, {STRATEGY: "time-slicing"})),
    "mps": (Spelled(SHARED, {STRATEGY: "mps"}), Spelled(GPU, {STRATEGY: "mps"})),
    "mig-1g.5gb": (Spelled(MIG), Spelled(MIG, required=[(MIG_STRATEGY, "NotIn", *SHARED_BY)])),
    "mig-1g.5gb-shared": (Spelled(MIG_SHARED), Spelled(MIG, required=[(MIG_STRATEGY, "In", *SHARED_BY)])),
    "mig-1g.24gb-me": (
        Spelled("nvidia.com/mig-1g.24gb-me"),
        Spelled(
            "nvidia.com/mig-1g.24gb-me", required=[("nvidia.com/mig-1g.24gb-me.sharing-strategy", "NotIn", *SHARED_BY)]
        ),
    ),
    "gke-exclusive": (
        Spelled(GPU, required=[UNSHARED, UNPARTITIONED]),
        Spelled(GPU, required=[UNSHARED, UNPARTITIONED]),
    ),
    "gke-time-sharing-4": (
        Spelled(GPU, {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}, [UNPARTITIONED]),
        Spelled(GPU, {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}, [UNPARTITIONED]),
    ),
    "gke-mps-48": (
        Spelled(GPU, {GKE_SHARING: "mps", GKE_CLIENTS: "48"}, [UNPARTITIONED]),
        Spelled(GPU, {GKE_SHARING: "mps", GKE_CLIENTS: "48"}, [UNPARTITIONED]),
    ),
    "gke-mig-1g.5gb": (
        Spelled(GPU, {GKE_PARTITION: "1g.5gb"}, [UNSHARED]),
        Spelled(GPU, {GKE_PARTITION: "1g.5gb"}, [UNSHARED]),
    ),
    "gke-mig-1g.5gb-time-sharing-2": (
        Spelled(GPU, {GKE_PARTITION: "1g.5gb", GKE_SHARING: "time-sharing", GKE_CLIENTS: "2"}),
        Spelled(GPU, {GKE_PARTITION: "1g.5gb", GKE_SHARING: "time-sharing", GKE_CLIENTS: "2"}),
    ),
    "gke-mig-2g.10gb-mps-3": (
        Spelled(GPU, {GKE_PARTITION: "2g.10gb", GKE_SHARING: "mps", GKE_CLIENTS: "3"}),
        Spelled(GPU, {GKE_PARTITION: "2g.10gb", GKE_SHARING: "mps", GKE_CLIENTS: "3"}),
    ),
}
WHOLE = (GPU_SLICES, "DoesNotExist")
# The bounds are midway between what 1g.5gb and 1g.6gb, and 1g.20gb, 1g.24gb and 1g.34gb have at most and at least.
SLICE: list[Requirement] = [(GPU_SLICES, "In", "1"), (COMPUTE_SLICES, "In", "1"), (MEMORY, "Lt", "5350")]
NOT_SHARED, IS_SHARED = (STRATEGY, "NotIn", *SHARED_BY), (STRATEGY, "In", *SHARED_BY)


def _products(suffix: str) -> Requirement:
    return (PRODUCT, "In", *(f"{model}-MIG-1g.5gb{suffix}" for model in MODELS))


# MIG strategy single: both columns again, slices told by their size; then by product.
SINGLE_TABLE: dict[str, tuple[Spelled, Spelled, Spelled, Spelled]] = {
    "exclusive": (
        Spelled(GPU, required=[WHOLE]),
        Spelled(GPU, required=[NOT_SHARED, WHOLE]),
        Spelled(GPU, required=[WHOLE]),
        Spelled(GPU, required=[NOT_SHARED, WHOLE]),
    ),
    "shared": (
        Spelled(SHARED, required=[WHOLE]),
        Spelled(GPU, required=[IS_SHARED, WHOLE]),
        Spelled(SHARED, required=[WHOLE]),
        Spelled(GPU, required=[IS_SHARED, WHOLE]),
    ),
    "time-slicing": (
        Spelled(SHARED, {STRATEGY: "time-slicing"}, [WHOLE]),
        Spelled(GPU, {STRATEGY: "time-slicing"}, [WHOLE]),
        Spelled(SHARED, {STRATEGY: "time-slicing"}, [WHOLE]),
        Spelled(GPU, {STRATEGY: "time-slicing"}, [WHOLE]),
    ),
    "mps": (
        Spelled(SHARED, {STRATEGY: "mps"}, [WHOLE]),
        Spelled(GPU, {STRATEGY: "mps"}, [WHOLE]),
        Spelled(SHARED, {STRATEGY: "mps"}, [WHOLE]),
        Spelled(GPU, {STRATEGY: "mps"}, [WHOLE]),
    ),
    "mig-1g.5gb": (
        Spelled(GPU, required=SLICE),
        Spelled(GPU, required=[NOT_SHARED, *SLICE]),
        Spelled(GPU, required=[_products("")]),
        Spelled(GPU, required=[NOT_SHARED, _products("")]),
    ),
    "mig-1g.5gb-shared": (
        Spelled(SHARED, required=SLICE),
        Spelled(GPU, required=[IS_SHARED, *SLICE]),
        Spelled(SHARED, required=[_products("")]),
        Spelled(GPU, required=[IS_SHARED, _products("-SHARED")]),
    ),
}
SHARED_FORMS = [form for form in TABLE if any(word in form for word in ("shared", "sharing", "slicing", "mps"))]
WHOLE_FORMS = [form for form in TABLE if form not in SHARED_FORMS]


EVERY_FORM = [
    pytest.param(form, plugin, id=f"{form}, {setting}")
    for setting, plugin in EVERY_SETTING.items()
    for form in (SINGLE_TABLE if plugin.single else TABLE)
]


def spelled(form: str, plugin: DevicePlugin) -> Spelled:
    """A form's row, under the device plugin's setting."""
    row = SINGLE_TABLE[form][2 if plugin.products else 0 :] if plugin.single else TABLE[form]
    return row[0 if plugin.rename_by_default else 1]
