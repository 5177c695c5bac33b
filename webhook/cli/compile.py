"""``gpuwarden compile``: the configuration as admission policies of the API server itself."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from ..adapters import named_file, yaml_loader
from ..adapters.configuration import file as configuration_file
from ..adapters.file_errors import why
from ..application.configuration import Configuration
from ..application.in_tree_chart import DIGEST, for_chart
from ..application.in_tree_compiler import CompiledPolicies, compiled
from ..application.in_tree_webhooks import WEBHOOK_KINDS, beside
from . import completers
from .configuration_input import ConfigOption, load_configuration
from .messages import say, usage_error


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and repeats values instead of using aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base's signature
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def compile(  # noqa: A001 - the command's name
    config: ConfigOption = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VALUE",
            help="A built-in value that namespaces are labelled with, such as mig-1g.5gb; repeatable.",
            autocompletion=completers.policies,
        ),
    ] = None,
    webhooks: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Manifests with gpuwarden's webhook configurations (- is standard input); they are printed too, and their "
            "webhooks leave the common case out.",
        ),
    ] = None,
    chart: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Manifests that the chart rendered (- is standard input); prints the chart's value inTree.compiled for the "
            "configuration in their ConfigMap.",
        ),
    ] = None,
    deny_others: Annotated[  # noqa: FBT002 - typer's way to declare a flag
        bool,
        typer.Option(
            "--deny-others",
            help="Deny pods that request nvidia.com resources and are not the common case, for clusters without the webhooks.",
        ),
    ] = False,
) -> None:
    """Print the policies as MutatingAdmissionPolicies and ValidatingAdmissionPolicies, for Kubernetes 1.36 or later.

    The API server then decides the common case by itself: plain requests, and requests in the form of the policy. The
    policies are those of the configuration, exclusive, shared, time-slicing, mps, none, any, defaults.enforce, and each
    --policy. Those that CEL can't express are listed on standard error, with the reason; the webhooks decide their pods.

    With --webhooks it is a Helm post-renderer: helm template … | gpuwarden compile --webhooks -

    With --chart it prints a value of the chart: helm template … -s templates/configmap.yaml | gpuwarden compile --chart -

    Exit codes: 0 written; 2 wrong usage, or output that can't be written.
    """
    if chart is not None and (config is not None or webhooks is not None or deny_others):
        raise usage_error(
            "--chart: the chart's values have the configuration, webhooks and inTree.denyOthers; remove --config, --webhooks and "
            "--deny-others"
        )
    configuration, digest = (load_configuration(config), "") if chart is None else _in_chart(chart)
    for value in policy or ():
        if configuration.policies.resolve(value) is None:
            raise usage_error(f"--policy: {configuration.policies.nearest(value)}")
    if webhooks is not None and deny_others:
        raise usage_error("--deny-others: the webhooks decide these pods; remove it, or --webhooks")
    documents: Iterable[Any]
    if chart is None:
        made = compiled(configuration, policy or (), deny_others=deny_others)
        documents = [*_beside(webhooks, made), *made.objects] if webhooks is not None else made.objects
    else:
        of_chart, made = for_chart(configuration, tuple(policy or ()), digest)
        documents = [{"inTree": {"compiled": of_chart}}]
    fate = "not compiled, so nothing checks its pods" if deny_others else "left to the webhooks"
    for left in made.left:
        say(f'policy "{left.policy}": {fate}; {left.why}')
    yaml.dump_all(documents, sys.stdout, _Dumper, sort_keys=False, width=1000, explicit_start=True, allow_unicode=True)


def _beside(path: str, made: CompiledPolicies) -> Iterator[Any]:
    """Yield the documents of a file, with webhook configurations that exclude the common case."""
    documents = _documents("--webhooks", path)
    kinds = [_field(document, "kind") for document in documents]
    if not any(kind in WEBHOOK_KINDS for kind in kinds):
        raise usage_error(f"--webhooks {path}: has no webhook configuration; name the manifests that install gpuwarden")
    for kind, document in zip(kinds, documents, strict=True):
        yield beside(document, made) if kind in WEBHOOK_KINDS else document


def _in_chart(path: str) -> tuple[Configuration, str]:
    """The configuration in the ConfigMap that the chart rendered, and the chart's digest of it."""
    for document in _documents("--chart", path):
        digest = _field(document, "metadata", "annotations", DIGEST)
        text = _field(document, "data", "config.yaml")
        if isinstance(digest, str) and isinstance(text, str):
            try:
                return configuration_file.parse(text), digest
            except configuration_file.ConfigurationError as error:
                raise usage_error(*(f"--chart {path}: {problem}" for problem in error.problems)) from error
    raise usage_error(
        f"--chart {path}: has no ConfigMap of gpuwarden's chart with the annotation {DIGEST}; use the output of helm template"
    )


def _field(document: Any, *keys: str) -> Any:
    """A field of a document that may have any shape; ``None`` if it is absent."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _documents(option: str, path: str) -> list[Any]:
    """The documents of a file of an option, or of standard input."""
    try:
        text = sys.stdin.read() if path == "-" else named_file.text(Path(path))
        return [*filter(None, yaml_loader.load_all(text))]
    except (OSError, UnicodeDecodeError) as error:
        raise usage_error(f"{option} {path}: {why(path, error)}") from error
    except ValueError as error:
        raise usage_error(f"{option} {path}: {error}") from error
