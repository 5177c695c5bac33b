"""Writes docs/reference/workload-kinds.md from the table of workload kinds: `make docs`.

Run it as `python -m hack.workload_reference`; with `--check` it writes nothing and fails when the page differs.
"""

import sys
from collections.abc import Iterable, Iterator

from hack import generated
from hack.tools import ROOT
from webhook.application.operator_kinds import OPERATORS
from webhook.application.workload_kinds import BUILT_IN, WorkloadKind

PAGE = ROOT / "docs/reference/workload-kinds.md"
HEAD = """<!-- Written by `make docs` from webhook/application/workload_kinds.py; edit that, not this page. -->
# Workload kinds

A workload kind is a kind whose objects are pods, or describe them. In a path, `[*]` is every item of a list and `{*}` every
value of a map. The number of pods is the product of the replicas. A count that is not set is 1.

## Built-in kinds

`check`, `rewrite` and `audit` judge the pods of these kinds, `kubectl apply` shows warnings for them, and a changed namespace
label is previewed on them.
"""
OF_OPERATORS = """
## Operators' kinds

`check`, and `audit` of files, judge the pods of these kinds. gpuwarden rewrites their pods when they are created, and never the
objects themselves: operators set their children's templates again and again, and some copy the number of GPUs from the template
into something else than the pod. `rewrite` leaves the objects as they are. `audit` of a cluster asks
which of these kinds the cluster has, lists them, and judges their objects and the pods that exist. Cluster-scoped kinds and
Kueue's copies are not listed. What an object has made is counted with it.

Kinds of one name are told apart by their group.
"""
RESOURCES = """
### Requests outside of pod templates

These fields request GPUs, and the pods that get them are not known until they are created. `check` reports the object as not
judged, with the decision on a pod that has the same request.

| kind | API group | fields | note |
|---|---|---|---|
"""
BY_SHAPE = """
### Kinds whose objects hold pods anywhere

Pods and GPU requests in objects of these kinds are found as in [other kinds](#other-kinds).

| kind | API group | note |
|---|---|---|
"""
TAIL = """
## Other kinds

In a custom resource of any other kind, pods are found by their shape: a list `containers` whose items have a name and an image.
The report says "by its shape". Requests elsewhere in the object, resource claims, and counts that a template engine has yet to
fill in (`{{inputs.parameters.gpus}}`) are reported as not judged. So are requests in text, whatever the key: embedded manifests,
Kustomize and JSON patches, Helm values and parameters, `podSpecPatch`, `sparkConf`. ConfigMaps and Secrets (`stringData`) are
searched for manifests too. Annotations and what is encoded in base64 are not read.
"""
COLUMNS = """
| kind | API version | pod spec | replicas | suspended by | note |
|---|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    of_resources = (
        f"| `{kind.kind}` | `{kind.group}` | {', '.join(f'`{path}`' for path in kind.resources)} | {kind.note} |\n"
        for kind in OPERATORS
        if kind.resources
    )
    by_shape = (f"| `{kind.kind}` | `{kind.group}` | {kind.note} |\n" for kind in OPERATORS if kind.by_shape)
    tables = (*_table(BUILT_IN), OF_OPERATORS, *_table(OPERATORS), RESOURCES, *of_resources, BY_SHAPE, *by_shape)
    return "".join([HEAD, *tables, TAIL])


def _table(kinds: Iterable[WorkloadKind]) -> Iterator[str]:
    yield COLUMNS
    yield from (f"{line}\n" for kind in kinds for line in rows(kind))


def rows(kind: WorkloadKind) -> Iterator[str]:
    """A kind's rows, one for each template."""
    for number, template in enumerate(kind.templates):
        first = (f"`{kind.kind}`", f"`{kind.api_version}`") if number == 0 else ("", "")
        replicas = " * ".join(f"`{count}`" for count in template.replicas)
        last = (f"`{kind.suspend}`" if kind.suspend else "", kind.note) if number == 0 else ("", "")
        yield f"| {' | '.join((*first, f'`{template.path}`', replicas, *last))} |".replace("  ", " ")


if __name__ == "__main__":
    sys.exit(generated.write(PAGE, page(), "docs", sys.argv[1:]))
