"""Failures of requests to the API server: one exception, and a fixed list of kinds."""

from enum import StrEnum


class Fault(StrEnum):
    """Why a request got no usable answer; the value is also the metric's label."""

    UNREACHABLE = "unreachable"  # no connection: rejected, no route, no such host, TLS not trusted
    SILENT = "silent"  # no data within the time limit
    CUT = "cut"  # the connection was closed before the answer was complete
    UNAUTHORIZED = "unauthorized"  # 401, or no credentials could be obtained
    FORBIDDEN = "forbidden"  # 403: RBAC
    NOT_FOUND = "not-found"  # 404
    CONFLICT = "conflict"  # 409: someone else wrote first
    EXPIRED = "expired"  # 410: a resource version or continue token is too old
    THROTTLED = "throttled"  # 429
    REJECTED = "rejected"  # any other 3xx or 4xx
    SERVER_ERROR = "server-error"  # 5xx
    GARBAGE = "garbage"  # an answer that is not what the API promises
    SHORT = "short"  # a watch that ended as soon as it began
    STALE = "stale"  # a list that is older than what was already seen
    BUG = "bug"  # ours


OF_ONE_KIND = frozenset(
    {Fault.FORBIDDEN, Fault.NOT_FOUND, Fault.EXPIRED, Fault.REJECTED, Fault.SERVER_ERROR, Fault.GARBAGE}
)
"""The faults of a list of one custom kind while others can be read, for instance because a conversion webhook is down."""

_BY_STATUS = {
    401: Fault.UNAUTHORIZED,
    403: Fault.FORBIDDEN,
    404: Fault.NOT_FOUND,
    409: Fault.CONFLICT,
    410: Fault.EXPIRED,
    429: Fault.THROTTLED,
}
_FIRST_SERVER_ERROR = 500


def fault_of(status: int) -> Fault:
    """Name the fault of an HTTP status that is not a success."""
    return _BY_STATUS.get(status, Fault.SERVER_ERROR if status >= _FIRST_SERVER_ERROR else Fault.REJECTED)


class ApiError(Exception):
    """A request to the API server that failed.

    Attributes:
        detail: a message for users: the request, and the response.
        retry_after: seconds the server asked us to wait, if it did.
        missing: the name of the object that does not exist, according to a 404; empty if the 404 is about something else, such
            as a path that the server does not serve.
    """

    def __init__(self, fault: Fault, detail: str, *, retry_after: float | None = None, missing: str = "") -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail
        self.retry_after = retry_after
        self.missing = missing


class KubeconfigError(Exception):
    """The API server is not configured: there is no kubeconfig, it is invalid, or the context does not exist."""


class NoClusterError(KubeconfigError):
    """No cluster is configured. A command that works without one adds how."""
