"""The APIs for reports in the cluster, and the label that marks ours."""

import msgspec

LABEL = "gpuwarden.io/report"
"""The label of gpuwarden's reports; a report without it, or with another value, is somebody else's."""
LABEL_VALUE = "audit"
CONTENT = "gpuwarden.io/content"
"""The annotation with the digest of a report's content, so that an unchanged report is not written again."""
OMITTED = "gpuwarden.io/omitted"
"""The annotation with the number of results that there was no room for."""
NAME = "gpuwarden"


class ReportOwner(msgspec.Struct, frozen=True):
    """The command that some of our reports are from: it never changes the reports of other commands.

    Attributes:
        name: the name of its reports.
        label: the value of ``LABEL`` on them.
    """

    name: str
    label: str


OF_AUDIT = ReportOwner(NAME, LABEL_VALUE)
OF_RECOMMEND = ReportOwner(f"{NAME}-recommendation", "recommendation")


class ReportApi(msgspec.Struct, frozen=True):
    """An API for reports: its group, its version and its namespaced kind. It has a cluster-scoped kind as well.

    Attributes:
        has_source: whether a report names its source as a whole, and not only result by result.
    """

    group: str
    version: str
    kind: str
    plural: str
    has_source: bool

    @property
    def api_version(self) -> str:
        """As objects write it."""
        return f"{self.group}/{self.version}"

    @property
    def cluster_kind(self) -> str:
        """The kind of reports on the cluster."""
        return f"Cluster{self.kind}"

    @property
    def cluster_plural(self) -> str:
        """Its name in URLs."""
        return f"cluster{self.plural}"


# In the order of preference: where both are installed, older tools read only the first.
REPORT_APIS = (
    # kubernetes-sigs/wg-policy-prototypes policy-report/crd/v1alpha2; what Kyverno and Policy Reporter use.
    ReportApi("wgpolicyk8s.io", "v1alpha2", "PolicyReport", "policyreports", has_source=False),
    # openreports/reports-api config/crd: its successor, by other names.
    ReportApi("openreports.io", "v1alpha1", "Report", "reports", has_source=True),
)
