"""Content encodings of HTTP bodies, decompressed in small steps so that a limit stops a bomb before it grows.

Pure: bytes in, bytes out. One encoding is accepted; what several would hide is not known before all are undone.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCEPTED: Final = "gzip, deflate"
"""The value of ``Accept-Encoding``: exactly what ``Decoder`` undoes."""
STEP: Final = 64 * 1024
"""Bytes one step gives out at most."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_ZLIB: Final = zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_ZLIB_HEADER: Final = 2  # bytes
_NONE: Final = frozenset({"", "identity"})


class UnsupportedEncodingError(ValueError):
    """A content encoding that was not asked for; ``str()`` is a phrase for a person."""


class DamagedEncodingError(ValueError):
    """The body is not what its content encoding says; ``str()`` is a phrase for a person."""


def decoder(content_encoding: str) -> Decoder | None:
    """Return what undoes this ``Content-Encoding`` header; ``None`` where there is nothing to undo.

    Raises:
        UnsupportedEncodingError: it names another encoding than gzip and deflate, or several.
    """
    names = [name for each in content_encoding.split(",", 8) if (name := each.strip().lower()) not in _NONE]
    if not names:
        return None
    if len(names) > 1:
        raise UnsupportedEncodingError(
            f"compressed its answer {len(names)} times over, which dmcp does not undo"
        )
    if names[0] in {"gzip", "x-gzip"}:
        return Decoder(_GZIP)
    if names[0] == "deflate":
        return Decoder(_ZLIB)
    raise UnsupportedEncodingError(
        f"compressed its answer as {names[0][:20]!r}; dmcp asks for {ACCEPTED} only"
    )


class Decoder:
    """Undoes one encoding of one body. Used by one reader."""

    __slots__ = ("_ended", "_head", "_wbits", "_zlib")

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._zlib = zlib.decompressobj(wbits)
        self._head: bytes | None = b"" if wbits == _ZLIB else None  # until it can be told from raw deflate
        self._ended = False

    def __repr__(self) -> str:
        return f"<Decoder wbits={self._wbits} ended={self._ended}>"

    def steps(self, chunk: bytes) -> Iterator[bytes]:
        """Decompress the next bytes of the body; each step gives out ``STEP`` bytes at most.

        What follows the end of the compressed data is ignored, as browsers do.

        Raises:
            DamagedEncodingError: they are not compressed like that.
        """
        if self._head is not None:
            self._head += chunk
            if len(self._head) < _ZLIB_HEADER:
                return
            chunk, self._head = self._head, None
            if not _has_zlib_header(chunk):
                # "deflate" means the zlib format (RFC 9110, 8.4.1.2), but some servers send it without its header.
                self._zlib = zlib.decompressobj(_RAW)
        while chunk and not self._ended:
            part = self._step(chunk)
            chunk = self._zlib.unconsumed_tail
            self._ended = self._zlib.eof
            if part:
                yield part
        # What zlib has read already and not given out yet.
        while not self._ended and (part := self._step(b"")):
            yield part
            self._ended = self._zlib.eof

    def _step(self, chunk: bytes) -> bytes:
        try:
            return self._zlib.decompress(chunk, STEP)
        except zlib.error:
            raise DamagedEncodingError("sent a compressed answer that is damaged") from None


def _has_zlib_header(head: bytes) -> bool:
    """Return whether the first two bytes are those of the zlib format (RFC 1950, 2.2)."""
    return head[0] & 0x0F == zlib.DEFLATED and (head[0] << 8 | head[1]) % 31 == 0
