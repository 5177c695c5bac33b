"""The options of ``gpuwarden serve``, each also an environment variable."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..adapters.http.limits import MAX_LAG_SECONDS, MIB, Limits
from ..adapters.kubernetes.gpu_node_selectors import SELECTORS
from ..adapters.logs import LogFormat, LogLevel
from ..application.certificates.settings import RotationSettings
from .cluster_options import NAMESPACE

# For clusters whose clocks differ more or whose API servers take longer, and for trials of a rotation.
_ROTATION = "Rotation of managed certificates (use the same values for all replicas)"
_DEFAULTS = RotationSettings()
_LIMITS = "Limits (docs/reference/limits.md has the answer beyond each)"
_MOST = Limits()


class StartError(Exception):
    """The server can't start; one line per reason, each naming the option or file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Every option, by its name, as typer reads it."""

    host: Annotated[str, typer.Option(help="Address to listen on; every address by default.")] = ""
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of /mutate and /validate, over TLS.")] = 8443
    ops_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of /healthz, /readyz and /metrics, without TLS.")
    ] = 8080
    config: Annotated[Path | None, typer.Option(help="Configuration file; reloaded when it changes.")] = None
    namespaces: Annotated[
        Path | None,
        typer.Option(
            help="Namespaces and their labels, as printed by kubectl get namespaces -o yaml; reloaded when it changes."
        ),
    ] = None
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Watch the namespaces of this kubeconfig's cluster; in a pod, its own.")
    ] = None
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig, as in kubectl.")] = None
    watch_nodes: Annotated[
        bool,
        typer.Option(
            "--watch-nodes/--no-watch-nodes",
            help="Watch the cluster's GPU nodes, to warn of requests that no node can run.",
        ),
    ] = True
    count_pods: Annotated[
        bool,
        typer.Option(
            "--count-pods/--no-count-pods",
            help="List all pods every five minutes, for the metrics of GPUs that pods hold and wait for.",
        ),
    ] = True
    watch_in_tree: Annotated[
        bool,
        typer.Option(
            "--watch-in-tree",
            help="List gpuwarden's admission policies every minute, and report those that differ from the configuration.",
        ),
    ] = False
    node_selector: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SELECTOR",
            help=f"Label selector of nodes with GPUs; repeatable, and one is enough. [default: {', '.join(SELECTORS)}]",
        ),
    ] = None
    tls_cert_file: Annotated[
        Path | None, typer.Option(help="Serving certificate (PEM, leaf first); reloaded on change.")
    ] = None
    tls_private_key_file: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None
    tls_self_signed: Annotated[
        bool,
        typer.Option(
            "--tls-self-signed", help="Make a certificate for localhost at start, for a trial; the caBundle is logged."
        ),
    ] = False
    manage_certificates: Annotated[
        bool,
        typer.Option(
            "--manage-certificates",
            help="Share a CA in a Secret with the other replicas, sign the serving certificate, and write every caBundle.",
        ),
    ] = False
    ca_secret: Annotated[str, typer.Option(help="The Secret of the CA, created if missing.")] = "gpuwarden-ca"  # noqa: S105 - the name of a Secret, not a secret
    ca_secret_owner: Annotated[
        str,
        typer.Option(
            help="The Role in its namespace that owns the created Secret: deleting the Role deletes the Secret."
        ),
    ] = ""
    service: Annotated[
        str, typer.Option(help="The Service that the API server calls; the certificate is issued for it.")
    ] = "gpuwarden"
    pod_namespace: Annotated[str, typer.Option(help="The namespace of the Secret and the Service.")] = NAMESPACE
    webhook_configuration: Annotated[
        str | None,
        typer.Option(help="Name of the webhook configurations; a replica is ready only if they trust its certificate."),
    ] = None
    mutating_webhook_configuration: Annotated[
        str | None,
        typer.Option(help="Name of the MutatingWebhookConfiguration, if it differs from --webhook-configuration."),
    ] = None
    ca_bundle_file: Annotated[
        Path | None, typer.Option(help="Write this CA (PEM) into their caBundles, for certificates from files.")
    ] = None
    tls_name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another DNS name or IP address for the managed certificate; repeatable."),
    ] = None
    ca_lifetime: Annotated[
        float,
        typer.Option(
            min=0,
            rich_help_panel=_ROTATION,
            help="Lifetime of a managed CA in seconds; its successor is published at two thirds. At least three leaf lifetimes.",
        ),
    ] = _DEFAULTS.ca_lifetime.total_seconds()
    leaf_lifetime: Annotated[
        float,
        typer.Option(
            min=0,
            rich_help_panel=_ROTATION,
            help="Lifetime of a serving certificate in seconds; renewed at two thirds. At least four times the next two.",
        ),
    ] = _DEFAULTS.leaf_lifetime.total_seconds()
    clock_skew: Annotated[
        float,
        typer.Option(
            min=0, rich_help_panel=_ROTATION, help="Seconds by which the clocks of any two machines may differ."
        ),
    ] = _DEFAULTS.clock_skew.total_seconds()
    propagation: Annotated[
        float,
        typer.Option(min=0, rich_help_panel=_ROTATION, help="Seconds until every API server uses a new caBundle."),
    ] = _DEFAULTS.propagation.total_seconds()
    client_ca_file: Annotated[
        Path | None,
        typer.Option(
            help="Accept reviews only from clients with a certificate of these CAs (PEM); reloaded on change."
        ),
    ] = None
    allowed_cn: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A common name that a client certificate may have; repeatable. Without it, any."
        ),
    ] = None
    max_connections: Annotated[
        int,
        typer.Option(
            min=1, rich_help_panel=_LIMITS, help="Open connections on --port; beyond it the longest idle one is closed."
        ),
    ] = _MOST.connections
    max_memory: Annotated[
        int,
        typer.Option(
            min=8,
            rich_help_panel=_LIMITS,
            help="MiB of buffered requests and unread answers of all connections together.",
        ),
    ] = _MOST.memory // MIB
    head_timeout: Annotated[
        float,
        typer.Option(
            min=0.1,
            rich_help_panel=_LIMITS,
            help="Seconds for a TLS handshake, and for the head of a request from its first byte.",
        ),
    ] = _MOST.head_seconds
    request_timeout: Annotated[
        float,
        typer.Option(
            min=0.1, rich_help_panel=_LIMITS, help="Seconds from a request's first byte until its answer has been sent."
        ),
    ] = _MOST.request_seconds
    max_lag: Annotated[
        float,
        typer.Option(
            min=0.1,
            rich_help_panel=_LIMITS,
            help="Seconds that a request may wait for its turn; beyond it, it gets 503 and Retry-After.",
        ),
    ] = MAX_LAG_SECONDS
    shutdown_delay: Annotated[
        float,
        typer.Option(
            min=0,
            max=300,
            help="Seconds to keep answering, not ready, after SIGTERM, until endpoints no longer list this replica.",
        ),
    ] = 0.0
    log_format: Annotated[LogFormat, typer.Option(help="json or text.")] = LogFormat.JSON
    log_level: Annotated[LogLevel, typer.Option(help="The least severe line.")] = LogLevel.INFO


def signature() -> inspect.Signature:
    """The options as parameters for typer, each also read from the environment: ``--ops-port`` from GPUWARDEN_OPS_PORT."""
    options = inspect.signature(Options)
    for name, parameter in options.parameters.items():
        (option,) = parameter.annotation.__metadata__
        option.envvar = f"GPUWARDEN_{name.upper()}"
    return options
