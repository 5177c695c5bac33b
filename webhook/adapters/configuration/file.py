"""Reads the configuration file, and reports all problems at once, each with its path and a fix."""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from ...application.configuration import Configuration, Exemptions
from ...application.operator_kinds import OPERATORS
from ...application.workload_kinds import table
from ...engine.forms import Form
from ...engine.forms import parse as parse_form
from ...engine.namespace_labels import NamespaceLabels
from ...engine.other_gpus import GpuNames
from ...engine.policy import ANY_POLICY, PolicyBook, Prefer, built_in
from ...engine.products import PRODUCT, read_product
from ...engine.rules.gpu_memory import lowest_of
from ...engine.spelling import Spelling, ambiguous, spell
from .. import yaml_loader
from ..shown import shown
from .error_messages import problem
from .model import ConfigurationFile


class ConfigurationError(Exception):
    """The file can't be used. Each of ``problems`` is a sentence that begins with the path of a field."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def parse(text: str) -> Configuration:
    """Read a configuration.

    Raises:
        ConfigurationError: with all problems. An empty file is an error, because a half-written file must not mean "no policies".
    """
    raw, problems = _load(text)
    problems += [*_unknown_defaults(raw), *_repetitions(raw)]
    try:
        file = ConfigurationFile.model_validate(raw)
    except ValidationError as error:
        raise ConfigurationError([*map(problem, error.errors()), *problems]) from error
    problems += [
        *_ambiguous_forms(file),
        *_contradicted_forms(file),
        *_unmeasured_forms(file),
    ]
    problems += _kinds_twice(file)
    if problems:
        raise ConfigurationError(problems)
    return _configuration(file)


def _configuration(file: ConfigurationFile) -> Configuration:
    policies = {name: section.policy(name) for name, section in file.policies.items()}
    defaults = NamespaceLabels(file.defaults.enforce, file.defaults.warn, file.defaults.audit)
    exemptions = file.exemptions
    return Configuration(
        PolicyBook(policies, defaults, file.visible_devices, file.plugin, file.not_offered),
        file.mode,
        file.plugin,
        Exemptions(
            frozenset(exemptions.namespaces),
            frozenset(exemptions.usernames),
            frozenset(exemptions.runtime_classes),
            frozenset(exemptions.schedulers),
        ),
        GpuNames(tuple(file.resources.gpus), tuple(file.resources.not_gpus)),
        file.claims.device_classes,
        tuple(form for name in file.fleet.expected if (form := parse_form(name))),
        table(section.row for section in file.workload_kinds),
    )


def _load(text: str) -> tuple[dict[str, Any], list[str]]:
    """The document as plain data, and the keys that are defined twice, which the data no longer shows."""
    try:
        raw = yaml_loader.load(text)
    except ValueError as error:
        raise ConfigurationError([str(error)]) from error
    if not isinstance(raw, dict):
        what = "is empty" if raw is None else f"holds {shown(raw)}, not a mapping"
        raise ConfigurationError(
            [f"the file {what}; write apiVersion: gpuwarden.io/v1 and kind: Configuration at least"]
        )
    if wrong := _another_file(raw):
        raise ConfigurationError([wrong])
    return raw, list(_defined_twice(yaml.compose(text, yaml.CSafeLoader), ""))


def _another_file(raw: dict[str, Any]) -> str:
    """Return one sentence for a file of another kind, instead of one for each of its fields; otherwise empty."""
    version, kind = raw.get("apiVersion"), raw.get("kind")
    write = "apiVersion: gpuwarden.io/v1 and kind: Configuration"
    if isinstance(kind, str) and isinstance(version, str) and not version.startswith("gpuwarden.io/"):
        return f"kind: {kind} of {version} is not a configuration of gpuwarden; name a file with {write}"
    if kind is version is None and isinstance(raw.get("config"), dict):
        return f"config: this is a section of the chart's values; copy the fields below it to a file with {write}"
    return ""


def _defined_twice(node: yaml.Node | None, path: str) -> Iterator[str]:
    """Report keys that are defined twice, because in YAML the last one silently wins."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _defined_twice(item, f"{path}[{index}]")
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        inner = f"{path}.{name}" if path else name
        if name in lines:
            yield f"{inner}: is defined twice, in lines {lines[name]} and {line}; remove one"
        lines[name] = line
        yield from _defined_twice(value, inner)


def _unknown_defaults(raw: dict[str, Any]) -> list[str]:
    """Defaults that name no policy; checked in the raw file, so that other problems don't hide them."""
    book = PolicyBook({str(name): ANY_POLICY for name, _ in _items(raw.get("policies"))})
    return [
        f"defaults.{mode}: {book.nearest(value)}"
        for mode, value in _items(raw.get("defaults"))
        if mode in ("enforce", "warn", "audit") and isinstance(value, str) and book.resolve(value) is None
    ]


def _ambiguous_forms(file: ConfigurationFile) -> Iterator[str]:
    """Forms that can't be distinguished from others under the device plugin's settings, in policies and as defaults."""
    named = {f"defaults.{mode}": value for mode, value in file.defaults if value not in file.policies}
    for name, section in file.policies.items():
        named |= {
            f"policies.{name}.forms[{index}]": value
            for index, value in enumerate(section.forms)
            if isinstance(value, str)
        }
    for path, value in named.items():
        policy = built_in(value)
        for form in policy.forms if policy else ():
            if why := ambiguous(form, file.plugin):
                yield f"{path}: {why}"


def _contradicted_forms(file: ConfigurationFile) -> Iterator[str]:
    """Labels in a policy's nodeSelector that no node with one of its forms has.

    Pods would never run with such a product, and other labels would never be added for the form.
    """
    for name, section in file.policies.items():
        for key, value in section.node_selector.items():
            found = (_contradiction(key, value, form, spell(form, file.plugin)) for form in section.parsed)
            if sentence := next(filter(None, found), ""):
                yield f"policies.{name}.nodeSelector[{key}]: {sentence}"


def _contradiction(key: str, value: str, form: Form, spelling: Spelling) -> str:
    if key == PRODUCT:
        names = spelling.products
        # A pod may select slices of a model that is not listed; a policy's product must match its forms.
        why = value and (names.why_not(value) or names.why_not(read_product(value).model))
        return f'"{value}" is not a product of nodes with form "{form}": {why}, or remove it' if why else ""
    against = (each for each in spelling.needs + spelling.implies if each.key == key and not each.admits(value))
    if needed := next(against, None):
        return f'"{value}" is not on nodes with form "{form}" ({needed}); remove it, or list only forms that have it'
    return ""


def _unmeasured_forms(file: ConfigurationFile) -> Iterator[str]:
    """Forms that ``prefer: memory`` can't select: nobody measured their memory on the policy's GPU models."""
    for name, section in file.policies.items():
        policy = section.policy(name)
        for form in policy.forms if policy.prefer is Prefer.MEMORY else ():
            if lowest_of(form, policy, file.plugin) is None:
                yield (
                    f'policies.{name}.prefer: memory can\'t select "{form}", because its memory is not measured on all of the '
                    "policy's GPU models (docs/reference/forms.md); remove the form, or select a measured model in nodeSelector"
                )


def _kinds_twice(file: ConfigurationFile) -> Iterator[str]:
    """Workload kinds or plurals that several rows have, or a plural of another kind that gpuwarden knows."""
    first: dict[tuple[str, str], tuple[int, str]] = {}
    for index, row in enumerate(file.workload_kinds):
        for field, name in (("kind", row.kind), ("plural", row.plural)):
            before, kind = first.setdefault((row.group, name), (index, row.kind))
            ours = next((one for one in OPERATORS if (one.group, one.plural) == (row.group, name)), None)
            if before != index:
                if row.kind == kind and field == "plural":
                    continue
                yield (
                    f'workloadKinds[{index}].{field}: "{name}" of {row.group} is also that of workloadKinds[{before}] ({kind}); '
                    "remove one of the rows, or correct its name"
                )
            elif ours and ours.kind != row.kind:
                yield (
                    f'workloadKinds[{index}].{field}: "{name}" of {row.group} is the plural of {ours.kind}, which gpuwarden '
                    "knows; write the plural of this kind, or the kind of this plural"
                )


def _repetitions(raw: dict[str, Any]) -> Iterator[str]:
    """Names that are listed more than once."""
    lists = {f"policies.{name}.forms": _under(policy, "forms") for name, policy in _items(raw.get("policies"))}
    lists["fleet.expected"] = _under(raw.get("fleet"), "expected")
    lists["devicePlugin.products"] = _under(raw.get("devicePlugin"), "products")
    for section in ("exemptions", "resources"):
        lists |= {f"{section}.{name}": names for name, names in _items(raw.get(section))}
    for path, names in lists.items():
        texts = [str(name) for name in names] if isinstance(names, list) else []
        for text in dict.fromkeys(text for text in texts if texts.count(text) > 1):
            yield f'{path}: "{text}" is listed more than once; remove the repetition'


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _under(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
