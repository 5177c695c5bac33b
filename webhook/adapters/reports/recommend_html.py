"""The page that ``gpuwarden recommend -o html`` prints: one file, and no script; see ``html`` for how it is kept safe."""

from datetime import UTC, datetime

from ... import __version__
from ...application.recommendation.recommend import Recommendation, WorkloadRecommendation
from .html import MOST_ROWS, environment, own, style_policy
from .recommend_words import advice_lines, cluster_lines, used, verdict


def html(found: Recommendation) -> str:
    """Return the page."""
    templates = environment()
    templates.filters["used"] = used
    templates.filters["verdict"] = verdict
    templates.filters["whole"] = _whole
    style = own(templates, "audit.css")
    lines: dict[str, list[WorkloadRecommendation]] = {}
    for line in found.workloads[:MOST_ROWS]:
        lines.setdefault(line.namespace, []).append(line)
    return templates.get_template("recommend_page.html.j2").render(
        found=found,
        version=__version__,
        style=style,
        policy=style_policy(style),
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
