"""The check of dcgm-exporter: whether its metrics name the pods that gpuwarden rewrites."""

from collections.abc import Iterator

from ...engine.resources import GPU, PREFIX
from ...engine.spelling import spell
from .facts import Facts, known
from .neighbours import DCGM_EXPORTER, Program
from .policies import forms_in_use
from .results import CheckOutcome, Findings, listed, unknown, warn

_NAMES = ("NVIDIA_RESOURCE_NAMES", "nvidia-resource-names")
_SHARED = ("KUBERNETES_VIRTUAL_GPUS", "kubernetes-virtual-gpus")
_YES = frozenset({"1", "t", "true"})  # strconv.ParseBool


def exporters(facts: Facts) -> Findings:
    """dcgm-exporter knows the resources that policies in use give to pods."""
    found = known(facts.neighbours.exporters)
    if not found:
        return "no DaemonSet runs dcgm-exporter"
    configuration = facts.usable_configuration()
    forms = forms_in_use(facts)
    # Those that it knows by default (dcgm-exporter internal/pkg/transformation/kubernetes.go).
    names = {spell(form, configuration.plugin).resource for form in forms}
    names = {name for name in names if name != GPU and not name.startswith(f"{PREFIX}mig-")}
    shared = any(form.shared for form in forms)
    for one in found:
        yield from _blind(one, names, shared=shared)
    return f"dcgm-exporter knows the resources of the policies in use ({listed(map(str, found))})"


def _blind(one: Program, names: set[str], *, shared: bool) -> Iterator[CheckOutcome]:
    for container in one.containers(DCGM_EXPORTER):
        known_names, virtual = container.setting(*_NAMES), container.setting(*_SHARED)
        elsewhere = [setting.name for setting in (known_names, virtual) if setting and setting.value_from]
        if elsewhere and (names or shared):
            yield unknown(
                f"DaemonSet {one} takes {listed(elsewhere)} from another object",
                "doctor can't tell whether dcgm-exporter knows the resources of the policies in use",
                "compare the value with the resources that gpuwarden fleet lists",
            )
            continue
        has = {name.strip() for name in known_names.value.split(",")} if known_names else set()
        if lacking := names - has:
            yield warn(
                f"DaemonSet {one} runs dcgm-exporter, and {_NAMES[0]} does not list {listed(lacking)}",
                "the metrics of GPUs that pods request by these names lack the labels pod, namespace and container",
                f"set its environment variable {_NAMES[0]} to {','.join(sorted(names | (has - {''})))}",
            )
        if shared and not (virtual and virtual.value.lower() in _YES):
            yield warn(
                f"DaemonSet {one} runs dcgm-exporter without {_SHARED[0]}: true, and policies in use share GPUs",
                "the metrics of a shared GPU name one of its pods, as if it used all of it",
                f"set its environment variable {_SHARED[0]} to true",
            )
