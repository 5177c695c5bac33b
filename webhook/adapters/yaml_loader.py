"""Loads YAML. Input that would exhaust the loader is rejected before anything is built; errors name the line and the fix."""

from collections.abc import Callable
from typing import Any

import yaml

_DEEPEST = 100  # levels; a Namespace as kubectl prints it has nine, managedFields included
_MOST_REPEATED = 10_000  # values that aliases repeat; nobody writes that many by hand


class YamlBombError(ValueError):
    """Loading the document would crash the process, or exhaust memory or time. The message names the line."""


def load(text: str) -> Any:
    """Load the one document of a text; ``None`` if it is empty.

    Raises:
        ValueError: the text can't be read; the message gives the line, the reason and the fix.
    """
    return _guarded(text, yaml.load)


def load_all(text: str) -> list[Any]:
    """Load all documents of a text.

    Raises:
        ValueError: as ``load``.
    """
    documents: list[Any] = _guarded(text, lambda text, loader: list(yaml.load_all(text, loader)))
    return documents


def _guarded(text: str, load: Callable[[str, type[yaml.CSafeLoader]], Any]) -> Any:
    try:
        check(text)
        return load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        from .manifests.tree.from_yaml import explained  # noqa: PLC0415 - a server needs it only for such a file

        found = explained(text, error)
        raise ValueError(f"line {found.line}: {found}") from error
    except YamlBombError:
        raise
    except ValueError as error:  # such as a date in month 13
        raise ValueError(f"a value can't be read: {error}; put it in quotes") from error


def check(text: str) -> None:
    """Reject deep nesting, and aliases that repeat very many values, ``<<`` included.

    libyaml's loader recurses in C, and deep nesting overflows its stack without an exception; its parser, used here, does not
    recurse. An alias costs the loader nothing, but code that walks the data processes every repetition.

    Raises:
        YamlBombError: the text nests or repeats too much.
        yaml.YAMLError: it is not YAML.
    """
    sizes: dict[str | None, int] = {}  # values under each anchor, aliases counted as what they repeat
    begun: list[tuple[str | None, int]] = []
    values = repeated = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        match event:
            case yaml.AliasEvent():
                if any(anchor == event.anchor for anchor, _ in begun):
                    raise YamlBombError(
                        f"line {_line(event)}: *{event.anchor} contains itself; write out its values instead"
                    )
                size = sizes.get(event.anchor, 0)  # none if it is not defined, which the loader reports better
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


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
