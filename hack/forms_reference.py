"""Writes docs/reference/forms.md from the guide to forms and the measured memory of MIG slices: `make docs`.

Run it as `python -m hack.forms_reference`; with `--check` it writes nothing and fails when the page differs.
"""

import sys
from collections.abc import Iterator

from hack import generated
from hack.tools import ROOT
from webhook.engine.form_guide import CRITERIA, GUIDES, PLATFORM_TRAPS
from webhook.engine.forms import Platform
from webhook.engine.mig_memory import MEASURED

PAGE = ROOT / "docs/reference/forms.md"
HEAD = """<!-- Written by `make docs` from webhook/engine/form_guide.py and mig_memory.py; edit those, not this page. -->
# Forms

This page compares the forms of GPUs. [Policies and rules](policies.md#values) lists the policy values and what each adds to a
pod.
`gpuwarden explain NAME` prints the same for one form, policy or rule, under your configuration.

How to choose, in this order:

1. Workloads that must not be able to disturb each other, such as those of different teams: MIG slices, or whole GPUs.
2. Trusted workloads that each use a part of a GPU: MPS if their load is steady, time-slicing if it comes in bursts.
3. Several servers of the same model: one server that batches requests (Triton, vLLM) uses a GPU better than shared servers.

## Criteria
"""
MEMORY = """
## Memory of MIG slices

The table contains the memory that drivers report, in MiB, by GPU and profile. A slice has less memory than its name suggests.
Profiles with a suffix (`.me`, `.gfx`) have
the memory of those without one. The labels `nvidia.com/mig-<profile>.memory` of your own nodes (`nvidia.com/gpu.memory` under MIG
strategy *single*) are more exact. GPUs that are not listed were not measured.
"""


def page() -> Iterator[str]:
    """The page's lines."""
    yield HEAD
    yield f"| form | {' | '.join(title for _, title in CRITERIA)} |"
    yield "|---" * (len(CRITERIA) + 1) + "|"
    for guide in GUIDES.values():
        yield f"| {guide.title} | {' | '.join(criterion.value for _, criterion in guide.criteria)} |"
    for guide in GUIDES.values():
        yield f"\n## {guide.title}\n"
        yield f"{guide.description}\n"
        yield from (f"- **{title}**: {criterion.value}. {criterion.detail}" for title, criterion in guide.criteria)
        yield from listed("Suits", guide.suits)
        yield from listed("Pitfalls", guide.traps)
        yield from listed("Sources", tuple(f"<{source}>" for source in guide.sources))
    yield "\n## GKE\n"
    yield from (f"- {trap}" for trap in PLATFORM_TRAPS[Platform.GKE])
    yield MEMORY
    yield "| GPU | profiles | lowest | highest | source |"
    yield "|---|---|---|---|---|"
    for row in MEASURED:
        profiles = ", ".join(f"`{profile}`" for profile in row.profiles)
        yield f"| {row.gpu} | {profiles} | {row.lowest} | {row.highest} | {row.source} |"


def listed(title: str, items: tuple[str, ...]) -> Iterator[str]:
    """A list with its title."""
    yield f"\n{title}:\n"
    yield from (f"- {item}" for item in items)


if __name__ == "__main__":
    sys.exit(generated.write(PAGE, "\n".join(page()) + "\n", "docs", sys.argv[1:]))
