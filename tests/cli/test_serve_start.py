"""The garbage collector is off while the server starts, and on while it serves, without the objects of the start."""

import subprocess
import sys

PROGRAM = """
import gc
from webhook.cli import server
from webhook.cli.main import app

class Server:
    def __init__(self, *_):
        print("start", gc.isenabled())

    async def serve(self):
        print("serving", gc.isenabled(), gc.get_freeze_count() > 10_000)

server.Server = Server
app(["serve"], standalone_mode=False)
print("end", gc.isenabled())
"""


def test_the_collector_is_off_at_start_and_on_while_serving() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split("\n") == ["start False", "serving True True", "end True", ""]


def test_the_collector_is_on_again_after_a_start_that_failed() -> None:
    program = """
import gc
from webhook.cli.main import app

print(app(["serve"], standalone_mode=False), gc.isenabled())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "2 True\n", done.stderr
