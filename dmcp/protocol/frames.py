"""Cut a byte stream into lines. It knows nothing of JSON: a line is whatever stands between two line feeds."""

from __future__ import annotations

from io import BytesIO

from dmcp.protocol.limits import MIB

_SMALL = 1024  # bytes of a chunk below which it is put together with its neighbours
_LARGE = 4 * MIB  # bytes of a line from which on it is put together as it comes, and not at its end


class LineSplitter:
    """Collects chunks and gives back whole lines, in linear time however the stream was cut.

    A line longer than ``limit`` bytes is never held in memory: it comes out once as ``None`` when the limit
    is passed, and the rest of it is thrown away up to the next line feed.
    """

    __slots__ = ("_discarding", "_large", "_limit", "_parts", "_size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes | bytearray] = []
        # What has come of a large line. Joining 60 MB at its end would take all the time of a turn; this grows without
        # copying what is there, and its value is taken without copying too.
        self._large: BytesIO | None = None
        self._size = 0
        self._discarding = False

    def __repr__(self) -> str:
        return f"<LineSplitter pending={self._size} discarding={self._discarding}>"

    @property
    def pending(self) -> int:
        """Bytes of a line that has not ended yet."""
        return self._size

    def feed(self, chunk: bytes) -> list[bytes | None]:
        """Take the next bytes of the stream and return the lines they complete, without their ending."""
        at = chunk.find(b"\n")
        if at < 0:
            return self._hold(chunk)
        if at == len(chunk) - 1:  # as the end of a large line does: searching is much faster than splitting
            if self._size or self._discarding or at > self._limit:
                return self._finish(chunk[:-1])
            return [chunk[:-1]]
        head, *whole = chunk.split(b"\n")
        tail = whole.pop()
        lines = self._finish(head)
        lines += [line if len(line) <= self._limit else None for line in whole]
        return lines + self._hold(tail)

    def _finish(self, end: bytes) -> list[bytes | None]:
        discarding, parts, size, large = self._discarding, self._parts, self._size + len(end), self._large
        self._discarding, self._parts, self._size, self._large = False, [], 0, None
        if discarding:
            return []
        if size > self._limit:
            return [None]
        if large is not None:
            large.writelines((*parts, end))
            return [large.getvalue()]
        if not parts:
            return [end]
        parts.append(end)
        return [b"".join(parts)]

    def _hold(self, part: bytes) -> list[bytes | None]:
        if self._discarding or not part:
            return []
        if len(part) >= _SMALL:
            self._parts.append(part)
        elif self._parts and isinstance(self._parts[-1], bytearray):
            self._parts[-1] += part  # a stream of single bytes would cost fifty times what it says
        else:
            self._parts.append(bytearray(part))
        self._size += len(part)
        if self._size > self._limit:
            self._discarding, self._parts, self._size, self._large = True, [], 0, None
            return [None]
        if self._size > _LARGE and not isinstance(self._parts[-1], bytearray):
            if self._large is None:
                self._large = BytesIO()
            self._large.writelines(self._parts)
            self._parts.clear()
        return []
