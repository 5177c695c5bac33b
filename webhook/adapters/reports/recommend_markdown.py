"""The Markdown of ``gpuwarden recommend``, for a ticket or a pull request: a table for each namespace, and its advice."""

import re
from collections.abc import Iterator

from ...application.recommendation.recommend import Recommendation
from .recommend_words import advice_lines, by_namespace, cluster_lines, criteria, used, verdict
from .text import printable

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def markdown(found: Recommendation) -> str:
    """Return the document."""
    return "\n".join(_parts(found)) + "\n"


def _parts(found: Recommendation) -> Iterator[str]:
    yield "# GPU forms that fit"
    for advice, lines in by_namespace(found):
        yield f"\n## {_plain(advice.namespace)}\n"
        yield "| workload | requests | used | fits | why |\n|---|---|---|---|---|"
        for line in lines:
            cells = (
                line.named,
                "\n".join(line.requests),
                "\n".join(used(line.used)) or "nothing known",
                verdict(line.verdict),
                "\n".join((*line.verdict.reasons, *filter(None, [criteria(line.criteria)]))),
            )
            yield f"| {' | '.join('<br>'.join(map(_plain, cell.splitlines())) for cell in cells)} |"
        yield ""
        yield from (f"- {_plain(one)}" for one in advice_lines(advice))
        if advice.preview:
            yield f"\n```sh\n{printable(advice.preview)}\n{printable(advice.label)}\n```"
    yield "\n## Cluster\n"
    yield from (f"- {_plain(one)}" for one in cluster_lines(found.cluster))
    yield from (f"- note: {_plain(note)}" for note in found.notes)


def _plain(text: str) -> str:
    """Text with escapes, so that Markdown shows it literally."""
    return _SPECIAL.sub(r"\\\1", printable(text))
