"""Writes the chart's _workloads.tpl from the table of workload kinds: `make manifests`.

Rules, conditions and RBAC name the kinds that the program reads (webhook/application/workload_kinds.py), and no others.

Run it as `python -m hack.workload_rules`; with `--check` it writes nothing and fails when the file differs.
"""

import sys
from collections.abc import Iterable, Iterator

import yaml

from hack import generated
from hack.tools import ROOT
from webhook.application.field_paths import Path
from webhook.application.kind_lookup import ADVISED_OPERATORS
from webhook.application.operator_kinds import AUDITED
from webhook.application.workload_kinds import ADVISED, BUILT_IN, PREVIEWED, WorkloadKind

TEMPLATE = ROOT / "deploy/chart/templates/_workloads.tpl"
PAGE = """\
{{/* Written by `make manifests` from webhook/application/workload_kinds.py; edit that and hack/workload_rules.py, not this. */}}

{{/* The rules of the webhook for /advise. */}}
{{- define "gpuwarden.advisedRules" -}}
%s
{{- end -}}

{{/* The rules of the webhook for /advise, for operators' kinds. */}}
{{- define "gpuwarden.advisedOperatorRules" -}}
%s
{{- end -}}

{{/* CEL: the template of a workload of Kubernetes' own kinds; an empty map where it has none. */}}
{{- define "gpuwarden.template" -}}
%s
{{- end -}}

{{/* The kinds of Kubernetes' own that make others. */}}
{{- define "gpuwarden.makers" -}}
%s
{{- end -}}

{{/* The kinds of operators that make others. */}}
{{- define "gpuwarden.operatorMakers" -}}
%s
{{- end -}}

{{/* RBAC: what a change of a namespace's label is previewed on. */}}
{{- define "gpuwarden.previewedKinds" -}}
%s
{{- end -}}

{{/* RBAC: what an audit reads. */}}
{{- define "gpuwarden.auditedKinds" -}}
%s
{{- end -}}

{{/* RBAC: pods, and what controls them, which a recommendation reads. */}}
{{- define "gpuwarden.controllerKinds" -}}
%s
{{- end -}}
"""


def by_group(kinds: Iterable[WorkloadKind]) -> dict[str, list[WorkloadKind]]:
    """The kinds by their API groups, in their order."""
    groups: dict[str, list[WorkloadKind]] = {}
    for kind in kinds:
        groups.setdefault(kind.group, []).append(kind)
    return groups


def rules(advised: Iterable[WorkloadKind]) -> str:
    """A webhook's rules, one for each group."""
    return _dumped(
        {
            "apiGroups": [group],
            "apiVersions": list(dict.fromkeys(version for kind in kinds for version in kind.versions)),
            "operations": ["CREATE", "UPDATE"],
            "resources": [kind.plural for kind in kinds],
            "scope": "Namespaced",
        }
        for group, kinds in by_group(advised).items()
    )


def templates() -> str:
    """CEL of the template, at the first place of those where one of the kinds has its own; an empty map where it has none."""
    paths = dict.fromkeys(path for kind in ADVISED for path in kind.pods)
    lines = [f"{_present(path)} ?\nobject.{'.'.join(map(str, path))} :" for path in sorted(paths, key=len)]
    return "\n".join([*lines, "{}"])


def _present(path: Path) -> str:
    return " && ".join(f"has(object.{'.'.join(map(str, path[: number + 1]))})" for number in range(len(path)))


def makers(kinds: Iterable[WorkloadKind]) -> str:
    """The kinds that make others, as a list in YAML."""
    return f"[{', '.join(dict.fromkeys(kind.kind for kind in kinds if not kind.passive))}]"


def rights(kinds: Iterable[WorkloadKind]) -> str:
    """The rules that permit to list the kinds."""
    return _dumped(
        {"apiGroups": [group], "resources": [kind.plural for kind in found], "verbs": ["list"]}
        for group, found in by_group(kinds).items()
    )


def _dumped(values: Iterable[dict[str, object]]) -> str:
    return "\n".join(_written(values))


def _written(values: Iterable[dict[str, object]]) -> Iterator[str]:
    for value in values:
        for number, (key, one) in enumerate(value.items()):
            text = yaml.safe_dump(one, default_flow_style=True, width=1000).removesuffix("...\n").strip()
            yield f"{'  ' if number else '- '}{key}: {text}".replace("''", '""')


def text() -> str:
    """What the template should be."""
    # A ReplicaSet or Job makes nothing but pods.
    own = (kind for kind in ADVISED if not kind.intermediate)
    return PAGE % (
        rules(ADVISED),
        rules(ADVISED_OPERATORS),
        templates(),
        makers(own),
        makers(ADVISED_OPERATORS),
        rights(PREVIEWED),
        rights((*BUILT_IN, *AUDITED)),
        rights(kind for kind in (*BUILT_IN, *AUDITED) if not kind.passive),
    )


if __name__ == "__main__":
    sys.exit(generated.write(TEMPLATE, text(), "manifests", sys.argv[1:]))
