"""JobSets as users write them."""

from collections.abc import Mapping

from tests.e2e.objects import Json

JOBSETS = "/apis/jobset.x-k8s.io/v1alpha2/namespaces/{}/jobsets"
# JobSet's own rotation wants its certificates in a folder of /tmp that is written into its code.
GIVEN_CERTIFICATES = {"internalCertManagement": {"enable": False}}


def jobset(spec: Json, labels: Mapping[str, str] | None = None) -> Json:
    """A JobSet of one Job of two pods."""
    # With what JobSet's webhook would set when it is created, and without what is empty: the same manifest applied again
    # would be a change otherwise, of fields that JobSet has immutable.
    template = {"spec": {field: value for field, value in spec.items() if value} | {"restartPolicy": "Never"}}
    job = {
        "parallelism": 2,
        "completions": 2,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "template": template,
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": "train", "labels": dict(labels or {})},
        "spec": {"replicatedJobs": [{"name": "workers", "replicas": 1, "template": {"spec": job}}]},
    }
