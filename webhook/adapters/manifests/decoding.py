"""Decodes bytes to text, or says why they are not text."""

import codecs

from .items import UnreadableError

_OTHER_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def decode(content: bytes) -> str:
    """The text of a source: UTF-8, its byte order mark and line endings kept.

    Raises:
        UnreadableError: with the line of the first byte that is not UTF-8, and how to convert the file.
    """
    for mark, name in _OTHER_ENCODINGS:
        if content.startswith(mark):
            raise UnreadableError(1, f"the file is {name}, not UTF-8: convert it, with: iconv -f {name} -t UTF-8")
    nul = content.find(b"\0")
    if nul >= 0:
        raise UnreadableError(
            _line(content, nul), "the file holds NUL bytes: it is not text, or text in UTF-16; save it as UTF-8"
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise UnreadableError(
            _line(content, error.start), f"the byte 0x{byte:02x} is not UTF-8: save the file as UTF-8"
        ) from error


def _line(content: bytes, offset: int) -> int:
    return content.count(b"\n", 0, offset) + 1
