"""Writes docs/reference/schemas/*.json and docs/reference/configuration.md from the models of the documents: `make docs`.

Run it as `python -m hack.schemas`; with `--check` it writes nothing and fails when a file differs.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema

from hack import generated
from hack.tools import ROOT
from webhook.adapters.configuration.model import ConfigurationFile
from webhook.adapters.reports.audit import AuditReport
from webhook.adapters.reports.check_report import Report
from webhook.adapters.reports.doctor import DoctorReport
from webhook.adapters.reports.fleet_report import FleetReport
from webhook.adapters.reports.recommend_json import schema as recommend_schema

FOLDER = ROOT / "docs/reference/schemas"
PAGE = ROOT / "docs/reference/configuration.md"
REPORTS: Mapping[str, type[BaseModel]] = {
    "check-report": Report,
    "audit-report": AuditReport,
    "doctor-report": DoctorReport,
    "fleet-report": FleetReport,
}
"""The documents that ``-o json`` prints, by the name of the schema's file."""
HEAD = """<!-- Written by `make docs` from the code; edit the model of the file and hack/schemas.py, not this page. -->
# Configuration file

`serve`, `check`, `audit`, `rewrite`, `compile`, `fleet`, `doctor` and `recommend` read it with `--config`; the chart
writes it from its value `config`. An unknown field, a wrong type or a name that can't exist is an error that names
the field and the fix. `serve` reloads the file when it changes, and keeps the last valid version. [An
example](../../examples/configuration.yaml) shows the form.

The [JSON Schema](schemas/configuration.json) has the same fields. Editors with a YAML language server read it from a
comment in the first line:

```yaml
# yaml-language-server: $schema=configuration.json
apiVersion: gpuwarden.io/v1
kind: Configuration
```

The schema accepts some files that gpuwarden rejects, because a schema can't compare fields with each other. Only gpuwarden
itself checks everything (`gpuwarden check --config FILE …`). What a release may change in
it is [as for reports](cli.md#json-output).
"""


_FIELD = re.compile(r"(?<=``)[a-z]+(?:_[a-z]+)+(?=``)|(?<=\n    )[a-z0-9_]+(?:, [a-z0-9_]+)*(?=: )")
"""In a docstring: a field between the text, or in a list of them."""


class _Schemas(GenerateJsonSchema):
    """Pydantic's schemas without its titles, which are the names of fields and classes again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def schema(model: type[BaseModel], *, written: bool) -> dict[str, Any]:
    """Return a model's JSON Schema; ``written`` is whether gpuwarden writes such documents, and does not read them."""
    made = model.model_json_schema(schema_generator=_Schemas, mode="serialization" if written else "validation")
    return _complete(made)


def _complete(made: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_as_written(made)}


def _as_written(part: Any) -> Any:
    """Return a schema whose descriptions, which are docstrings, name fields as in the document."""
    if isinstance(part, list):
        return [_as_written(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _FIELD.sub(_in_camel_case, inspect.cleandoc(value)).replace("``None``", "null").replace("``", "`")
        if key == "description" and isinstance(value, str)
        else _as_written(value)
        for key, value in part.items()
    }


def _in_camel_case(fields: re.Match[str]) -> str:
    return ", ".join(map(to_camel, fields[0].split(", ")))


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema, by the name of its file."""
    reports = {name: schema(model, written=True) for name, model in REPORTS.items()}
    reports["recommend-report"] = _complete(recommend_schema())
    return {"configuration": schema(ConfigurationFile, written=False), **reports}


def page(whole: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the page on the configuration file."""
    yield HEAD
    for path, section in _sections("", whole, whole["$defs"]):
        yield f"## `{path}`\n" if path else "## The file\n"
        if path:
            yield f"{section['description']}\n"
        yield "| field | type | default | meaning |"
        yield "|---|---|---|---|"
        for name, field in section["properties"].items():
            nested = field.get("$ref", "").rpartition("/")[2]
            default = (
                "required"
                if name in section.get("required", [])
                else ""
                if _is_object(nested, whole)
                else _default(field)
            )
            meaning = field.get("description") or whole["$defs"][nested]["description"]
            yield f"| `{name}` | {_type(field, whole['$defs'])} | {default} | {_cell(meaning)} |"
        yield ""


def _is_object(name: str, whole: Mapping[str, Any]) -> bool:
    return bool(whole["$defs"].get(name, {}).get("type") == "object")


def _default(field: Mapping[str, Any]) -> str:
    return "not set" if field.get("default") is None else f"`{json.dumps(field['default'])}`"


def _sections(
    path: str, section: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The sections of the file with their paths, in the order in which fields name them."""
    yield path, section
    for name, field in section["properties"].items():
        for found, suffix in _objects(field):
            inner = known[found]
            if inner.get("type") == "object":
                yield from _sections(f"{path}.{name}{suffix}".removeprefix("."), inner, known)


def _objects(field: Mapping[str, Any], suffix: str = "") -> Iterator[tuple[str, str]]:
    """The definitions that a field leads to, with what stands between: ``[]`` for a list, ``.NAME`` for a map."""
    if "$ref" in field:
        yield field["$ref"].rpartition("/")[2], suffix
    for option in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        yield from _objects(option, suffix)
    if isinstance(field.get("items"), dict):
        yield from _objects(field["items"], f"{suffix}[]")
    if isinstance(field.get("additionalProperties"), dict):
        yield from _objects(field["additionalProperties"], f"{suffix}.NAME")


def _type(field: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """A field's type in words: values if there are few, what a list or a map holds."""
    if "$ref" in field:
        return _type(known[field["$ref"].rpartition("/")[2]], known)
    if options := (*field.get("anyOf", ()), *field.get("oneOf", ())):
        return " or ".join(_type(option, known) for option in options if option.get("type") != "null")
    if "const" in field or "enum" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field["type"] == "array":
        return f"list of {_type(field['items'], known)}"
    inner = field.get("additionalProperties")
    return f"map of {_type(inner, known)}" if isinstance(inner, dict) else str(field["type"])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    made = schemas()
    results = [
        generated.write(FOLDER / f"{name}.json", json.dumps(one, indent=2) + "\n", "docs", sys.argv[1:])
        for name, one in made.items()
    ]
    results.append(generated.write(PAGE, "\n".join(page(made["configuration"])).rstrip() + "\n", "docs", sys.argv[1:]))
    sys.exit(max(results))
