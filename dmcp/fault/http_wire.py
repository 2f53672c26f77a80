"""One TCP connection of a client: HTTP/1.1 requests in, responses out, cut wherever a fault wants it (RFC 9112).

h11 does the protocol; this adds the socket. A client that has gone is no error here: writing does nothing then.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import h11

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Mapping, Sequence

_CHUNK: Final = 65_536
_MAX_BODY: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """A connection. Used by one task at a time."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_CHUNK)
        self.gone = False

    def __repr__(self) -> str:
        return f"<Wire {self._http.states} gone={self.gone}>"

    @property
    def begun(self) -> bool:
        """Whether the head of the response to the current request has been sent."""
        return self._http.our_state is not h11.IDLE and self._http.our_state is not h11.SEND_RESPONSE

    async def next_request(self) -> Request | None:
        """The next request, whole; nothing when the client leaves or is no HTTP client."""
        head: h11.Request | None = None
        body: list[bytes] = []
        try:
            while not self.gone:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(_CHUNK))
                elif isinstance(event, h11.Request):
                    head = event
                elif isinstance(event, h11.Data):
                    body.append(bytes(event.data))
                    if sum(map(len, body)) > _MAX_BODY:
                        return None
                elif isinstance(event, h11.EndOfMessage) and head is not None:
                    return _request(head, b"".join(body))
                else:
                    return None
        except (h11.RemoteProtocolError, OSError):
            self.gone = True
        return None

    def renew(self) -> bool:
        """Get ready for the next request; whether the connection can be used for one."""
        if self.gone or self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def head(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Begin the response; its body is chunked unless a length is among the headers."""
        await self._put(self._http.send(h11.Response(status_code=status, headers=list(headers))))

    async def body(self, piece: bytes) -> None:
        """A piece of the response's body."""
        if piece:
            await self._put(self._http.send(h11.Data(data=piece)))

    async def end(self) -> None:
        """The end of the response. Idempotent."""
        if not self.gone and self._http.our_state is h11.SEND_BODY:
            await self._put(self._http.send(h11.EndOfMessage()))

    async def whole(self, status: int, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> None:
        """A whole response, unless one has begun."""
        if self.begun or self.gone:
            return
        has_length = any(name.lower() == "content-length" for name, _ in headers)
        # 204 and 304 have neither body nor length (RFC 9110, 8.6).
        bare = status in {204, 304}
        length = () if has_length or bare else (("content-length", str(len(body))),)
        await self.head(status, (*headers, *length))
        await self.body(b"" if bare else body)
        await self.end()

    async def raw(self, text: bytes) -> None:
        """Bytes past all rules of HTTP."""
        await self._put(text)

    def cut(self, *, abort: bool) -> None:
        """End the connection here and now: by a reset, or in order at whatever point it is. Idempotent."""
        if self.gone:
            return
        self.gone = True
        raw = self._writer.get_extra_info("socket")
        if abort and raw is not None:
            # Zero linger makes the close a reset (RST) on all platforms; transport.abort() alone sends a FIN.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        else:
            self._writer.close()

    async def close(self) -> None:
        """Close in order. Idempotent."""
        self.gone = True
        self._writer.close()

    async def _put(self, text: bytes | None) -> None:
        if self.gone or not text:
            return
        try:
            self._writer.write(text)
            await self._writer.drain()
        except OSError:
            self.gone = True


def _request(head: h11.Request, body: bytes) -> Request:
    headers = {bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in head.headers}
    path = bytes(head.target).decode("latin-1").partition("?")[0]
    return Request(bytes(head.method).decode("ascii"), path, headers, body)
