"""The input of ``check`` and ``rewrite``: from paths and options to evaluated objects, by source."""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from ..adapters import named_file, namespace_file
from ..adapters.file_errors import why
from ..adapters.manifests.items import ManifestObject, ManifestProblem, PluginDocument
from ..adapters.manifests.lines import Lines, ObjectLines
from ..adapters.manifests.reading import read_text
from ..adapters.manifests.sources import Source, open_sources
from ..adapters.namespace_file import NamespaceFileError
from ..application.checking import Checker
from ..application.claims import known_claims, resource_names
from ..application.configuration import Configuration
from ..application.evaluation import Evaluation
from ..application.ignoring import ANNOTATION, IgnoreError, annotated, without
from ..application.manifest_labels import is_namespace
from ..application.object_names import VALID_NAMESPACE
from ..application.pod_counts import autoscalers
from ..application.text_fields import wrong_types
from ..application.type_mismatches import TypeMismatch
from ..engine.fleet.fleet import Fleet
from ..engine.namespace_labels import NamespaceLabels
from ..engine.policy import Policy
from ..engine.spelling import DevicePlugin
from ..engine.text import first_of
from . import completers
from .configuration_input import load_configuration
from .messages import say, usage_error
from .plugin_input import PluginInput

Paths = Annotated[
    list[str], typer.Argument(metavar="PATH", help="Files, folders (searched recursively), or - for standard input.")
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Files and folders to leave out of searched folders, by name or path. Can be given more than once.",
    ),
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy",
        help="One policy for every object: a built-in value or a configured name.",
        autocompletion=completers.policies,
    ),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAMESPACE",
        help="Namespace of workloads that name none, as in kubectl.",
        autocompletion=completers.namespaces,
    ),
]
NamespacesOption = Annotated[
    Path | None,
    typer.Option(
        "--namespaces",
        envvar="GPUWARDEN_NAMESPACES",
        help="Namespaces and their labels, as printed by kubectl get namespaces -o yaml.",
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Exit 1 also for objects that would be rewritten or are not evaluated, and for labels without effect.",
    ),
]


@dataclass(frozen=True, slots=True)
class EvaluatedObject:
    """One object and its evaluation; ``lines`` has the places of its fields, unless it is from ``--namespaces``."""

    item: ManifestObject
    evaluation: Evaluation
    lines: ObjectLines | None = None


@dataclass(slots=True)
class EvaluatedSource:
    """One source with its objects, in order."""

    source: Source
    objects: list[EvaluatedObject] = field(default_factory=list)

    def edits(self) -> dict[tuple[int, str], Sequence[dict[str, Any]]]:
        """The operations of every object that is rewritten, by its place in the source."""
        return {
            (evaluated.item.document, evaluated.item.pointer): evaluated.evaluation.operations
            for evaluated in self.objects
            if evaluated.evaluation.operations
        }


@dataclass(slots=True)
class GivenInput:
    """Everything that the paths named, unevaluated: each source with its objects, and what could not be read.

    Attributes:
        plugin: the configurations of the NVIDIA device plugin, which are evaluated already; what is wrong with them is among the
            problems.
        skipped: the files in searched folders that contain no Kubernetes object.
    """

    sources: list[tuple[Source, list[ManifestObject]]] = field(default_factory=list)
    problems: list[ManifestProblem] = field(default_factory=list)
    plugin: PluginInput = field(default_factory=PluginInput)
    skipped: list[str] = field(default_factory=list)

    @property
    def manifests(self) -> Iterator[dict[str, Any]]:
        """Every object."""
        return (item.object for _, items in self.sources for item in items)

    def namespaces(self) -> dict[str, NamespaceLabels]:
        """The labels of the Namespace objects among the input."""
        return dict(_namespaces_among(self.manifests))

    def nothing_found(self) -> list[ManifestProblem]:
        """Return a problem for each source if no source holds an object and everything could be read; otherwise none.

        Otherwise a mistyped pipe or an empty template would count as a success.
        """
        if self.plugin.files or any(items for _, items in self.sources) or any(one.fatal for one in self.problems):
            return []
        return [
            ManifestProblem(
                source.name,
                None,
                "no Kubernetes object was found, so nothing was evaluated; "
                f"{_FIXES.get(source.name, 'name files with manifests')}",
            )
            for source, _ in self.sources
        ]


@dataclass(slots=True)
class EvaluatedInput(GivenInput):
    """All input of a command, evaluated.

    Attributes:
        evaluated_sources: the sources again, with what becomes of their objects.
        mislabelled: the namespaces of ``--namespaces`` with a label that can't be read or has no effect.
        expected: how the device plugin is expected to be set.
    """

    evaluated_sources: list[EvaluatedSource] = field(default_factory=list)
    mislabelled: list[EvaluatedObject] = field(default_factory=list)
    expected: DevicePlugin = field(default_factory=DevicePlugin)

    @property
    def objects(self) -> Iterator[EvaluatedObject]:
        """The objects of all sources, in order."""
        return (one for source in self.evaluated_sources for one in source.objects)


@dataclass(frozen=True, slots=True)
class KnownNamespaces:
    """The namespaces of ``--namespaces``: their labels, and the objects."""

    labels: dict[str, NamespaceLabels] = field(default_factory=dict)
    objects: list[ManifestObject] = field(default_factory=list)


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep the garbage collector from repeatedly scanning the trees of thousands of documents.

    They hold no cycles, so it finds nothing, and takes a third of the time (benchmarks/README.md).
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def evaluate_paths(  # noqa: PLR0913, PLR0917 - each is an option of the commands
    paths: Sequence[str],
    policy: str | None,
    namespace: str | None,
    namespaces: Path | None,
    config: Path | None,
    fleet_of: Callable[[Configuration], Fleet | None] = lambda _: None,
    *,
    exclude: Sequence[str] = (),
    ignore: Mapping[str, str] | None = None,
) -> EvaluatedInput:
    """Read all input, then evaluate it, because a Namespace may come after the objects in it.

    ``fleet_of`` returns the nodes, if they are known; ``ignore`` has the rules whose findings are ignored, with the reason, or
    is ``None`` if annotations don't count either.

    Raises:
        typer.Exit: 2, after printing why, where an option's value can't be used.
    """
    if namespace is not None:
        check_name(namespace)
    configuration = load_configuration(config)
    chosen = _policy(policy, configuration)
    known = load_namespaces(namespaces)
    fleet = fleet_of(configuration)
    # Without a configuration file, it is not known how the device plugin should be set.
    given = read_paths(paths, configuration.plugin if config else None, exclude)
    labels = known.labels | given.namespaces()
    claims = known_claims(given.manifests, namespace or "default")
    configuration = configuration.with_classes(resource_names(given.manifests))
    checker = Checker(
        configuration,
        labels,
        namespace=namespace,
        policy=chosen,
        claims=claims,
        fleet=fleet,
        autoscalers=autoscalers(given.manifests, namespace or "default"),
    )
    named = (EvaluatedObject(item, checker.identify(item.object)) for item in known.objects)
    evaluated = EvaluatedInput(
        given.sources,
        given.problems,
        given.plugin,
        given.skipped,
        mislabelled=[one for one in named if one.evaluation.label_problems],
        expected=configuration.plugin,
    )
    for source, items in given.sources:
        into, lines = EvaluatedSource(source), Lines(source.text)
        evaluated.evaluated_sources.append(into)
        for item in items:
            mismatches = wrong_types(item.object, configuration.kinds)
            evaluation = checker.unreadable(item.object, mismatches) if mismatches else checker.evaluate(item.object)
            if ignore is not None:
                evaluation, problems = _ignoring(evaluation, item, ignore, lines)
                evaluated.problems += problems
            into.objects.append(EvaluatedObject(item, evaluation, lines.of(item)))
            evaluated.problems += mismatch_problems(item, lines, mismatches)
    found = [one.evaluation for one in evaluated.objects]
    if not (policy or config or labels) and any(one.requests and not one.exempt for one in found):
        say(
            'note: no policy is given, so everything is evaluated under "any", which permits every GPU; '
            "use --policy, or --namespaces with a file of labelled namespaces"
        )
    return evaluated


def check_name(namespace: str) -> None:
    """Reject a value of ``--namespace`` that no namespace has as its name.

    Raises:
        typer.Exit: 2, after printing the reason.
    """
    if not VALID_NAMESPACE.fullmatch(namespace):
        raise usage_error(
            f'--namespace: "{namespace}" is not the name of a namespace; use at most 63 lowercase letters, digits and "-", '
            "beginning and ending with a letter or digit"
        )


def _ignoring(
    evaluation: Evaluation, item: ManifestObject, ignore: Mapping[str, str], lines: Lines
) -> tuple[Evaluation, list[ManifestProblem]]:
    """An evaluation without the findings that ``--ignore`` or the annotation names, and the problem with the annotation."""
    try:
        return without(evaluation, {**ignore, **annotated(item.object)}), []
    except IgnoreError as error:
        path = f"metadata.annotations[{ANNOTATION}]"
        line, column = lines.of(item).of_field(path)
        message = f"{path}: {error}; nothing is ignored"
        problem = ManifestProblem(item.source, line, message, fatal=False, of_object=True, column=column)
        return without(evaluation, ignore), [problem]


def mismatch_problems(item: ManifestObject, lines: Lines, mismatches: Iterable[TypeMismatch]) -> list[ManifestProblem]:
    """A problem for each field of an object that has the wrong type, with the line of the field."""
    found = []
    for path, message in mismatches:
        line, column = lines.of(item).of_field(path)
        sentence = f"{path}: {message}" if path else message
        found.append(ManifestProblem(item.source, line, sentence, of_object=True, column=column))
    return found


def read_paths(paths: Sequence[str], plugin: DevicePlugin | None = None, exclude: Sequence[str] = ()) -> GivenInput:
    """Read everything that paths name; ``-`` is standard input. ``plugin`` is what device plugins are expected to be set to.

    A repository has more than manifests: files in folders are skipped, and listed, if none of their documents is an object.
    A file that is named must hold an object.
    """
    given = GivenInput()
    for source in open_sources(paths, sys.stdin and sys.stdin.buffer, exclude):
        if isinstance(source, ManifestProblem):
            given.problems.append(source)
            continue
        found = list(read_text(source.text, source.name))
        if not source.named and found and all(isinstance(one, ManifestProblem) and one.foreign for one in found):
            given.skipped.append(source.name)
            continue
        items: list[ManifestObject] = []
        given.sources.append((source, items))
        lines = Lines(source.text)
        for item in found:
            given.problems += given.plugin.look(item, lines, plugin)
            if isinstance(item, ManifestProblem):
                given.problems.append(item)
            elif isinstance(item, PluginDocument):
                continue
            else:
                items.append(item)
    return given


def say_skipped(skipped: Sequence[str]) -> None:
    """Print which files were skipped, the first few by name."""
    if skipped:
        words = ("file holds", "was") if len(skipped) == 1 else ("files hold", "were")
        names = first_of(skipped, _NAMED)
        say(f"note: {len(skipped)} {words[0]} no Kubernetes object and {words[1]} skipped: {names}")


_NAMED = 5
_FIXES = {"-": "pipe manifests in"}


def _policy(value: str | None, configuration: Configuration) -> Policy | None:
    if value is None:
        return None
    policy = configuration.policies.resolve(value)
    if policy is None:
        raise usage_error(f"--policy: {configuration.policies.nearest(value)}")
    return policy


def load_namespaces(path: Path | None) -> KnownNamespaces:
    """The namespaces of ``--namespaces``, or none.

    Raises:
        typer.Exit: 2, after printing what is wrong with the file.
    """
    if path is None:
        return KnownNamespaces()
    try:
        text = named_file.text(path)
        items = [item for item in read_text(text, str(path)) if isinstance(item, ManifestObject)]
        namespaces = [item for item in items if is_namespace(item.object)]
        lines = Lines(text)
        problems = [
            one
            for item in items
            if item.object["kind"] == "Namespace"
            for one in mismatch_problems(item, lines, wrong_types({**item.object, "apiVersion": "v1"}))
        ]
        if problems:
            raise usage_error(*(f"--namespaces {one.source}:{one.line}: {one.message}" for one in problems))
        return KnownNamespaces(namespace_file.parse(text), namespaces)
    except NamespaceFileError as error:
        raise usage_error(f"--namespaces {path}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise usage_error(f"--namespaces {path}: {why(path, error)}") from error


def _namespaces_among(objects: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, NamespaceLabels]]:
    for found in objects:
        if is_namespace(found) and not wrong_types(found):
            metadata = found.get("metadata") or {}
            labels = metadata.get("labels") or {}
            yield metadata.get("name") or "", NamespaceLabels.of({key: text or "" for key, text in labels.items()})
