"""Check of the API server itself: whether its version is supported."""

from .facts import Facts, known
from .results import Findings, fail

# matchConditions and ValidatingAdmissionPolicy are stable from here on. The chart's kubeVersion is the same.
OLDEST = (1, 30)


def version(facts: Facts) -> Findings:
    """The API server's version is supported."""
    found = known(facts.version)
    observed = f"the API server is Kubernetes {_shown(found)}"
    if found < OLDEST:
        impact = (
            f"gpuwarden supports Kubernetes {_shown(OLDEST)} and later: an older API server may drop matchConditions,"
            " and then denies pods without GPUs too while no replica answers"
        )
        yield fail(observed, impact, f"upgrade the cluster to Kubernetes {_shown(OLDEST)} or later")
    return observed


def _shown(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
