"""Loads YAML; rejects what would exhaust the loader, before anything is built, and explains what is not valid."""

from collections.abc import Callable
from typing import Any, TypeVar

import yaml

_DEEPEST = 100  # levels; a Namespace as kubectl prints it has nine, managedFields included
_MOST_REPEATED = 10_000  # values that aliases repeat; nobody writes that many by hand


T = TypeVar("T")


class YamlBombError(ValueError):
    """Loading the document would crash the process, or exhaust memory or time. The message names the line."""


Loader = type[yaml.SafeLoader] | type[yaml.CSafeLoader]


def load(text: str, loader: Loader = yaml.CSafeLoader) -> Any:
    """Load the one document of a text; ``None`` if it is empty.

    Raises:
        ValueError: the text can't be read; the message gives the line, the reason and the fix.
    """
    return _guarded(yaml.load, text, loader)


def load_all(text: str, loader: Loader = yaml.CSafeLoader) -> list[Any]:
    """Load all documents of a text.

    Raises:
        ValueError: as ``load``.
    """
    return _guarded(lambda text, loader: list(yaml.load_all(text, loader)), text, loader)


def _guarded(load: Callable[[str, Loader], T], text: str, loader: Loader) -> T:
    try:
        check(text, loader)
        return load(text, loader)
    except YamlBombError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(explain(error)) from error


def check(text: str, loader: Loader = yaml.CSafeLoader) -> None:
    """Reject deep nesting, and aliases that repeat very many values, ``<<`` included.

    libyaml's loader recurses in C, and deep nesting overflows its stack without an exception; its parser, used here, does not
    recurse. An alias costs the loader nothing, but code that walks the data processes every repetition.

    ``loader`` selects the parser: libyaml's is fast, Python's names the better line for invalid YAML.

    Raises:
        YamlBombError: the text nests or repeats too much.
        yaml.YAMLError: it is not YAML.
    """
    sizes: dict[str | None, int] = {}  # values under each anchor, aliases counted as what they repeat
    begun: list[tuple[str | None, int]] = []
    values = repeated = 0
    for event in yaml.parse(text, Loader=loader):
        match event:
            case yaml.AliasEvent():
                if any(anchor == event.anchor for anchor, _ in begun):
                    raise YamlBombError(
                        f"line {_line(event)}: *{event.anchor} contains itself; write out its values instead"
                    )
                size = sizes.get(event.anchor, 0)  # none where it is not defined, which the loader reports better
                values += size
                repeated += size
            case yaml.ScalarEvent():
                values += 1
                sizes[event.anchor] = 1
            case yaml.CollectionStartEvent():
                begun.append((event.anchor, values))
                sizes.pop(event.anchor, None)
                values += 1
            case yaml.CollectionEndEvent():
                anchor, before = begun.pop()
                sizes[anchor] = values - before
        if len(begun) > _DEEPEST:
            raise YamlBombError(
                f"line {_line(event)}: is nested deeper than {_DEEPEST} levels; write it with fewer levels"
            )
        if repeated > _MOST_REPEATED:
            raise YamlBombError(
                f"line {_line(event)}: aliases repeat more than {_MOST_REPEATED} values; write what they stand for"
            )


def explain(error: Exception) -> str:
    """Return where a text is not YAML, what is wrong there, and what usually fixes it, on one line."""
    mark = getattr(error, "problem_mark", None)
    reported = [getattr(error, "context", None), getattr(error, "problem", None)]
    what = ", ".join(filter(None, reported)) or " ".join(str(error).split())
    if "expected a single document" in what:
        return f"line {mark.line + 1 if mark else 1}: a second document begins here; keep one, and remove the line ---"
    fix = next((fix for part, fix in _FIXES.items() if part in what), "check quotes, brackets and indentation there")
    return f"line {mark.line + 1 if mark else 1}: is not valid YAML: {what}; {fix}"


_FIXES = {
    r"'\t'": "indent with spaces, not with tabs",
    "found a tab character": "indent with spaces, not with tabs",
    "mapping values are not allowed": 'put a value that contains ": " in quotes, or correct the indentation',
    "cannot start any token": "put the value in quotes, and indent with spaces",
    "could not determine a constructor": "remove the tag, which begins with !",
    "undefined alias": "put the value in quotes, or define the anchor",
    "unacceptable character": "remove control characters, and save the file as UTF-8",
    "control characters are not allowed": "remove control characters, and save the file as UTF-8",
    "unhashable key": "use text as the key",
}


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
