"""Connects to an API server from ``--kubeconfig`` and ``--context``; the only module that loads the official client.

``import kubernetes`` costs some 350 ms and 8 MiB on top of what the server has loaded anyway, and can't be imported in part
(its package imports all of itself). So it is loaded only when a cluster is used, and the other modules here need it only as a
type.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..optional_imports import absent

if TYPE_CHECKING:
    from .client import ApiServer


def connect(
    kubeconfig: Path | None,
    context: str | None,
    environ: Mapping[str, str],
    witness: Callable[[datetime, float], None] = lambda _said, _took: None,
) -> "ApiServer":
    """Find the API server as kubectl does; nothing is sent yet.

    Without ``kubeconfig``: $KUBECONFIG, then ``~/.kube/config``, then the pod's own account. ``witness`` takes every answer's
    ``Date``, and how many seconds the answer took.

    Raises:
        ConfigurationError: there is no usable configuration; the message contains what was looked for and what exists.
    """
    from .client import ApiServer  # noqa: PLC0415 - see the module's docstring

    # It loads requests, for logins that are not ours; which guesses encodings with these, if they are there (3 MiB).
    with absent("chardet", "charset_normalizer"):
        from .login import Cluster  # noqa: PLC0415 - likewise

    return ApiServer(Cluster(kubeconfig, context, environ), witness=witness)
