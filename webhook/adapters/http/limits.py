"""What one port accepts before it rejects: connections, seconds, bytes."""

from dataclasses import dataclass

# kube-apiserver keeps idle connections for 90 s and does not retry a POST on one that the server closed
# (net/http DefaultTransport IdleConnTimeout), so the server must be the one that waits longer. That holds for a
# connection that never carried a request as well: Go dials ahead, and keeps what it did not need.
KEEP_ALIVE_SECONDS = 130
MIB = 1024 * 1024
# A review carries at most two objects, each at most etcd's and the API server's 3 MiB, and 1 MiB of envelope
# (controller-runtime pkg/webhook/admission/http.go derives the same).
MAXIMUM_BODY = 7 * MIB
MAX_LAG_SECONDS = 0.5  # how long a request may wait for its turn before it is shed (see ``turns``)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a port.

    Attributes:
        connections: how many connections may be open; above that, the one that has waited longest for its client is closed.
        memory: how many bytes of unanswered requests, unread answers and TLS buffers all connections together may hold.
        head_seconds: from a connection to the end of its TLS handshake, and from the first byte of a request to the end
            of its head. The API server gives up on a handshake after 10 s (net/http TLSHandshakeTimeout).
        request_seconds: from the first byte of a request until the client has received the answer. The API server waits for no
            webhook longer than 30 s.
        idle_seconds: between requests.
        head_bytes: of a request's line and headers, and of its trailers.
        target_bytes: of a request's target (path and query). The API server sends the path of the webhook configuration, and
            ``?timeout=10s``.
        headers: how many there may be, trailers among them. The API server sends eight.
        chunks: the most chunks of a body: 7 MiB in chunks of 4 KiB, the smallest common size. The API server sends a length.
        pipelined: how many requests may wait behind one that is being answered. The API server sends none.
    """

    connections: int = 500
    memory: int = 64 * MIB
    head_seconds: float = 10.0
    request_seconds: float = 30.0
    idle_seconds: float = KEEP_ALIVE_SECONDS
    head_bytes: int = 64 * 1024
    target_bytes: int = 1024
    headers: int = 100
    chunks: int = 2048
    pipelined: int = 64
