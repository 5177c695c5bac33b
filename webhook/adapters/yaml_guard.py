"""Rejects YAML that would exhaust the loader, before anything is built, and explains YAML that is not valid."""

import yaml

_DEEPEST = 100  # levels; a Namespace as kubectl prints it has nine, managedFields included
_MOST_REPEATED = 10_000  # values that a file says by aliases; nobody reads that many of one's own


class YamlBombError(ValueError):
    """The document would end the process, or take its memory or its time. Says the line."""


Loader = type[yaml.SafeLoader] | type[yaml.CSafeLoader]


def check(text: str, loader: Loader = yaml.CSafeLoader) -> None:
    """Reject deep nesting, and aliases that repeat very many values, ``<<`` included.

    libyaml's loader recurses in C, whose stack ends without an exception; its parser, which is asked here, does not. An alias
    costs the loader nothing, but walking the loaded data costs everything: each may stand for many of the one before it.

    ``loader`` is whose parser is used: libyaml's is fast, Python's names the better line where something is not YAML.

    Raises:
        YamlBombError: as said.
        yaml.YAMLError: it is not YAML.
    """
    sizes: dict[str | None, int] = {}  # values under each anchor, aliases counted as what they stand for
    begun: list[tuple[str | None, int]] = []
    values = repeated = 0
    for event in yaml.parse(text, Loader=loader):
        match event:
            case yaml.AliasEvent():
                if any(anchor == event.anchor for anchor, _ in begun):
                    raise YamlBombError(
                        f"line {_line(event)}: *{event.anchor} contains itself; write out its values instead"
                    )
                size = sizes.get(event.anchor, 0)  # none where it is not defined, which the loader says better
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
    said = [getattr(error, "context", None), getattr(error, "problem", None)]
    what = ", ".join(filter(None, said)) or " ".join(str(error).split())
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
