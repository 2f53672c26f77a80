"""A misbehaving server and a link to it, for each test."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pytest

from contract.owner import Owner
from dmcp.config.model import RemoteServer
from dmcp.protocol.limits import MAX_FRAME
from dmcp.upstream.remote import remote_opener
from servers.raw_http import RawServer, raw_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dmcp.protocol.link import Credentials
    from servers.raw_http import Reaction


class Connect(Protocol):
    """Opens a link to a server; closed after the test."""

    async def __call__(
        self,
        url: str,
        kind: Literal["http", "sse", "auto"] = "http",
        credentials: Credentials | None = None,
        frame: int = MAX_FRAME,
        **headers: str,
    ) -> Owner: ...


class Session(Protocol):
    """Establishes a session with the server, which from then on meets tool calls like this."""

    async def __call__(self, on_call: Reaction, frame: int = MAX_FRAME) -> Owner: ...


@pytest.fixture
async def server(anyio_backend: Any) -> AsyncIterator[RawServer]:
    async with raw_server() as running:
        yield running


@pytest.fixture
async def connect(anyio_backend: Any) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connected(
            url: str,
            kind: Literal["http", "sse", "auto"] = "http",
            credentials: Credentials | None = None,
            frame: int = MAX_FRAME,
            **headers: str,
        ) -> Owner:
            owner = Owner()
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            link = await owner.open(remote_opener(RemoteServer(url, kind, named), credentials, frame=frame))
            stack.push_async_callback(link.aclose, 2.0)
            return owner

        yield connected


@pytest.fixture
async def session(server: RawServer, connect: Connect) -> Session:
    async def established(on_call: Reaction, frame: int = MAX_FRAME) -> Owner:
        server.on("tools/call", on_call)
        owner = await connect(server.url, frame=frame)
        await owner.establish()
        return owner

    return established
