"""Every row of the design's table of forms, written out: what a form looks like in a pod."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.builders import (
    GKE_CLIENTS,
    GKE_PARTITION,
    GKE_SHARING,
    GPU,
    GPU_TOLERATION,
    MIG,
    MIG_SHARED,
    MIG_STRATEGY,
    NOT_RENAMED,
    RENAMED,
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
        Spelled(GPU, required=[(GKE_SHARING, "DoesNotExist"), (GKE_PARTITION, "DoesNotExist")]),
        Spelled(GPU, required=[(GKE_SHARING, "DoesNotExist"), (GKE_PARTITION, "DoesNotExist")]),
    ),
    "gke-time-sharing-4": (
        Spelled(GPU, {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}),
        Spelled(GPU, {GKE_SHARING: "time-sharing", GKE_CLIENTS: "4"}),
    ),
    "gke-mps-48": (
        Spelled(GPU, {GKE_SHARING: "mps", GKE_CLIENTS: "48"}),
        Spelled(GPU, {GKE_SHARING: "mps", GKE_CLIENTS: "48"}),
    ),
    "gke-mig-1g.5gb": (Spelled(GPU, {GKE_PARTITION: "1g.5gb"}), Spelled(GPU, {GKE_PARTITION: "1g.5gb"})),
    "gke-mig-1g.5gb-time-sharing-2": (
        Spelled(GPU, {GKE_PARTITION: "1g.5gb", GKE_SHARING: "time-sharing", GKE_CLIENTS: "2"}),
        Spelled(GPU, {GKE_PARTITION: "1g.5gb", GKE_SHARING: "time-sharing", GKE_CLIENTS: "2"}),
    ),
    "gke-mig-2g.10gb-mps-3": (
        Spelled(GPU, {GKE_PARTITION: "2g.10gb", GKE_SHARING: "mps", GKE_CLIENTS: "3"}),
        Spelled(GPU, {GKE_PARTITION: "2g.10gb", GKE_SHARING: "mps", GKE_CLIENTS: "3"}),
    ),
}
SHARED_FORMS = [form for form in TABLE if any(word in form for word in ("shared", "sharing", "slicing", "mps"))]
WHOLE_FORMS = [form for form in TABLE if form not in SHARED_FORMS]


EVERY_FORM = [
    pytest.param(form, plugin, id=f"{form}, {'renamed' if plugin.rename_by_default else 'not renamed'}")
    for form in TABLE
    for plugin in (RENAMED, NOT_RENAMED)
]


def spelled(form: str, plugin: DevicePlugin) -> Spelled:
    """A form's row, under the device plugin's setting."""
    renamed, not_renamed = TABLE[form]
    return renamed if plugin.rename_by_default else not_renamed
