"""What ``gpuwarden serve`` was told."""

from dataclasses import dataclass
from pathlib import Path

from webhook.adapters.logs import LogFormat, LogLevel


class StartError(Exception):
    """The server can't start; a line a reason, each naming the option or file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Every option, by its own name; see ``gpuwarden serve --help``."""

    host: str
    port: int
    ops_port: int
    config: Path | None
    namespaces: Path | None
    kubeconfig: Path | None
    context: str | None
    tls_cert_file: Path | None
    tls_private_key_file: Path | None
    tls_self_signed: bool
    manage_certificates: bool
    ca_secret: str
    service: str
    pod_namespace: str
    webhook_configuration: str | None
    mutating_webhook_configuration: str | None
    ca_bundle_file: Path | None
    tls_name: tuple[str, ...]
    ca_lifetime: float
    leaf_lifetime: float
    clock_skew: float
    propagation: float
    client_ca_file: Path | None
    allowed_cn: tuple[str, ...]
    max_connections: int
    max_memory: int
    head_timeout: float
    request_timeout: float
    max_lag: float
    shutdown_delay: float
    log_format: LogFormat
    log_level: LogLevel
