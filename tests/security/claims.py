"""Servers that claim what tests want them to (``tests/servers/claimer.py``), and what dmcp makes of it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from harness import RawClient, dmcp_command, write_config
from harness.configs import TESTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.configs import Entry


def claimer(room: Path, name: str, **says: Any) -> Entry:
    """The entry of a server that says this."""
    path = room / f"{name.replace('/', '_')}.says.json"
    path.write_text(json.dumps({"name": name, **says}))
    return {"command": sys.executable, "args": [str(TESTS / "servers" / "claimer.py"), str(path)]}


def behind_dmcp(
    room: Path,
    command: Sequence[str] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    strict: bool = True,
    **groups: dict[str, Any],
) -> RawClient:
    """A client of a dmcp with these groups; a group "x_of_y" is called "x/y"."""
    named = {name.replace("_of_", "/"): says for name, says in groups.items()}
    servers = {name: claimer(room, name, **says) for name, says in named.items()}
    config = write_config(room / "dmcp.json", servers)
    return RawClient(command or dmcp_command(config), env=env, strict=strict)


async def read(client: RawClient, uri: str, **params: Any) -> str:
    """Who answered a read, and under which URI."""
    text: str = (await client.request("resources/read", {"uri": uri, **params}))["contents"][0]["text"]
    return text


async def got(client: RawClient, name: str, **params: Any) -> str:
    """Who answered for a prompt, and under which name."""
    result = await client.request("prompts/get", {"name": name, **params})
    text: str = result["messages"][0]["content"]["text"]
    return text


async def every(client: RawClient, method: str, **params: Any) -> list[str]:
    """The names of all entries of a listing, page by page; fails if a cursor comes twice."""
    key, member = {
        "resources/list": ("uri", "resources"),
        "resources/templates/list": ("uriTemplate", "resourceTemplates"),
        "prompts/list": ("name", "prompts"),
    }[method]
    names: list[str] = []
    cursors: set[str] = set()
    while True:
        page = await client.request(method, params)
        names += [entry[key] for entry in page[member]]
        if "nextCursor" not in page:
            return names
        assert page["nextCursor"] not in cursors
        cursors.add(page["nextCursor"])
        params = {**params, "cursor": page["nextCursor"]}
