"""No two classes of the package have the same name, so that a name means one thing. Private ones are seen in one file only."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import webhook

ROOT = Path(webhook.__file__).parent
# Parts of Kubernetes objects have the names that the API gives them. The engine and the adapters read different fields of them.
OF_THE_API = {"Container", "Metadata", "Pod", "PodSpec", "Volume"}


def doubles(sources: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    """The public classes that are defined in several files, with these files."""
    files = defaultdict(list)
    for file, source in sources:
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                files[node.name].append(file)
    return {name: found for name, found in files.items() if len(found) > 1}


def test_no_name_means_two_things() -> None:
    sources = ((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py")))
    assert not {name: files for name, files in doubles(sources).items() if name not in OF_THE_API}


def test_a_double_is_found() -> None:
    sources = [
        ("a.py", "class Form: ..."),
        ("b.py", "class Form: ..."),
        ("c.py", "class _Form: ..."),
        ("d.py", "Form = 1"),
    ]
    assert doubles(sources) == {"Form": ["a.py", "b.py"]}
