"""The APIs for reports in the cluster, and the label that marks ours."""

import msgspec

LABEL = "gpuwarden.io/report"
"""The label of our reports; whatever doesn't carry it with our value is not ours."""
LABEL_VALUE = "audit"
CONTENT = "gpuwarden.io/content"
"""The annotation with the digest of a report's content, so that what is the same is not written again."""
OMITTED = "gpuwarden.io/omitted"
"""The annotation that says how many results there was no room for."""
NAME = "gpuwarden"


class ReportOwner(msgspec.Struct, frozen=True):
    """The command that some of our reports are from: it never touches those of others.

    Attributes:
        name: of its reports.
        label: the value of ``LABEL`` on them.
    """

    name: str
    label: str


OF_AUDIT = ReportOwner(NAME, LABEL_VALUE)
OF_RECOMMEND = ReportOwner(f"{NAME}-recommendation", "recommendation")


class ReportApi(msgspec.Struct, frozen=True):
    """An API for reports: its group and version, and its two kinds, one in namespaces and one for the cluster."""

    group: str
    version: str
    kind: str
    plural: str
    cluster_kind: str
    cluster_plural: str
    has_source: bool
    """Whether a report names its source as a whole, and not only result by result."""

    @property
    def api_version(self) -> str:
        """As objects write it."""
        return f"{self.group}/{self.version}"


# In the order in which they are looked for: where both are installed, the tools that read the first are the older ones.
REPORT_APIS = (
    # kubernetes-sigs/wg-policy-prototypes policy-report/crd/v1alpha2; what Kyverno and Policy Reporter use.
    ReportApi(
        "wgpolicyk8s.io",
        "v1alpha2",
        "PolicyReport",
        "policyreports",
        "ClusterPolicyReport",
        "clusterpolicyreports",
        has_source=False,
    ),
    # openreports/reports-api config/crd: its successor, by other names.
    ReportApi("openreports.io", "v1alpha1", "Report", "reports", "ClusterReport", "clusterreports", has_source=True),
)
