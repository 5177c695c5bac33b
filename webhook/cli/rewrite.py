"""``gpuwarden rewrite``: rewrites manifests, and keeps their comments, order and quoting."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated

import msgspec
import typer

from ..adapters.file_errors import why
from ..adapters.manifests.editing import edit_text
from ..adapters.manifests.items import EditError
from ..adapters.manifests.writing import write_in_place
from ..application.kind_lookup import KINDS, Kinds, group_of
from ..application.workload_kinds import BUILT_IN, WorkloadKind
from ..engine.decision import Outcome
from ..engine.text import plural
from .configuration_input import ConfigOption, load_configuration
from .exit_codes import EXIT_DENIED, EXIT_USAGE
from .manifest_input import (
    EvaluatedInput,
    EvaluatedObject,
    EvaluatedSource,
    ExcludeOption,
    NamespaceOption,
    NamespacesOption,
    Paths,
    PolicyOption,
    evaluate_paths,
    say_skipped,
    without_collector,
)
from .messages import say, usage_error


@without_collector()
def rewrite(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    paths: Paths,
    policy: PolicyOption = None,
    namespace: NamespaceOption = None,
    namespaces: NamespacesOption = None,
    config: ConfigOption = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND.GROUP,…",
            help="Operators' kinds whose templates are rewritten too, such as JobSet.jobset.x-k8s.io.",
        ),
    ] = None,
    in_place: Annotated[  # noqa: FBT002 - typer's way to declare a flag
        bool, typer.Option("--in-place", "-i", help="Edit the files instead of printing them.")
    ] = False,
    exclude: ExcludeOption = None,
) -> None:
    """Print the manifests in their new form, or edit them in place with -i.

    Kubernetes' own kinds are rewritten. Operators' kinds are not, because their pods are rewritten on admission; --kinds names
    kinds whose templates are rewritten anyway, and a note on each is printed.

    From - to standard output it is a Helm post-renderer (Helm 4: by the plugin in deploy/helm-plugin). If anything is denied
    or can't be read, nothing is written.

    Exit codes: 0 written; 1 something is denied; 2 wrong usage, unreadable input, or output that can't be written.
    """
    named = _named(kinds or (), load_configuration(config).kinds)
    evaluated = evaluate_paths(paths, policy, namespace, namespaces, config, exclude=exclude or ())
    say_skipped(evaluated.skipped)
    for source in evaluated.evaluated_sources:
        source.objects = [_with_templates(found, named) for found in source.objects]
    _stop_on_trouble(evaluated)
    # Not an error, because a chart may render nothing.
    for problem in evaluated.nothing_found():
        say(str(problem))
    try:
        texts = [(source, _rewritten(source)) for source in evaluated.evaluated_sources]
    except EditError as error:
        raise usage_error(f"{error}; nothing was written") from error
    if in_place:
        _write(texts)
    else:
        sys.stdout.buffer.write(_stream([text for _, text in texts]).encode())


def _named(options: Sequence[str], configured: Kinds) -> dict[tuple[str, str], WorkloadKind]:
    """The rows that ``--kinds`` names, by group and kind.

    Raises:
        typer.Exit: 2, after printing which name is not a known kind.
    """
    rows = {f"{kind}.{group}": row for (group, kind), row in {**KINDS, **configured}.items() if not row.is_built_in}
    found: dict[tuple[str, str], WorkloadKind] = {}
    for name in ",".join(options).split(",") if options else ():
        row = rows.get(name)
        if row is None:
            close = [full for full in rows if full.partition(".")[0] == name] or get_close_matches(name, rows, n=1)
            if any(name in (one.kind, f"{one.kind}.{one.group}") for one in BUILT_IN):
                raise usage_error(
                    f'--kinds: "{name}" is one of Kubernetes\' own kinds, which are rewritten anyway; remove it'
                )
            fix = (
                f"did you mean {' or '.join(close)}?" if close else "write a kind from docs/reference/workload-kinds.md"
            )
            raise usage_error(f'--kinds: "{name}" is not an operator\'s kind that gpuwarden knows; {fix}')
        found[row.group, row.kind] = row
    return found


def _with_templates(found: EvaluatedObject, named: Mapping[tuple[str, str], WorkloadKind]) -> EvaluatedObject:
    """An object with the patch of its templates, if its kind is named; prints what is special about the kind."""
    evaluation = found.evaluation
    row = named.get((group_of(evaluation.api_version), evaluation.kind))
    if row is None or not (operations := evaluation.of_templates):
        return found
    say(
        f"{found.item.source}:{found.item.line}: {evaluation.kind}/{evaluation.name}: its templates are rewritten"
        f"{f'; {row.note}' if row.note else ''}"
    )
    return replace(found, evaluation=msgspec.structs.replace(evaluation, operations=operations))


def _stop_on_trouble(evaluated: EvaluatedInput) -> None:
    """Print what is denied or can't be read, and exit before anything is written."""
    for problem in evaluated.problems:
        say(str(problem))
    denied = 0
    for found in (*evaluated.mislabelled, *evaluated.objects):
        denials = [finding for finding in found.evaluation.findings if finding.denies]
        denied += bool(denials)
        for label in found.evaluation.label_problems:
            _say_at(found, label.path, f"{label.path}: {label.message}")
        if found.evaluation.not_evaluated:
            _say_at(found, found.evaluation.not_evaluated_path, f"not evaluated: {found.evaluation.not_evaluated}")
        if found.evaluation.outcome is Outcome.REWRITTEN and not found.evaluation.operations:
            _say_at(
                found,
                "",
                f"unchanged: {found.evaluation.kind} is an operator's kind, and its pods are rewritten on admission; "
                f"--kinds {found.evaluation.kind}.{group_of(found.evaluation.api_version)} rewrites its templates here",
            )
        for finding in denials:
            what = f"{found.evaluation.kind}/{found.evaluation.name}"
            _say_at(found, finding.path, f"{what} is denied: {finding.message}")
    if any(problem.fatal for problem in evaluated.problems):
        say("nothing was written: some of the input can't be read")
        raise typer.Exit(EXIT_USAGE)
    if denied:
        say(f"nothing was written: {plural(denied, 'object is', 'objects are')} denied")
        raise typer.Exit(EXIT_DENIED)


def _say_at(found: EvaluatedObject, path: str, message: str) -> None:
    """Print a message about a field of an object, or (if the path is empty) about the object."""
    line = found.lines.of_field(path).line if found.lines else found.item.line
    say(f"{found.item.source}:{line}: {message}")


def _rewritten(source: EvaluatedSource) -> str:
    edits = source.edits()
    return edit_text(source.source.text, edits) if edits else source.source.text


def _write(texts: list[tuple[EvaluatedSource, str]]) -> None:
    streams = [source.source.name for source, _ in texts if source.source.path is None]
    if streams:
        raise usage_error(f"{streams[0]} can't be edited in place; leave out -i to print it; nothing was written")
    for source, text in texts:
        path = source.source.path
        if path is None or text == source.source.text:
            continue
        try:
            write_in_place(path, text)
        except OSError as error:
            raise usage_error(f"{path}: can't be written: {why(path, error)}") from error
        say(f"rewritten: {path}")


def _stream(texts: list[str]) -> str:
    """Join several sources into one YAML stream; return a single source unchanged."""
    if len(texts) == 1:
        return texts[0]
    stream = ""
    for text in texts:
        if stream and not stream.endswith("\n"):
            stream += "\n"
        stream += "---\n" if stream and not text.lstrip("\ufeff").startswith("---") else ""
        stream += text.removeprefix("\ufeff")
    return stream
