"""The page that ``gpuwarden recommend -o html`` prints: one file without a script; ``html`` describes its protection."""

from datetime import UTC, datetime

from ...application.recommendation.recommend import Recommendation
from .html import MOST_ROWS, page
from .recommend_words import advice_lines, by_namespace, cluster_lines, used, verdict


def html(found: Recommendation) -> str:
    """Return the page."""
    return page(
        "recommend_page.html.j2",
        found=found,
        used=used,
        verdict=verdict,
        whole=_whole,
        end=datetime.fromtimestamp(found.end, UTC),
        cluster=list(cluster_lines(found.cluster)),
        namespaces=[(advice, list(advice_lines(advice)), lines) for advice, lines in by_namespace(found, MOST_ROWS)],
        left_out=max(len(found.workloads) - MOST_ROWS, 0),
    )


def _whole(text: str) -> str:
    """Return a sentence that does not wrap between a number and its unit."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace(" GiB", "\N{NO-BREAK SPACE}GiB")
