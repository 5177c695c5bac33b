"""The limits of a port, beyond which it rejects: connections, seconds, bytes."""

from dataclasses import dataclass

# kube-apiserver keeps idle connections for 90 s and does not retry a POST on one that the server closed
# (net/http DefaultTransport IdleConnTimeout), so the server must be the one that waits longer. That holds for a
# connection that never carried a request as well: Go dials ahead, and keeps what it did not need.
KEEP_ALIVE_SECONDS = 130
MIB = 1024 * 1024
# A review carries at most two objects, each at most etcd's and the API server's 3 MiB, and 1 MiB of envelope
# (controller-runtime pkg/webhook/admission/http.go derives the same).
MAXIMUM_BODY = 7 * MIB
MAX_LAG_SECONDS = 0.5  # how long a request may wait for its turn before it is shed (see request_queue.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a port."""

    # How many may be open; above that, the one that has waited longest for its client is closed.
    connections: int = 500
    # Bytes of unanswered requests, unread answers and TLS buffers that all connections together may hold.
    memory: int = 64 * MIB
    # From a connection to the end of its TLS handshake, and from the first byte of a request to the end of its head. The API
    # server gives up on a handshake after 10 s (net/http TLSHandshakeTimeout).
    head_seconds: float = 10.0
    # From the first byte of a request until the client has received the answer. The API server waits at most 30 s.
    request_seconds: float = 30.0
    idle_seconds: float = KEEP_ALIVE_SECONDS  # between requests
    head_bytes: int = 64 * 1024  # of a request's line and headers, and of its trailers
    target_bytes: int = (
        1024  # path and query: the API server sends the path of the webhook configuration and ``?timeout=10s``
    )
    headers: int = 100  # trailers among them. The API server sends eight
    chunks: int = 2048  # 7 MiB in chunks of 4 KiB, the smallest common size. The API server sends a length
    pipelined: int = 64  # requests that wait behind one that is being answered. The API server sends none
