"""A real headless Chromium, spoken to over two pipes in the DevTools protocol; no driver, no port, no package.

``--remote-debugging-pipe`` reads commands from descriptor 3 and writes answers to descriptor 4, each JSON ended by a NUL
(chromium: content/browser/devtools/devtools_pipe_handler.cc).
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]

PATIENCE = 60.0  # seconds until an answer counts as missing
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """The program, if it is installed; ``GPUWARDEN_CHROMIUM`` names another."""
    return os.environ.get("GPUWARDEN_CHROMIUM") or next((path for name in _NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One browser with one page. Use it as a context manager."""

    def __init__(self, program: str, profile: Path) -> None:
        """Start it, with a profile of its own in an empty folder."""
        ours = os.pipe(), os.pipe()
        (reads, self._to), (self._from, writes) = ours
        # Out of the way of 3 and 4, where Chromium looks for them; the others close themselves in the new process.
        moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (reads, writes)]
        null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        ends = [(os.POSIX_SPAWN_DUP2, end, number) for number, end in zip((3, 4), moved, strict=True)]
        self._pid = os.posix_spawn(
            program, [program, *_arguments(profile)], dict(os.environ), file_actions=[*null, *ends], setsid=True
        )
        for end in (reads, writes, *moved):
            os.close(end)
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.events: list[Json] = []
        """What the page told on its own account since it was opened."""

    def __enter__(self) -> Self:
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError, AssertionError):
            self._session = ""
            self._call("Browser.close")
        os.close(self._to)  # Chromium ends when nobody can command it any more, if it has not yet
        os.close(self._from)
        os.waitpid(self._pid, 0)

    def open(  # noqa: PLR0913 - how a page may be shown
        self,
        page: Path,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        script: bool = True,
        printed: bool = False,
    ) -> None:
        """Show a file: in a window of this size, in light or dark, with or without JavaScript, or as it is printed."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self._call(
            "Emulation.setEmulatedMedia",
            media="print" if printed else "",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self._call("Emulation.setScriptExecutionDisabled", value=not script)
        self.events.clear()
        self._call("Page.navigate", url=page.as_uri())
        self._wait_for("Page.loadEventFired")
        # Rows with content-visibility have text and height only near the window, whose size counts from the next frame: a picture
        # needs one, also where no script may run.
        self._call("Page.captureScreenshot", clip={"x": 0, "y": 0, "width": 1, "height": 1, "scale": 1})
        if script:
            self.run(
                "new Promise((done) => (function wait() { document.getElementById('packed') ? setTimeout(wait, 5) : done(); })())"
            )

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page (whether or not the page's own scripts may run)."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, *, code: int, text: str = "") -> None:
        """Press and release a key, as a person does."""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self._call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self._call("Input.insertText", text=text)

    def screenshot(self, to: Path, *, whole: bool = False) -> None:
        """A picture of what the window shows, or of the whole page."""
        data = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        to.write_bytes(base64.b64decode(data))

    def requests(self) -> list[str]:
        """The addresses that the page asked for, itself included."""
        return [
            event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"
        ]

    def sent(self) -> list[str]:
        """The addresses that something went to: the browser tells of those that the page's policy stops, too."""
        failed = (event["params"] for event in self.events if event["method"] == "Network.loadingFailed")
        stopped = {params["requestId"] for params in failed if params.get("blockedReason") == "csp"}
        asked = (event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent")
        return [params["request"]["url"] for params in asked if params["requestId"] not in stopped]

    def complaints(self) -> list[str]:
        """Errors and warnings that the browser or the page's scripts logged."""
        told = [
            event["params"] for event in self.events if event["method"] in {"Runtime.exceptionThrown", "Log.entryAdded"}
        ]
        return [json.dumps(params) for params in told]

    def _call(self, method: str, **params: Any) -> Json:
        self._number += 1
        number = self._number
        message: Json = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: Json = answer["result"]
                return result

    def _wait_for(self, event: str) -> None:
        while not any(seen["method"] == event for seen in self.events):
            self._next()

    def _next(self) -> Json:
        """The next message; events are kept."""
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(until - time.monotonic(), 0))
            assert ready, "Chromium says nothing"
            chunk = os.read(self._from, 1 << 20)
            assert chunk, "Chromium has ended"
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: Json = json.loads(line)
        if "method" in message:
            self.events.append(message)
        return message


def _arguments(profile: Path) -> list[str]:
    return [
        "--headless",
        "--remote-debugging-pipe",
        "--no-sandbox",  # containers that run tests permit none
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        "about:blank",
    ]
