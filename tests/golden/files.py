"""Golden files: a case, its answer and the pod that results, as YAML that a person can check."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from testing.reviews import TEAM, UID, Answered, Json, KnownNamespaces, Notes, encode, finish, read_answer
from tests.golden.cases import MUTATE, Case, Table
from tests.golden.tables import (
    forms,
    modes,
    policies,
    rules_of_nodes,
    rules_of_policies,
    rules_of_reaching,
    rules_of_requests,
    statements,
    untouched,
)
from webhook.adapters.configuration import file as configuration_file
from webhook.application.admission import Admission
from webhook.application.configuration import Configuration
from webhook.engine.claim_objects import ClaimSpec, claim
from webhook.engine.claims import TEMPLATE, Reference, Resolved
from webhook.engine.namespace_labels import NamespaceLabels

FOLDER = Path(__file__).parent
_AREAS = {
    "forms": [forms],
    "modes": [modes],
    "policies": [policies],
    "rules": [rules_of_requests, rules_of_policies, rules_of_nodes, rules_of_reaching],
    "statements": [statements],
    "untouched": [untouched],
}
_HEAD = (
    "# Made by `UPDATE_GOLDEN=1 pytest tests/test_golden.py` from the tables in tests/golden/tables. "
    "Read the answer before you keep it.\n"
)


def every_case() -> list[Case]:
    """All cases of all tables."""
    found = []
    for area, modules in _AREAS.items():
        table = Table(area)
        for module in modules:
            module.fill(table)
        found += table.cases
    return found


def path_of(case: Case) -> Path:
    """The file of a case."""
    return FOLDER / f"{case.name}.yaml"


def admission_of(case: Case) -> Admission:
    """Admission as the case's configuration and namespace have it."""
    configuration = Configuration()
    if case.configuration is not None:
        head = {"apiVersion": "gpuwarden.io/v1", "kind": "Configuration"}
        configuration = configuration_file.parse(yaml.safe_dump(head | case.configuration))
    namespaces = KnownNamespaces({TEAM: NamespaceLabels.of(case.labels)})
    return Admission(configuration, namespaces, Notes(), Templates(case.template))


class Templates:
    """The ResourceClaimTemplates of a case."""

    def __init__(self, requests: list[Json] | None) -> None:
        spec = msgspec.convert({"devices": {"requests": requests}}, ClaimSpec) if requests is not None else None
        self._known = {Reference(TEMPLATE, "one"): claim(spec)}

    async def fetch(self, _namespace: str, references: Sequence[Reference]) -> Resolved:
        return {one: self._known.get(one) for one in references}


def ask(case: Case, path: str, review: Json) -> Answered:
    """An answer under a case's policy, checked as every answer is."""
    admission = admission_of(case)
    asked = (admission.mutate if path == MUTATE else admission.validate)(encode(review))
    return read_answer(finish(asked), UID)


def written(case: Case, answered: Answered) -> str:
    """The file's content."""
    response = dict(answered.response)
    if answered.patch is not None:
        response["patch"] = answered.patch
    given: Json = {"labels": dict(case.labels)}
    if case.configuration is not None:
        given["configuration"] = case.configuration
    if case.template is not None:
        given["template"] = case.template
    document: Json = {
        "about": case.about,
        "given": given,
        "request": {"path": case.path, "review": case.review},
        "response": response,
    }
    if answered.patch is not None:
        document["result"] = changes(case.pod, answered.applied_to(case.pod))
    return _HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def changes(before: Any, after: Any, path: str = "") -> Json:
    """The fields that changed, each with its whole new value; ``null`` where it is gone."""
    if before == after:
        return {}
    if _is_tree(before) and _is_tree(after):
        found: Json = {}
        for key in dict.fromkeys([*before, *after]):
            inner = f"{path}.{key}" if path else key
            found |= changes(before.get(key), after.get(key), inner)
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        found = {}
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            found |= changes(one, other, f"{path}[{index}]")
        return found
    return {path: after}


def _is_tree(value: Any) -> bool:
    """A mapping that is more than a map of strings, which is shown whole."""
    return isinstance(value, dict) and not all(isinstance(inner, str) for inner in value.values())


class _Dumper(yaml.SafeDumper):
    """Equal values are written out each time; people read these files."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
