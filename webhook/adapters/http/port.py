"""What the connections of the admission port share."""

from collections.abc import Callable

from webhook.adapters.http.callers import Callers
from webhook.adapters.http.crowd import Crowd
from webhook.adapters.http.endpoint import Endpoint
from webhook.adapters.http.responses import http_date
from webhook.adapters.http.turns import Turns

# Of one connection, before another one's turn.
_READ_AT_ONCE = 64 * 1024


class Port:
    """The endpoints, the connections, and what is to be done with them.

    Attributes:
        date: the time, for answers; ``tick`` renews it.
        draining: whether clients are asked to take their next request to another connection.
        stopping: whether connections end as soon as nothing is under way.
        buffer: what every connection reads into.
    """

    def __init__(
        self, find: Callable[[str], Endpoint | None], crowd: Crowd, turns: Turns, callers: Callers | None = None
    ) -> None:
        """Begin, with the endpoint of each path. Without ``callers`` nobody is asked for a name."""
        self.find = find
        self.crowd = crowd
        self.turns = turns
        self.callers = callers
        self.date = http_date()
        self.draining = False
        self.stopping = False
        self.buffer = memoryview(bytearray(_READ_AT_ONCE))

    def tick(self) -> None:
        """Look at the time, and cut off who is late. Called about every second."""
        self.date = http_date()
        self.crowd.sweep()
