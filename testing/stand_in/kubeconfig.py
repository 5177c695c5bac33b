"""A kubeconfig of one context, for a stand-in."""

import json
from pathlib import Path


def write_kubeconfig(path: Path, server: str, **user: object) -> Path:
    """Write a kubeconfig of one context, ``here``."""
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    return path
