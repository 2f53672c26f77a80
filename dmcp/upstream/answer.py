"""The answer to one HTTP request: status, headers, and a body that is still to be read.

As much of an ``httpx.Response`` as the links look at: making the whole of one, and of an ``httpx.Request``, costs
more than all the rest of a call (docs/performance.md). Not here: what is read from the body (``bodies``).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import httpx

from dmcp.protocol import encodings

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence

    from dmcp.upstream.connection import Connection

Header = tuple[bytes, bytes]
Heard: TypeAlias = "Callable[[Answer | httpx.HTTPError], None]"
"""Is told the answer to a request, or why there is none; once."""

_STEPS_A_TURN: Final = 16
"""Steps of decompression (a megabyte) between two turns of the loop."""


class Answer:
    """Whoever gets it closes it.

    Attributes:
        status_code: of HTTP.
        headers: by name in lower case; what came several times is joined with commas (RFC 9110, 5.3).
        raw_headers: as they came.
        stream: the body as it came, perhaps compressed.
        proxy: the address of the proxy it came through; empty where there is none.
    """

    __slots__ = ("headers", "proxy", "raw_headers", "status_code", "stream")

    def __init__(
        self,
        status_code: int,
        raw_headers: Sequence[Header],
        stream: httpx.AsyncByteStream,
        proxy: str = "",
    ) -> None:
        self.proxy = proxy
        self.status_code = status_code
        self.raw_headers = raw_headers
        self.stream = stream
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in raw_headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "surrogateescape")
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value

    def __repr__(self) -> str:
        return f"<Answer {self.status_code}>"

    @property
    def is_plain(self) -> bool:
        """Whether the body is not compressed."""
        return "content-encoding" not in self.headers

    def chunks(self) -> AsyncIterable[bytes]:
        """The body as it arrives, not compressed any more, in parts of at most ``encodings.STEP`` if it was.

        Raises:
            httpx.HTTPError: the connection broke.
            httpx.DecodingError: the compression is damaged, or one dmcp does not ask for.
        """
        return self.stream if self.is_plain else self._decompressed()

    async def _decompressed(self) -> AsyncIterator[bytes]:
        try:
            undo = encodings.decoder(self.headers["content-encoding"])
            steps = 0
            async for chunk in self.stream:
                for part in (chunk,) if undo is None else undo.steps(chunk):
                    yield part
                    steps += 1
                    if steps % _STEPS_A_TURN == 0:
                        await asyncio.sleep(
                            0
                        )  # a megabyte may stand for a gigabyte: the loop goes on meanwhile
        except (encodings.UnsupportedEncodingError, encodings.DamagedEncodingError) as error:
            raise httpx.DecodingError(str(error)) from error

    async def aclose(self) -> None:
        """Done with it. A body that was not read to its end costs its connection."""
        await self.stream.aclose()


class Transport(Protocol):
    """A way to one origin: straight (``direct``), or through a proxy (``origins``).

    Attributes:
        proxy: the proxy's address for an error to name, without credentials; empty where there is none.
    """

    proxy: str

    async def ask(
        self, method: str, url: httpx.URL, headers: list[Header], body: bytes, connect_timeout: float
    ) -> Answer:
        """Send one request and wait for the head of its answer. The headers are complete.

        A new connection, where one is needed, must stand within ``connect_timeout`` seconds, TLS included.

        Raises:
            httpx.HTTPError: there is none.
        """

    def start(
        self, method: str, url: httpx.URL, headers: list[Header], body: bytes, heard: Heard
    ) -> Connection | None:
        """The same without waiting, if there is a free connection: it is returned, and closed by who gives up."""

    async def aclose(self) -> None:
        """Close every connection; requests in flight break."""
