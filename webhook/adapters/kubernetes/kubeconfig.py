"""Selects kubeconfig files and a context as kubectl does, and reports errors in them.

The official client does the rest (certificates, tokens, exec plugins), but three things are done here because it does them
differently from kubectl: of several files, its *last* ``current-context`` wins, where kubectl's first one does (client-go
``clientcmd.ClientConfigLoadingRules``: "the first file to set a particular value wins"); a file that was asked for by name may
be missing; and its errors about a wrong file or context name neither the file nor the choices.
"""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import yaml_loader
from ..file_errors import why
from .errors import KubeconfigError
from .kubeconfig_fields import check_cluster, check_types, check_user


@dataclass(frozen=True, slots=True)
class SelectedContext:
    """The files that are read together, the selected context, and the login program of its user, if any.

    ``exec_hint`` is the kubeconfig's hint on how to install that program (client-go, ``ExecConfig.InstallHint``).
    """

    files: tuple[Path, ...]
    context: str
    exec_command: str | None
    exec_hint: str = ""

    def paths(self) -> str:
        """The files, joined for the official client."""
        return os.pathsep.join(str(file) for file in self.files)


def find_files(kubeconfig: Path | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """List the kubeconfig files that kubectl would read: the one asked for, or $KUBECONFIG's, or ``~/.kube/config``.

    Files of $KUBECONFIG that don't exist are skipped, as in kubectl. An empty result means that there are none.

    Raises:
        KubeconfigError: the file asked for does not exist.
    """
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            code = errno.EISDIR if kubeconfig.is_dir() else errno.EINVAL if kubeconfig.exists() else errno.ENOENT
            # The file is read twice, here and by the official client, so it can't be a pipe or a device.
            fault = OSError(code, "it is not a regular file; name one")
            raise KubeconfigError(f"--kubeconfig {kubeconfig}: {why(kubeconfig, fault)}")
        return (kubeconfig,)
    if listed := environ.get("KUBECONFIG"):
        named = [Path(entry) for entry in listed.split(os.pathsep) if entry]
    elif home := environ.get("HOME"):
        named = [Path(home, ".kube", "config")]
    else:
        named = []
    return tuple(file for file in named if file.is_file())


def contexts(files: tuple[Path, ...]) -> list[str]:
    """The names of the contexts in these files, in order.

    Raises:
        KubeconfigError: a file can't be read.
    """
    read = {file: document for file in files if (document := _read(file)) is not None}
    for file, document in read.items():
        check_types(str(file), document)
    return sorted(_entries([*read.values()], "context"))


def choose(files: tuple[Path, ...], context: str | None) -> SelectedContext:
    """Select a context of these files, and check that everything it names exists.

    Raises:
        KubeconfigError: a file can't be read, or the context, its cluster or its user is in none of them.
    """
    read = {file: _read(file) for file in files}
    # If there are several files, kubectl skips the empty ones, and the official client can't.
    read = {file: document for file, document in read.items() if document is not None} or read
    for file, document in read.items():
        check_types(str(file), document)
    files, configs = tuple(read), [*read.values()]
    where = ", ".join(str(file) for file in files)
    contexts, clusters = (
        {name: body or {} for name, body in _entries(configs, kind).items()} for kind in ("context", "cluster")
    )
    users = _entries(configs, "user")
    there = ", ".join(f'"{name}"' for name in sorted(contexts)) or "none"

    name = context or next((current for config in configs if (current := config.get("current-context"))), None)
    if name is None:
        raise KubeconfigError(f"{where}: current-context is not set; name a context with --context (contexts: {there})")
    if name not in contexts:
        asked = f'context "{name}"' if context else f'current-context "{name}"'
        raise KubeconfigError(f"{where}: {asked} is not defined; name another with --context (contexts: {there})")
    cluster, user = contexts[name].get("cluster") or "", contexts[name].get("user") or ""
    for kind, entry, defined in (("cluster", cluster, clusters), ("user", user, users)):
        if entry not in defined and (entry or kind == "cluster"):
            others = ", ".join(f'"{other}"' for other in sorted(defined)) or "none"
            raise KubeconfigError(
                f'{where}: context "{name}" names {kind} "{entry}", which is not defined; define it, or name another '
                f"({kind}s: {others})"
            )
    if not clusters[cluster].get("server"):
        raise KubeconfigError(
            f'{where}: cluster "{cluster}" of context "{name}" has no server; set clusters[].cluster.server'
        )
    if user in users and users[user] is None:  # which the official client can't read
        raise KubeconfigError(
            f'{where}: user "{user}" has no credentials (user: null); write user: {{}} if it needs none'
        )
    check_cluster(where, cluster, clusters[cluster])
    credentials = users.get(user) or {}
    check_user(where, user, credentials)
    program = credentials.get("exec") or {}
    return SelectedContext(files, name, program.get("command"), " ".join((program.get("installHint") or "").split()))


def _entries(configs: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any] | None]:
    """The bodies of all entries of a kind by name; of two with the same name, the first is used."""
    entries = [entry for config in configs for entry in config.get(f"{kind}s") or []]
    return {entry["name"]: entry.get(kind) for entry in reversed(entries)}


def _read(file: Path) -> Any:
    try:
        return yaml_loader.load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"{file}: can't be read: {why(file, error)}") from error
    except ValueError as error:
        raise KubeconfigError(f"{file}: {error}") from error
