"""Which kubeconfig files count, which context is meant, and what is said when one of them is wrong.

The official client does the rest (certificates, tokens, exec plugins), but three things are done here because it does
them differently from kubectl: of several files, its *last* ``current-context`` wins, where kubectl's first one does
(client-go ``clientcmd.ClientConfigLoadingRules``: "the first file to set a particular value wins"); a file that was asked
for by name may be missing; and what it says about a wrong file or context names neither the file nor the choices.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from webhook.adapters import yaml_guard
from webhook.adapters.file_errors import why
from webhook.adapters.kubernetes.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Choice:
    """The files that are read together, the context that is meant, and the program that its user logs in by, if so.

    ``exec_hint`` is the kubeconfig's own advice on how to install that program (client-go, ``ExecConfig.InstallHint``).
    """

    files: tuple[Path, ...]
    context: str
    exec_command: str | None
    exec_hint: str = ""

    def paths(self) -> str:
        """Join the files as the official client wants them."""
        return os.pathsep.join(str(file) for file in self.files)


class _ClusterBody(msgspec.Struct):
    server: str = ""


class _Cluster(msgspec.Struct):
    name: str
    cluster: _ClusterBody


class _Exec(msgspec.Struct, rename="camel"):
    command: str
    install_hint: str | None = None


class _UserBody(msgspec.Struct):
    exec: _Exec | None = None


class _User(msgspec.Struct):
    name: str
    user: _UserBody | None = None


class _ContextBody(msgspec.Struct):
    cluster: str = ""
    user: str = ""


class _Context(msgspec.Struct):
    name: str
    context: _ContextBody


class _Kubeconfig(msgspec.Struct, rename="kebab"):
    clusters: list[_Cluster] | None = None
    contexts: list[_Context] | None = None
    users: list[_User] | None = None
    current_context: str | None = None


def find_files(kubeconfig: Path | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """List the kubeconfig files that kubectl would read: the one asked for, or $KUBECONFIG's, or ``~/.kube/config``.

    Files of $KUBECONFIG that don't exist are passed over, as kubectl does; an empty answer means that there is none.

    Raises:
        ConfigurationError: the file asked for does not exist.
    """
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            fault = "it is a folder; name a file" if kubeconfig.is_dir() else "there is no such file"
            raise ConfigurationError(f"--kubeconfig {kubeconfig}: {fault}")
        return (kubeconfig,)
    if listed := environ.get("KUBECONFIG"):
        named = [Path(entry) for entry in listed.split(os.pathsep) if entry]
    elif home := environ.get("HOME"):
        named = [Path(home, ".kube", "config")]
    else:
        named = []
    return tuple(file for file in named if file.is_file())


def choose(files: tuple[Path, ...], context: str | None) -> Choice:
    """Settle on a context of these files and see that everything it names is there.

    Raises:
        ConfigurationError: a file can't be read, or the context, its cluster or its user is in none of them.
    """
    configs = [_read(file) for file in files]
    where = ", ".join(str(file) for file in files)
    # Of two entries with one name the first counts: reversed, so that it is written last.
    contexts = {entry.name: entry.context for config in reversed(configs) for entry in reversed(config.contexts or [])}
    clusters = {entry.name: entry.cluster for config in reversed(configs) for entry in reversed(config.clusters or [])}
    users = {entry.name: entry.user for config in reversed(configs) for entry in reversed(config.users or [])}
    there = ", ".join(f'"{name}"' for name in sorted(contexts)) or "none"

    name = context or next((config.current_context for config in configs if config.current_context), None)
    if name is None:
        raise ConfigurationError(
            f"{where}: current-context is not set; name a context with --context (contexts: {there})"
        )
    if name not in contexts:
        asked = f'context "{name}"' if context else f'current-context "{name}"'
        raise ConfigurationError(f"{where}: {asked} is not defined (contexts: {there})")
    chosen = contexts[name]
    if chosen.cluster not in clusters:
        raise ConfigurationError(f'{where}: context "{name}" names cluster "{chosen.cluster}", which is not defined')
    if not clusters[chosen.cluster].server:
        raise ConfigurationError(
            f'{where}: cluster "{chosen.cluster}" of context "{name}" has no server; set clusters[].cluster.server'
        )
    if chosen.user and chosen.user not in users:
        raise ConfigurationError(f'{where}: context "{name}" names user "{chosen.user}", which is not defined')
    user = users.get(chosen.user)
    program = user.exec if user else None
    return Choice(
        files, name, program.command if program else None, " ".join(((program and program.install_hint) or "").split())
    )


def _read(file: Path) -> _Kubeconfig:
    try:
        text = file.read_text(encoding="utf-8")
        yaml_guard.check(text)
        return msgspec.yaml.decode(text, type=_Kubeconfig)
    except OSError as error:
        raise ConfigurationError(f"{file}: can't be read: {why(file, error)}") from error
    except (msgspec.DecodeError, yaml.YAMLError, ValueError) as error:
        raise ConfigurationError(f"{file}: not a kubeconfig: {' '.join(str(error).split())}") from error
