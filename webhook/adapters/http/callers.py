"""Who may call, by the name in its client certificate."""

from collections.abc import Iterable, Mapping
from typing import Any

from webhook.adapters.http.failures import Failure


class Callers:
    """The common names that may call. That a certificate is valid and of the right authority, TLS has seen to."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def refusal(self, certificate: Mapping[str, Any] | None) -> Failure | None:
        """Why a caller is refused by its certificate, as ``ssl.SSLSocket.getpeercert`` gives it; ``None`` when it is not."""
        subject = (certificate or {}).get("subject", ())
        names = [value for rdn in subject for key, value in rdn if key == "commonName"]
        # Of several names, some readers take the first and others the last: all must be allowed.
        if names and self._names.issuperset(names):
            return None
        shown = " and ".join(f'"{name}"' for name in names) or "none"
        message = f"the client certificate's common name is {shown}, which is not allowed; add it to --allowed-cn"
        return Failure(403, message, closes=True)
