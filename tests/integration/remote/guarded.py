"""A server that wants a sign-in, as "far" behind a dmcp, and the person who signs in: for the tests beside this."""

from __future__ import annotations

import asyncio
import urllib.request
from typing import TYPE_CHECKING, Any, Final

from harness import RawClient, dmcp_command, sdk_server, write_config

if TYPE_CHECKING:
    from pathlib import Path

    from harness.configs import Entry
    from servers.oauth_process import OAuthServer

URLS: Final = {"elicitation": {"form": {}, "url": {}}}
"""The capabilities of a client that shows a person an address."""
SIGNED_IN: Final = "somebody who signed in"
"""What the server says to whoever is let in."""


def client_of(
    guarded: OAuthServer, home: Path, name: str = "dmcp", *, near: bool = False, **timeouts: str
) -> RawClient:
    """A client of a dmcp in front of the guarded server, and with ``near`` of one that lets everybody in."""
    far: Entry = {"description": "guarded", "url": guarded.url, "timeout": {"tools": "20s", **timeouts}}
    servers = {"far": far, "near": sdk_server()} if near else {"far": far}
    return RawClient(dmcp_command(write_config(home / f"{name}.json", servers)))


async def visit(url: str) -> None:
    """Do what a person does in a browser."""

    def open_page() -> None:
        urllib.request.urlopen(url, timeout=20).close()

    await asyncio.to_thread(open_page)


def look(client: RawClient) -> int | str:
    """Ask for the tools of the guarded server without waiting for them: the client uses it, as a model does first."""
    arguments = {"group": "far"}
    return client.ask("tools/call", {"name": "get_dynamic_tools", "arguments": arguments})


async def offered(client: RawClient) -> dict[str, Any]:
    """Use the guarded server, and return the question with which the client is offered a sign-in."""
    look(client)
    return await client.heard("elicitation/create")


async def sign_in(client: RawClient) -> None:
    """Take the offer up."""
    offer = await offered(client)
    client.respond(offer, {"action": "accept"})
    await visit(offer["params"]["url"])


def ask(client: RawClient) -> int | str:
    """Call the guarded tool without waiting for it."""
    arguments = {"group": "far", "name": "whoami", "args": {}}
    return client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})


def text_of(result: dict[str, Any]) -> str:
    """The text of a tool's result."""
    text: str = result["content"][0]["text"]
    return text


async def whoami(client: RawClient) -> str:
    """Call the guarded tool; its answer."""
    return text_of(await client.call("far", "whoami"))
