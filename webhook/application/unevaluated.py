"""Objects that gpuwarden does not evaluate, and the parts of them that lead to pods."""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from ..engine.decision import UNTOUCHED, Decision
from ..engine.device_classes import IMPLICIT
from ..engine.other_gpus import BUILT_IN, GpuNames
from ..engine.resources import GpuResource, classify
from ..engine.text import LONGEST_NAME, all_of, cut
from .claims import GROUP, claim_in
from .field_paths import mapping
from .kind_lookup import correction, group_of, qualified
from .structural_search import Traces, search

# Their objects quote pods and templates, as a pattern, a record or a schema, or describe nodes: they make no pods.
_QUOTING_GROUPS = (
    *("kyverno.io", "gatekeeper.sh", "kubewarden.io", "wgpolicyk8s.io", "openreports.io"),
    *("karpenter.sh", "karpenter.k8s.aws", "karpenter.azure.com", "machine.openshift.io", "autoscaling.openshift.io"),
)
_QUOTING_KINDS = frozenset({"CustomResourceDefinition.apiextensions.k8s.io"})
_OF_TEXT = frozenset({"ConfigMap", "Secret"})
# Objects that others are rendered from, and what renders them.
_RENDERED = {
    "Kustomization.kustomize.config.k8s.io": "kubectl kustomize",
    "Component.kustomize.config.k8s.io": "kubectl kustomize",
    "HelmRelease.helm.toolkit.fluxcd.io": "helm template",
    "Application.argoproj.io": "helm template or kubectl kustomize",
}
_CLAIMS = re.compile(r"\w*ResourceClaim(?:Template)?\.resource\.k8s\.io")
_CLASS = f"DeviceClass.{GROUP}"
_PATHS_SHOWN = 2


class Unevaluated(msgspec.Struct, frozen=True):
    """An object of a kind that gpuwarden does not evaluate.

    Attributes:
        kind: the kind with its group, as in ``RayCluster.ray.io``.
        traces: what in it leads to pods, or claims devices.
        built_in: whether it is a kind of Kubernetes' own, of which no pod is created and which describes no devices.
        correction: the error in its kind or apiVersion, and the fix; ``None`` if there is none.
        decision: what would become of a pod with these requests.
        notes: what is special about its kind, for people.
        implicit: whether its operator requests a GPU that the object does not name.
        offers: the resource name by which a DeviceClass gives its devices to pods, if gpuwarden does not count it as a GPU.
    """

    kind: str
    traces: Traces
    built_in: bool
    correction: str | None = None
    offers: str = ""
    decision: Decision = UNTOUCHED
    notes: tuple[str, ...] = ()
    implicit: bool = False

    def __bool__(self) -> bool:
        """Whether the object may lead to pods, or decides what they become."""
        return bool(self.traces or self.correction or self.implicit)

    @property
    def message(self) -> str:
        """Why it is not evaluated, for people."""
        if self.correction:
            return self.correction
        if _CLAIMS.fullmatch(self.kind):
            return (
                f"{self.kind}: can't be read, and a claim (DRA) may be for GPUs; gpuwarden reads resource.k8s.io/v1alpha3 to v1; "
                "write one of these, or check its devices yourself"
            )
        if self.offers:
            return (
                f"{self.kind}: pods that request {cut(self.offers, LONGEST_NAME)} get its devices by spec.extendedResourceName, "
                "and gpuwarden does not count that name as a GPU; add it to resources.gpus in the configuration if they are "
                "GPUs, or to resources.notGPUs if they are not"
            )
        facts = list(self._facts())
        if not facts:
            return f"{self.kind}: neither a pod template nor a GPU request was found in it"
        fact = f"{self.kind}: {', and '.join(facts)}"
        if not self.decision.gpu_containers:
            command = _RENDERED.get(self.kind)
            return f"{fact}; " + (
                f"gpuwarden reads what is rendered from it; render it ({command}), and check the output"
                if command
                else "gpuwarden checks the pods that are created from it, not objects of this kind; check its pods, or run "
                "gpuwarden audit in their cluster"
            )
        rules = ", ".join(dict.fromkeys(finding.rule.id for finding in self.decision.denials))
        becomes = f"{self.decision.outcome}{f' ({rules})' if rules else ''}"
        verdict = f"evaluated when its pods are created: a pod that requests this would be {becomes}"
        return "; ".join([fact, verdict, *self.notes])

    @property
    def path(self) -> str:
        """The field that the message is about, or the first of several; empty if it is the whole object."""
        if self.correction:
            return "kind"
        if self.offers:
            return "spec.extendedResourceName"
        return next(chain(self.traces.requests, self.traces.templates, self.traces.claims), "")

    def _facts(self) -> Iterator[str]:
        traces = self.traces
        has_claims = bool(traces.claims)
        if self.implicit:
            yield "names no GPU, and its operator requests nvidia.com/gpu for its pods"
        elif traces.requests:
            yield f"requests {all_of(traces.resources)} at {_places(traces.requests, traces.counts[0])}"
        elif traces.templates:
            templates = f"has containers at {_places(traces.templates, traces.counts[1])}"
            yield templates if has_claims else f"{templates}, and no GPU request was found in it"
        if has_claims:
            places = _places(traces.claims, traces.counts[2])
            yield f"has resource claims (DRA) at {places}, which were not checked and may be for GPUs"
        if not (traces.requests or traces.templates or has_claims or traces.complete):
            yield "is too large to be searched for pods"


def unevaluated(manifest: Mapping[str, Any], gpu_names: GpuNames = BUILT_IN) -> Unevaluated:
    """Return what is known about an object whose kind ``workload_of`` does not find; ``gpu_names`` are other names for GPUs."""
    api_version, kind = manifest.get("apiVersion"), str(manifest.get("kind") or "")
    group = group_of(api_version)
    name = qualified(api_version, kind)
    quoted = quotes(group, name) or group == GROUP
    traces = Traces() if quoted else search(_texts(manifest) if name in _OF_TEXT else manifest, gpu_names)
    if _CLAIMS.fullmatch(name) and claim_in(manifest) is None:
        traces = Traces(claims=("spec",), counts=(0, 0, 1))
    offers = _offered(manifest, gpu_names) if name == _CLASS else ""
    if offers:
        traces = Traces(claims=("spec.extendedResourceName",), counts=(0, 0, 1))
    return Unevaluated(name, traces, group != GROUP and is_of_kubernetes(group), correction(api_version, kind), offers)


def _texts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The texts of a ConfigMap or Secret that may be manifests, those in base64 among them."""
    encoded = {"binaryData"} if manifest.get("kind") == "ConfigMap" else {"data"}
    found: dict[str, dict[str, str]] = {}
    for part in ("data", "stringData", "binaryData"):
        values = manifest.get(part)
        for key, value in values.items() if isinstance(values, Mapping) else ():
            text = _decoded(value) if part in encoded else value
            if isinstance(text, str) and ("\n" in text or "{" in text):
                found.setdefault(part, {})[key] = text
    return found


def _decoded(value: Any) -> str:
    """The text that is in base64; empty if there is none."""
    try:
        return b64decode(value).decode()
    except (TypeError, ValueError):
        return ""


def quotes(group: str, name: str) -> bool:
    """Whether objects of a kind, by its group and its qualified name, quote pods and make none."""
    return name in _QUOTING_KINDS or any(group == one or group.endswith(f".{one}") for one in _QUOTING_GROUPS)


def _offered(manifest: Mapping[str, Any], gpu_names: GpuNames) -> str:
    """The resource name of a DeviceClass that may be for GPUs, unless the name is known already."""
    if not gpu_names.is_gpu(f"{IMPLICIT}{mapping(manifest.get('metadata')).get('name')}"):
        return ""
    name = mapping(manifest.get("spec")).get("extendedResourceName")
    if not isinstance(name, str) or isinstance(classify(name), GpuResource):
        return ""
    return "" if gpu_names.is_gpu(name) or gpu_names.configured(name) else name


def is_of_kubernetes(group: str) -> bool:
    """Whether a group is Kubernetes' own: ``apps``, ``rbac.authorization.k8s.io``; not ``jobset.x-k8s.io``."""
    return "." not in group or group.endswith(".k8s.io")


def _places(paths: Sequence[str], count: int) -> str:
    shown, more = ", ".join(paths[:_PATHS_SHOWN]), count - _PATHS_SHOWN
    return shown if more <= 0 else f"{shown} and {more} more {'place' if more == 1 else 'places'}"
