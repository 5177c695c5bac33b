"""A serving pair from two files, read again when their content changes (cert-manager, a provided Secret, a trial)."""

from contextlib import suppress
from pathlib import Path

from ...application.certificates.pem import CertificateError, CertificatePair
from ..file_errors import why

# A read may coincide with one swap of the folder, rarely with two, but not with three: they are a minute apart.
_SWAPS = 2

_DATA = "..data"  # kubernetes pkg/volume/util/atomic_writer.go: the link that is renamed over when a Secret changes


class PairFiles:
    """The two files of a serving pair, in PEM.

    A mounted Secret shows ``tls.crt`` as a link into ``..data``, itself a link to a folder with a time in its name; an update
    makes a new folder and swaps ``..data``. Both files are therefore read from the one folder that ``..data`` names at that
    moment, never by their own two paths, between which the swap may fall. (A Secret mounted with ``subPath`` is never updated
    by the kubelet.) In other folders, the files may be read while they are being replaced: such a pair does not match and is
    reported, and the next read is correct.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key

    def read(self) -> CertificatePair:
        """Read the pair.

        Raises:
            CertificateError: When a file cannot be read, or the two are not a pair; the message names the file.
        """
        certificate, key = self._contents()
        try:
            return CertificatePair.from_pem(certificate, key)
        except CertificateError as error:
            raise CertificateError(f"{self._certificate} and {self._key}: {error}") from error

    def changed(self, since: CertificatePair | None) -> CertificatePair | None:
        """Return the pair if it differs from ``since`` (the pair in use), otherwise ``None``; for polling.

        It keeps no state: a rejected pair is returned again at the next call, and an error is raised as long as its cause
        exists.

        Raises:
            CertificateError: As `read`.
        """
        pair = self.read()
        return None if pair == since else pair

    def _contents(self) -> tuple[bytes, bytes]:
        """Both files' contents, from the same version of the volume."""
        for _ in range(_SWAPS):  # the kubelet removes the old folder after a swap, perhaps between our two reads
            with suppress(CertificateError):
                return self._contents_once()
        return self._contents_once()

    def _contents_once(self) -> tuple[bytes, bytes]:
        certificate, key = self._resolved()
        return _content(certificate, self._certificate), _content(key, self._key)

    def _resolved(self) -> tuple[Path, Path]:
        folder = self._certificate.parent
        if folder != self._key.parent or not (folder / _DATA).is_symlink():
            return self._certificate, self._key
        version = (folder / _DATA).resolve()
        return version / self._certificate.name, version / self._key.name


def _content(path: Path, named: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{named}: {why(named, error)}") from error
