"""Writes docs/reference/workload-kinds.md from the table of workload kinds: `make docs`.

Run it as `python -m hack.workload_reference`; with `--check` it writes nothing and fails when the page differs.
"""

import sys
from collections.abc import Iterator

from hack.tools import ROOT
from webhook.application.workload_kinds import BUILT_IN, WorkloadKind

PAGE = ROOT / "docs/reference/workload-kinds.md"
HEAD = """<!-- Written by `make docs` from webhook/application/workload_kinds.py; edit that, not this page. -->
# Workload kinds

The objects of a workload kind are pods, or have pod templates. gpuwarden checks these pods in manifests (`check`, `rewrite`)
and in a cluster (`audit`), warns about them at `kubectl apply`, and lists those that a changed namespace label affects.

In a path, `[*]` is every item of a list and `{*}` every value of a map. The number of pods is the product of the
replicas. A count that is not set is 1.

| kind | API version | pod spec | replicas | suspended by | note |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(f"{line}\n" for kind in BUILT_IN for line in rows(kind))


def rows(kind: WorkloadKind) -> Iterator[str]:
    """A kind's rows, one for each template."""
    for number, template in enumerate(kind.templates):
        first = (f"`{kind.kind}`", f"`{kind.api_version}`") if number == 0 else ("", "")
        replicas = " * ".join(f"`{count}`" for count in template.replicas)
        last = (f"`{kind.suspend}`" if kind.suspend else "", kind.note) if number == 0 else ("", "")
        yield f"| {' | '.join((*first, f'`{template.path}`', replicas, *last))} |".replace("  ", " ")


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` compare it; 0 when it is right now."""
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        print(f"{PAGE.relative_to(ROOT)} is out of date: run `make docs`")  # noqa: T201 - a script speaks
        return 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
