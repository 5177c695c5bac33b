"""Builds the limits and the allowed clients of the server's ports from its options."""

import resource

from ..adapters.http.connection_limiter import ConnectionLimiter, Rejections
from ..adapters.http.limits import MIB, Limits
from ..adapters.http.listeners import ACCEPTED_AT_ONCE
from ..adapters.metrics import Metrics
from ..adapters.tls.serving import ServingCertificate
from .options import Options, StartError
from .reloading import Reload

# Probes, a Prometheus or two, and a person.
_OPERATIONS_CONNECTIONS = 32
# For files, the API server, the log, the event loop's own, and connections that were closed to make room for others: the event
# loop closes their descriptors in its next iteration, while it accepts the next ones.
_OTHER_DESCRIPTORS = 64 + 2 * ACCEPTED_AT_ONCE
_LEAST_CONNECTIONS = 32


def client_authorities(options: Options, serving: ServingCertificate, metrics: Metrics) -> Reload[str] | None:
    """The file of client CAs, read for the first time; ``None`` if every client may call.

    Raises:
        StartError: it can't be used, or common names are given without a CA.
    """
    if options.client_ca_file is None:
        if options.allowed_cn:
            raise StartError(
                "--allowed-cn: client certificates are not verified, so names prove nothing; set --client-ca-file too"
            )
        return None
    return Reload("client-ca", options.client_ca_file, str, serving.trust_clients, metrics)


def admission_limiter(options: Options, metrics: Metrics) -> ConnectionLimiter:
    """The connections of the TLS port.

    Raises:
        StartError: this process may open too few files to serve.
    """
    limits = Limits(
        connections=min(options.max_connections, _affordable()),
        memory=options.max_memory * MIB,
        head_seconds=options.head_timeout,
        request_seconds=options.request_timeout,
    )
    return ConnectionLimiter(limits, Rejections("admission", metrics.rejected))


def operations_limiter(metrics: Metrics) -> ConnectionLimiter:
    """The connections of the plain port, which are separate so that the health of a server that is under attack can be seen."""
    limits = Limits(connections=_OPERATIONS_CONNECTIONS, memory=MIB)
    return ConnectionLimiter(limits, Rejections("operations", metrics.rejected))


def _affordable() -> int:
    """Return the number of connections for which the process has file descriptors.

    Raises:
        StartError: too few.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft not in (hard, resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # what the kernel grants anyway
        soft = hard
    if soft == resource.RLIM_INFINITY:
        return _MANY
    affordable = soft - _OPERATIONS_CONNECTIONS - _OTHER_DESCRIPTORS
    if affordable < _LEAST_CONNECTIONS:
        least = _LEAST_CONNECTIONS + _OPERATIONS_CONNECTIONS + _OTHER_DESCRIPTORS
        raise StartError(
            f"this process may open {soft} files; allow it at least {least} (ulimit -n, LimitNOFILE, or the container's)"
        )
    return affordable


_MANY = 1_000_000
