"""The page that ``gpuwarden recommend -o html`` prints: one file, and no script; see ``html`` for how it is kept safe."""

from datetime import UTC, datetime

from ...application.recommendation.recommend import Recommendation, WorkloadRecommendation
from .html import MOST_ROWS, page
from .recommend_words import advice_lines, cluster_lines, used, verdict


def html(found: Recommendation) -> str:
    """Return the page."""
    lines: dict[str, list[WorkloadRecommendation]] = {}
    for line in found.workloads[:MOST_ROWS]:
        lines.setdefault(line.namespace, []).append(line)
    return page(
        "recommend_page.html.j2",
        found=found,
        used=used,
        verdict=verdict,
        whole=_whole,
        end=datetime.fromtimestamp(found.end, UTC),
        cluster=list(cluster_lines(found.cluster)),
        namespaces=[
            (advice, list(advice_lines(advice)), lines[advice.namespace])
            for advice in found.namespaces
            if advice.namespace in lines
        ],
        left_out=max(len(found.workloads) - MOST_ROWS, 0),
    )


def _whole(text: str) -> str:
    """A sentence in which no line ends between a number and its unit."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" GiB", "\N{NO-BREAK SPACE}GiB")
