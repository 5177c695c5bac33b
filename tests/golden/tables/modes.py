"""Golden cases of the three labels, of labels that can't be read, and of the dry run of the whole cluster."""

from testing.reviews import Json, a_container, a_gpu_container, a_pod
from tests.golden.cases import Table

MIG = "nvidia.com/mig-1g.5gb"
DRY_RUN: Json = {"mode": "audit"}


def fill(modes: Table) -> None:
    """Add the cases."""
    _labels(modes)
    _unreadable(modes)
    _dry_run(modes)


def _labels(modes: Table) -> None:
    modes.mutate("warn.would-become", "Nothing changes; the user is told.", a_pod(), warn="mps")
    modes.mutate("warn.would-be-refused", "The same for a refusal.", a_pod(a_gpu_container("2")), warn="shared")
    modes.mutate(
        "warn.same-as-enforce", "What happens anyway is not told as if it didn't.", a_pod(), "shared", warn="shared"
    )
    modes.mutate("warn.beside-enforce", "Enforced by one policy, warned by the other.", a_pod(), "shared", warn="none")
    modes.mutate("audit.would-become", "Recorded with the whole patch.", a_pod(), audit="mig-1g.5gb")
    modes.mutate(
        "audit.would-be-refused", "Recorded with the rules.", a_pod(a_container("train", {MIG: "1"})), audit="none"
    )
    modes.mutate(
        "audit.unchanged",
        "An audited pod that is right is recorded as such.",
        a_pod(a_container("train", {MIG: "1"})),
        audit="mig-1g.5gb",
    )
    modes.mutate("all-three", "Each label by itself.", a_pod(), "shared", warn="mps", audit="none")
    modes.validate(
        "validate-tells-nothing-of-warn-and-audit",
        "They are told once, by the mutating side.",
        a_pod(),
        warn="none",
        audit="none",
    )
    defaults: Json = {"defaults": {"enforce": "time-slicing", "warn": "none", "audit": "mps"}}
    modes.mutate("defaults", "A missing label takes the configuration's default.", a_pod(), configuration=defaults)
    modes.mutate(
        "label-over-default",
        "A label is stronger than the default.",
        a_pod(),
        "any",
        warn="any",
        audit="any",
        configuration=defaults,
    )


def _unreadable(modes: Table) -> None:
    modes.mutate("unreadable.enforce", "The mutating side changes nothing and says which label.", a_pod(), "time-slice")
    modes.mutate(
        "unreadable.warn-and-audit", "They count as any, and the user is told.", a_pod(), warn="gke-mps-99", audit=""
    )
    modes.mutate(
        "unreadable.without-gpu",
        "Who asks for no GPU is not bothered.",
        a_pod(a_container("web", {"cpu": "1"})),
        "time-slice",
    )


def _dry_run(modes: Table) -> None:
    modes.mutate("dry-run.would-become", "Nothing changes; told and recorded.", a_pod(), "mps", configuration=DRY_RUN)
    modes.mutate(
        "dry-run.would-be-refused", "Told and recorded.", a_pod(a_gpu_container("2")), "mps", configuration=DRY_RUN
    )
    modes.validate(
        "dry-run.refuses-nothing", "Not even half a GPU.", a_pod(a_gpu_container("0.5")), "none", configuration=DRY_RUN
    )
    modes.mutate(
        "dry-run.unchanged",
        "A pod that is right is recorded as looked at.",
        a_pod(a_container("train", {MIG: "1"})),
        "mig-1g.5gb",
        configuration=DRY_RUN,
    )
