"""How the fault tests get at dmcp: a configuration with misbehaving servers, and what the answers mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import RawClient, RpcError, dmcp_command, write_config
from harness.configs import Entry, python_server

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVERS = Path(__file__).parent / "servers"
FAST_RESTART = {"backoff_min": "10ms", "backoff_max": "50ms", "intensity": 1000}
"""A restart policy that does not keep a test waiting."""


def rogue(**more: Any) -> Entry:
    """A server that connects without fault; its tools misbehave."""
    return python_server(SERVERS / "rogue_calls.py", **{"restart": FAST_RESTART, **more})


def newcomer(misdeed: str = "none", **more: Any) -> Entry:
    """A server that misbehaves on the way to being ready."""
    return python_server(SERVERS / "rogue_start.py", misdeed, **{"restart": FAST_RESTART, **more})


def dmcp(
    path: Path, servers: dict[str, Entry], *, env: Mapping[str, str] | None = None, strict: bool = True
) -> RawClient:
    """A client of a dmcp in front of these servers. ``path`` is the test's own directory."""
    config = write_config(path / "dmcp.json", servers)
    return RawClient(dmcp_command(config), env=env, strict=strict)


def call_of(name: str, args: Any = None, group: str = "g") -> dict[str, Any]:
    """The params of a ``tools/call`` that calls a tool through dmcp."""
    return {"name": "call_dynamic_tool", "arguments": {"group": group, "name": name, "args": args or {}}}


def text_of(result: dict[str, Any]) -> str:
    """The text of a tool result that is one text."""
    text: str = result["content"][0]["text"]
    return text


async def echoes(client: RawClient, group: str) -> None:
    """Fail unless this group answers a call."""
    result = await client.call(group, "echo", {"still": "there"})
    assert json.loads(text_of(result)) == {"still": "there"}


async def failure_of(client: RawClient, group: str, name: str, args: Any = None) -> RpcError:
    """The error that this call ends in."""
    try:
        result = await client.call(group, name, args)
    except RpcError as error:
        return error
    raise AssertionError(f"{name} of {group} was answered: {result}")


def journal_of(path: Path) -> list[str]:
    """The lines of a server's journal."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
