"""Writes the chart's README.md from values.yaml: `make manifests`.

The comment above a value, or above its section, is its description. Lists and mappings that users fill are one row.

Run it as `python -m hack.chart_readme`; with `--check` it writes nothing and fails when the file differs.
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import yaml

from hack import generated
from hack.chart_defaults import CHART

README = CHART / "README.md"
_KEY = re.compile(r"( *)([A-Za-z]\w*):( .*)?$")
PAGE = """\
<!-- Written by `make manifests` from values.yaml and hack/chart_readme.py; edit those, not this. -->

# The gpuwarden chart

A Kubernetes admission webhook that rewrites GPU requests to the form that a namespace's policy names, and denies what the
kubelet would reject. Kubernetes 1.30 or newer, Helm 3.14 or newer.

```console
$ helm install gpuwarden deploy/chart --namespace gpuwarden-system --create-namespace \\
    --set image.repository=YOUR/gpuwarden --set install.mode=audit
```

[Install](../../docs/how-to/install.md), [upgrade](../../docs/how-to/upgrade.md), [uninstall](../../docs/how-to/uninstall.md),
[platforms](../../docs/how-to/platforms.md), [GitOps](../../docs/how-to/gitops.md), [permissions](../README.md#permissions).

## Values

Helm rejects unknown names, and values that gpuwarden would reject.

"""


def sections(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the path of each key of values.yaml, the comment above it, and whether it is a section (nothing behind the colon)."""
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").removeprefix(" "))
        elif found := _KEY.match(line):
            indent = len(found[1])
            path = [*((at, key) for at, key in path if at < indent), (indent, found[2])]
            yield ".".join(key for _, key in path), "\n".join(comment), not found[3]
            comment = []
        else:
            comment = []


def sentence(comment: str) -> str:
    """Return a comment as one cell of a table; the example behind a colon stays in values.yaml."""
    prose, colon, _ = comment.partition(":\n  ")
    text = " ".join(prose.split()).replace("|", "\\|")
    return (
        text.removesuffix(", such as") + "; values.yaml has an example." if colon and text.endswith("such as") else text
    )


def default(value: Any) -> str:
    """Return a default as it is written in YAML, in one line, for a cell."""
    return "`" + json.dumps(value, ensure_ascii=False).replace("|", "\\|") + "`"


def text() -> str:
    """What the README should be."""
    source = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(source)
    lines = ["| value | default | meaning |", "|---|---|---|"]
    whole: str | None = None
    for path, comment, is_section in sections(source.split("\n\n", 1)[1]):
        if whole is not None and path.startswith(f"{whole}."):
            continue
        found: Any = values
        for key in path.split("."):
            found = found[key]
        if is_section and isinstance(found, dict) and all(_KEY.fullmatch(f"{key}:") for key in found):
            if comment:
                lines.append(f"| **`{path}`** | | {sentence(comment)} |")
        else:
            whole = path
            lines.append(f"| `{path}` | {default(found)} | {sentence(comment)} |")
    return PAGE + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(generated.write(README, text(), "manifests", sys.argv[1:]))
