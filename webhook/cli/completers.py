"""Shell completion of option values. If values can't be read within two seconds, none are offered, without an error."""

import os
from collections.abc import Iterable
from pathlib import Path

import typer

_SECONDS = 2.0


def policies(ctx: typer.Context, incomplete: str) -> list[str]:
    """The policies of ``--config``, or of $GPUWARDEN_CONFIG, and the built-in values."""
    from ..adapters.configuration import file as configuration_file  # noqa: PLC0415 - start-up time: only for completion
    from ..engine.policy import EXAMPLES  # noqa: PLC0415 - likewise

    configured: Iterable[str] = ()
    path = ctx.params.get("config") or os.environ.get("GPUWARDEN_CONFIG")
    if path:
        try:
            configured = configuration_file.parse(Path(path).read_text(encoding="utf-8")).policies.configured
        except (OSError, ValueError, configuration_file.ConfigurationError):
            configured = ()
    return [name for name in (*configured, *EXAMPLES) if name.startswith(incomplete)]


def rules(incomplete: str) -> list[str]:
    """The ids of the rules."""
    from ..engine.rules.catalog import RULES  # noqa: PLC0415 - likewise

    return [rule.id for rule in RULES if rule.id.startswith(incomplete)]


def explained(ctx: typer.Context, incomplete: str) -> list[str]:
    """What can be explained: policies, and rules."""
    return [*policies(ctx, incomplete), *rules(incomplete)]


def contexts(ctx: typer.Context, incomplete: str) -> list[str]:
    """The contexts of the kubeconfig."""
    from ..adapters.kubernetes import kubeconfig  # noqa: PLC0415 - likewise
    from ..adapters.kubernetes.errors import KubeconfigError  # noqa: PLC0415 - likewise

    try:
        named = kubeconfig.contexts(kubeconfig.find_files(_kubeconfig(ctx), os.environ))
    except KubeconfigError:
        return []
    return [name for name in named if name.startswith(incomplete)]


def namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """The namespaces of the cluster, if it answers within two seconds."""
    from ..adapters.kubernetes.api_request import ApiRequest, path_of  # noqa: PLC0415 - likewise
    from ..adapters.kubernetes.connect import connect  # noqa: PLC0415 - likewise
    from ..adapters.kubernetes.documents import decode  # noqa: PLC0415 - likewise
    from ..adapters.kubernetes.errors import ApiError, KubeconfigError  # noqa: PLC0415 - likewise

    try:
        api = connect(_kubeconfig(ctx), ctx.params.get("context"), os.environ)
        listed = api.call(ApiRequest("GET", path_of("api", "v1", "namespaces")), timeout=_SECONDS)
        names = [item["metadata"]["name"] for item in decode(listed, dict, "namespaces")["items"]]
    except (ApiError, KubeconfigError, KeyError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def _kubeconfig(ctx: typer.Context) -> Path | None:
    given = ctx.params.get("kubeconfig") or os.environ.get("GPUWARDEN_KUBECONFIG")
    return Path(given) if given else None
