"""What the tests need of the fleet's kubelets: a pod that is told to end, ends.

A pod bound to a node is only marked by its deletion; its kubelet confirms it. Without one the pod, and the namespace
that it is in, would stay forever.
"""

import json
import threading
from typing import Any, Protocol

import httpx

WATCH_SECONDS = 2  # the server ends each watch after this, which is when the thread looks whether it is to stop
PAUSE_SECONDS = 0.2  # between tries while the API server does not answer


class Server(Protocol):
    """Where a client of the API server comes from."""

    def client(self) -> httpx.Client:
        """Open a client as the administrator."""
        ...


class Kubelets:
    """Confirms the deletion of bound pods, on a thread, until stopped. It rides out an API server that is away."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelets", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with self._server.client() as api:
            api.timeout = httpx.Timeout(2.0, read=WATCH_SECONDS + 5.0)
            version = ""
            while not self._stopping.is_set():
                try:
                    version = self._watch(api, version) if version else self._list(api)
                except (httpx.HTTPError, json.JSONDecodeError):
                    version = ""
                    self._stopping.wait(PAUSE_SECONDS)

    def _list(self, api: httpx.Client) -> str:
        """Look at every pod; answer the version to watch from."""
        answer = api.get("/api/v1/pods").raise_for_status().json()
        for pod in answer["items"]:
            self._see(api, pod)
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, api: httpx.Client, version: str) -> str:
        """Look at pods as they change, for some seconds; answer the version to go on from, empty to begin anew."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        query["allowWatchBookmarks"] = "true"
        with api.stream("GET", "/api/v1/pods", params=query) as events:
            events.raise_for_status()
            for line in events.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":  # such as 410: the version is too old
                    return ""
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] == "MODIFIED":
                    self._see(api, event["object"])
        return version

    def _see(self, api: httpx.Client, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        told_to_end = "deletionTimestamp" in metadata and metadata.get("deletionGracePeriodSeconds") != 0
        if told_to_end and pod["spec"].get("nodeName"):
            api.request(
                "DELETE",
                f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}",
                json={"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}},
            )
