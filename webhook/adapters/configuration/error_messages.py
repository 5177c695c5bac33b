"""Messages for what pydantic finds in the configuration file: each names the field, the value and the fix."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ..shown import shown
from .model import CLAIM_FORM, NAMED_FORM, ConfigurationFile

_MISSING = {
    "apiVersion": "apiVersion: gpuwarden.io/v1",
    "kind": "kind: Configuration",
    "claimTemplate": "the name of a ResourceClaimTemplate",
    "deviceClass": "the name of a DeviceClass, such as gpu.nvidia.com",
    "forms": "the forms that the policy permits, such as forms: [shared]",
}


def problem(detail: ErrorDetails) -> str:
    """Return what is wrong with one field as ``<path>: <fact>; <fix>``.

    Error types without a sentence here get a general one, because pydantic's messages are written for programmers.
    """
    location = tuple(step for step in detail["loc"] if step not in (NAMED_FORM, CLAIM_FORM))
    if location and location[-1] == "[key]":
        location = (*location[:-2], location[-2])
    if detail["type"] == "extra_forbidden":
        return f"{path_of(location)}: unknown field; {_nearest_key(location)}"
    if detail["type"] == "invalid_key":
        location = location[:-1]
    sentence = _SENTENCES.get(detail["type"], _unknown)
    return f"{path_of(location) or 'the file'}: {sentence(detail, location)}"


def path_of(location: Sequence[str | int]) -> str:
    """Format a location as in the documentation: ``policies.team.forms[0]``."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.lstrip(".")


_Location = tuple[str | int, ...]


def _text(detail: ErrorDetails, _location: _Location) -> str:
    if detail["input"] is None or isinstance(detail["input"], dict | list):
        return f"{_shown(detail)} is not text; write text{_or_nothing(detail)}"
    return f'{_shown(detail)} is not text; put it in quotes: "{_shown(detail)}"'


def _boolean(detail: ErrorDetails, _location: _Location) -> str:
    return f"{_shown(detail)} is neither true nor false; write true or false, without quotes{_or_nothing(detail)}"


def _integer(detail: ErrorDetails, _location: _Location) -> str:
    return f"{_shown(detail)} is not a whole number; write one without quotes, such as 4{_or_nothing(detail)}"


def _list(detail: ErrorDetails, _location: _Location) -> str:
    if detail["input"] is None or isinstance(detail["input"], dict):
        return f"{_shown(detail)} is not a list; write one, such as [a, b]{_or_nothing(detail)}"
    return f"{_shown(detail)} is not a list; write [{_shown(detail)}]"


def _mapping(detail: ErrorDetails, location: _Location) -> str:
    section = _at(location)
    fields = f"its fields: {', '.join(_fields(section))}" if _is_section(section) else "names with values"
    return f"{_shown(detail)} is not a mapping; write {fields}{_or_nothing(detail)}"


def _choice(detail: ErrorDetails, _location: _Location) -> str:
    expected = str(detail.get("ctx", {}).get("expected", "another")).replace("'", '"')
    return f"{_shown(detail)} is not valid; write {expected}{_or_nothing(detail)}"


def _at_least(detail: ErrorDetails, _location: _Location) -> str:
    context = detail.get("ctx", {})
    least = context.get("ge", context.get("gt", 0) + 1)
    return f"{_shown(detail)} is less than {least}; write {least} or more"


def _missing(_detail: ErrorDetails, location: _Location) -> str:
    field = str(location[-1]) if location else ""
    return f"is missing; write {_MISSING.get(field, field)}"


def _empty(detail: ErrorDetails, location: _Location) -> str:
    if isinstance(detail["input"], list):
        return f"the list is empty; name at least one, such as {'[v1]' if location[-1] == 'versions' else '[shared]'}"
    return f"{_shown(detail)} is empty; write a name, or remove it"


def _too_long(detail: ErrorDetails, _location: _Location) -> str:
    most = detail.get("ctx", {}).get("max_length")
    return f"{_shown(detail)} has {len(detail['input'])} characters; use at most {most}"


def _key(detail: ErrorDetails, location: _Location) -> str:
    return f"the key {_text(detail, location)}"


def _of_ours(detail: ErrorDetails, _location: _Location) -> str:
    return detail["msg"].removeprefix("Value error, ")


def _unknown(detail: ErrorDetails, _location: _Location) -> str:
    return f"{_shown(detail)} is not valid here; write a value as in docs/reference/policies.md, or remove it"


_SENTENCES: dict[str, Callable[[ErrorDetails, _Location], str]] = {
    "string_type": _text,
    "bool_type": _boolean,
    "int_type": _integer,
    "int_from_float": _integer,
    "list_type": _list,
    "dict_type": _mapping,
    "model_type": _mapping,
    "literal_error": _choice,
    "enum": _choice,
    "greater_than": _at_least,
    "greater_than_equal": _at_least,
    "missing": _missing,
    "too_short": _empty,
    "string_too_short": _empty,
    "string_too_long": _too_long,
    "invalid_key": _key,
    "value_error": _of_ours,
}


def _shown(detail: ErrorDetails) -> str:
    return shown(detail["input"])


def _or_nothing(detail: ErrorDetails) -> str:
    """A second fix for an empty field, which is null in YAML: perhaps it was meant to be absent."""
    return ", or remove the field" if detail["input"] is None else ""


def _nearest_key(location: _Location) -> str:
    fields = _fields(_at(location[:-1]))
    written = str(location[-1])
    close = [name for name in fields if name.lower() == written.lower()] or get_close_matches(written, fields, n=1)
    return f'did you mean "{close[0]}"?' if close else f"remove it, or write one of {', '.join(fields)}"


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _fields(section: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in section.model_fields.items()]


def _at(location: Sequence[str | int]) -> Any:
    """Return the part of the model at a location: a section, or the annotation of a field."""
    found: Any = ConfigurationFile
    for step in location:
        if _is_section(found):
            found = next(
                field.annotation for name, field in found.model_fields.items() if (field.alias or name) == step
            )
        else:
            found = _section_in(get_args(found)[-1])
    return found


def _section_in(annotation: Any) -> Any:
    """Return the section in a union, such as that of a form by name and a claim; any other annotation unchanged."""
    sections = (_section_in(part) for part in get_args(annotation))
    return next(filter(_is_section, sections), annotation)
