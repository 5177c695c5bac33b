"""The options for the address of Prometheus, the CA to trust and the credentials, which come from files only."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import typer

from ..adapters.prometheus import connection
from ..adapters.prometheus.connection import ConnectionOptionError, ServerAccess
from .messages import usage_error

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--prometheus",
        metavar="URL",
        envvar="GPUWARDEN_PROMETHEUS",
        help="Prometheus, Thanos, Mimir or VictoriaMetrics: the URL up to /api/v1. Without it, the cluster's is found by "
        "its Service's labels and reached through the API server.",
    ),
]
CaOption = Annotated[
    Path | None, typer.Option("--prometheus-ca-file", help="CA certificates (PEM) to trust instead of the system's.")
]
CertificateOption = Annotated[Path | None, typer.Option("--prometheus-client-cert", help="Client certificate.")]
KeyOption = Annotated[Path | None, typer.Option("--prometheus-client-key", help="Its private key.")]
TokenOption = Annotated[Path | None, typer.Option("--prometheus-token-file", help="File with a bearer token.")]
UserOption = Annotated[str | None, typer.Option("--prometheus-user", help="User for basic authentication.")]
PasswordOption = Annotated[Path | None, typer.Option("--prometheus-password-file", help="File with the password.")]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prometheus-header", metavar="NAME: VALUE", help="One more header, such as X-Scope-OrgID; repeatable."
    ),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prometheus-label",
        metavar="LABEL=VALUE",
        help="Only series with this label, such as cluster=a, if one Prometheus holds several clusters; repeatable.",
    ),
]
KubernetesTokenOption = Annotated[
    bool,
    typer.Option(
        "--prometheus-kubernetes-token",
        help="Send the token of the kubeconfig or the pod there, as OpenShift's thanos-querier expects; never done otherwise.",
    ),
]

_LABEL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):\s*([\x20-\x7e]*)")


@dataclass(frozen=True)
class PrometheusOptions:
    """The options together, by their names without ``--prometheus-``."""

    url: str | None
    ca_file: Path | None
    client_cert: Path | None
    client_key: Path | None
    token_file: Path | None
    user: str | None
    password_file: Path | None
    header: list[str]
    kubernetes_token: bool

    @property
    def given(self) -> list[str]:
        """The options that are set besides the URL, by their names."""
        _, *others = fields(self)
        return [f"--prometheus-{one.name.replace('_', '-')}" for one in others if getattr(self, one.name)]

    def access(self) -> ServerAccess:
        """Return the access that the options describe, without the kubeconfig's token.

        Raises:
            typer.Exit: 2, after printing which can't be combined.
        """
        ways = [one for one in self.given if one.endswith(("token-file", "user", "kubernetes-token"))]
        if len(ways) > 1:
            raise usage_error(f"{' and '.join(ways)} are different ways to log in; leave out all but one")
        for one, other in (("user", "password-file"), ("client-cert", "client-key")):
            pair = [f"--prometheus-{one}", f"--prometheus-{other}"]
            if len(missing := [name for name in pair if name not in self.given]) == 1:
                raise usage_error(f"{' and '.join(pair)} go together; set {missing[0]}, too")
        access = ServerAccess(self.ca_file, self.client_cert, self.client_key, headers=dict(map(_header, self.header)))
        option, authorization = "", access.authorization
        if self.token_file:
            option, authorization = "token", connection.bearer(self.token_file)
        if self.user and self.password_file:
            if ":" in self.user:
                raise usage_error(f'--prometheus-user: "{self.user}" contains a colon; write only the name of the user')
            option, authorization = "password", connection.basic(self.user, self.password_file)
        try:
            authorization()
        except ConnectionOptionError as error:
            raise usage_error(f"--prometheus-{option}-file {error}") from error
        return replace(access, authorization=authorization)


def labels_of(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return the values of each label that ``--prometheus-label`` names.

    Raises:
        typer.Exit: 2, after printing which is not a label and a value.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        match = _LABEL.fullmatch(text)
        if not match:
            raise usage_error(f'--prometheus-label: "{text}" is not a label; write LABEL=VALUE, such as cluster=a')
        found.setdefault(match[1], []).append(match[2])
    return found


def _header(text: str) -> tuple[str, str]:
    if match := _HEADER.fullmatch(text):
        return match[1], match[2]
    raise usage_error(
        f'--prometheus-header: "{text}" is not a header; write "NAME: VALUE", such as "X-Scope-OrgID: team-a"'
    )
