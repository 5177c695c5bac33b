"""The page that ``gpuwarden audit -o html`` prints."""

from webhook.adapters.reports.audit import AuditReport


def html(report: AuditReport) -> str:
    """The page."""
    return report.origin
