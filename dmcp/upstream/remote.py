"""How a link to a configured remote server is opened, without importing httpx before there is one.

Not here: the transports, and the choice between them (``sse``).
"""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Literal

from dmcp.protocol.limits import MAX_FRAME

if TYPE_CHECKING:
    from dmcp.config.model import RemoteServer
    from dmcp.protocol.link import Credentials, Link, LinkEvents, OpenLink


def remote_opener(
    server: RemoteServer,
    credentials: Credentials | None = None,
    name: str = "",
    timeout: float = 30.0,
    frame: int = MAX_FRAME,
) -> OpenLink:
    """Return what opens links to this server: an ``OpenLink``. It remembers for the run which transport worked.

    Opening over Streamable HTTP sends nothing yet: trouble shows with the first request. Over HTTP+SSE it
    opens the event stream and waits for the address to post to.

    Args:
        server: where to, and how. ``kind`` "auto" is Streamable HTTP first, then HTTP+SSE.
        credentials: where the ``Authorization`` header comes from, beyond the configured headers.
        name: the group's, for log lines.
        timeout: seconds its owner waits for it to connect. A host that has accepted no connection in half of them is
            taken for one that cannot be reached, so that this can be told from a server that is slow to answer.
        frame: bytes of one message of the server (``limits.frame``).
    """
    kind: Literal["http", "sse", "auto"] = server.kind

    def remember(worked: Literal["http", "sse"]) -> None:
        nonlocal kind
        kind = worked

    async def open_link(events: LinkEvents) -> Link:
        # In a thread: importing httpx takes a tenth of a second, for which nobody else's frames shall wait.
        await asyncio.to_thread(importlib.import_module, "dmcp.upstream.sse")
        from dmcp.upstream.endpoint import Endpoint  # noqa: PLC0415 - needs httpx, see above
        from dmcp.upstream.sse import open_over  # noqa: PLC0415 - needs httpx, see above

        endpoint = Endpoint(server, credentials, name, timeout / 2, frame)
        return await open_over(kind, endpoint, events, remember)

    return open_link
