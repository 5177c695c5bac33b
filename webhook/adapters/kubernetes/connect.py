"""Connects to an API server as kubectl does: with ``--kubeconfig`` and ``--context``, or from inside a pod.

The official client is loaded only for a kubeconfig: ``import kubernetes`` takes 350 ms and 8 MiB more than the server needs,
and importing a part of the package imports all of it. The account of a pod needs none of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..optional_imports import absent
from .client import ApiServer
from .errors import KubeconfigError, NoClusterError
from .kubeconfig import choose, find_files
from .transport import Login

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The selected cluster, in kubectl's terms; calling it logs in.

    Args:
        kubeconfig: the given file; without it, $KUBECONFIG's, ``~/.kube/config``, then the pod's own account.
        context: the given context; without it, the file's current one.
        environ: KUBECONFIG, HOME, KUBERNETES_SERVICE_HOST and …_PORT are read, and the proxy variables.
        service_account: where a pod finds its token and the cluster's CA.
    """

    kubeconfig: Path | None
    context: str | None
    environ: Mapping[str, str]
    service_account: Path = SERVICE_ACCOUNT

    def __call__(self) -> Login:
        """Read everything again and log in; files and plugins are read, nothing is sent yet.

        Raises:
            KubeconfigError: there is no usable configuration; the message says where it was looked for.
        """
        files = find_files(self.kubeconfig, self.environ)
        if files:
            # It imports requests, which imports these to guess encodings if they are installed (3 MiB).
            with absent("chardet", "charset_normalizer"):
                from . import kubeconfig_login  # noqa: PLC0415 - see the module's docstring
            return kubeconfig_login.log_in(choose(files, self.context))
        if self.context is not None:
            # Asked for a context, kubectl doesn't fall back on the pod's own account either.
            raise KubeconfigError(f'--context "{self.context}": there is no kubeconfig; {self._looked()}')
        if "KUBERNETES_SERVICE_HOST" not in self.environ:
            raise NoClusterError(
                f"no cluster: {self._looked()}, and this is not a pod (KUBERNETES_SERVICE_HOST is not set); "
                "name a kubeconfig with --kubeconfig"
            )
        from . import pod_login  # noqa: PLC0415 - likewise

        return pod_login.log_in(self.environ, self.service_account)

    def _looked(self) -> str:
        if listed := self.environ.get("KUBECONFIG"):
            return f"none of the files of KUBECONFIG exists ({listed})"
        home = self.environ.get("HOME")
        return f"KUBECONFIG is not set and {home}/.kube/config does not exist" if home else "no KUBECONFIG and no HOME"


def connect(
    kubeconfig: Path | None,
    context: str | None,
    environ: Mapping[str, str],
    witness: Callable[[datetime, float], None] = lambda _said, _took: None,
) -> ApiServer:
    """Find the API server as kubectl does; nothing is sent yet.

    ``witness`` takes every answer's ``Date``, and how many seconds the answer took.

    Raises:
        KubeconfigError: there is no usable configuration; the message says what was looked for and what is there.
    """
    return ApiServer(Cluster(kubeconfig, context, environ), witness=witness)
