"""Faults: what the stand-in may do with one request instead of answering it."""

import time

from testing.stand_in.documents import status
from testing.stand_in.http_side import Behaviour, Handler, reset


def refusal(code: int, message: str = "no", retry_after: str | None = None) -> Behaviour:
    """Refuse with a status."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return lambda handler: handler.say(code, status(code, message), headers)


def answer(body: bytes, code: int = 200) -> Behaviour:
    """Answer with these bytes."""
    return lambda handler: handler.say(code, body)


def stream(*lines: bytes, end: bool = True) -> Behaviour:
    """Answer a watch with these lines; then end it in order, or break off."""

    def behave(handler: Handler) -> None:
        handler.begin()
        for line in lines:
            handler.chunk(line)
        if end:
            handler.chunk(b"")
        else:
            cut_off(handler)

    return behave


def cut_off(handler: Handler) -> None:
    """Reset the connection instead of answering."""
    handler.close_connection = True
    reset(handler.connection)


def silence(handler: Handler) -> None:
    """Take the request and say nothing until the server stops or the client goes away."""
    handler.close_connection = True
    handler.connection.recv(1)


def trickle(handler: Handler) -> None:
    """Begin an answer and go on with a byte now and then, for ever."""
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not handler.server.stand_in.stopping:
        handler.wfile.write(b" ")
        time.sleep(0.02)
