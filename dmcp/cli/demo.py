"""``dmcp demo``: what an assistant sees through dmcp, shown with a real client, a real dmcp and two small servers.

Not here: the servers (``dmcp.demo``) and the client (``dmcp.cli.client``). Every number printed is measured.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import textwrap
from pathlib import Path
from typing import Any, Final

import click
from pydantic_core import to_json

from dmcp import __version__
from dmcp.cli.client import Client, dmcp_serving, python
from dmcp.cli.formatting import count, size, tokens

_SERVERS: Final = {
    "notes": "Write, find, tag and change short notes",
    "units": "Convert units, temperatures and times of day; count with dates and durations",
}
_WIDTH: Final = 100  # characters; wider lines are hard to read
_CALLS: Final = (
    ("notes", "search_notes", {"query": "marathon"}),
    ("notes", "read_note", {"number": 3}),
    ("units", "convert", {"value": 26.2, "from_unit": "mi", "to_unit": "km"}),
)


def _command_of(name: str) -> list[str]:
    return python("-m", f"dmcp.demo.{name}")


@click.command("demo")
def demo_command() -> None:
    """Show what an assistant sees through dmcp.

    Starts a dmcp in front of two small MCP servers that come with it, and talks to it as an assistant would.
    It reads no configuration, writes no file that stays, and uses no network.
    """
    with tempfile.TemporaryDirectory(prefix="dmcp-demo-") as directory:
        config = Path(directory) / "demo.json"
        servers = {}
        for name, description in _SERVERS.items():
            command, *arguments = _command_of(name)
            servers[name] = {"description": description, "command": command, "args": arguments}
        config.write_bytes(to_json({"mcpServers": servers}, indent=2))
        asyncio.run(_session(config))


async def _session(config: Path) -> None:
    click.echo(
        f"dmcp {__version__}: a client, one dmcp, and behind it two MCP servers: {' and '.join(_SERVERS)}.\n"
    )
    # The line that dmcp writes at a healthy start is no part of the show.
    level = os.environ.get("DMCP_LOG") or "warning"
    async with Client(dmcp_serving(config), log_level=level) as client:
        _headline("What the assistant sees: two tools")
        shown = await client.list_all("tools")
        _show_tools(shown)

        _headline("It asks what a group can do")
        click.echo('get_dynamic_tools(group="units")')
        tools = await client.group_tools("units")
        names = ", ".join(tool["name"] for tool in tools)
        told = f"{count(len(tools), 'tool')}, {size(tools):,} bytes: {names}"
        click.echo(textwrap.fill(told, _WIDTH, initial_indent="  ", subsequent_indent="  ") + "\n")

        _headline("It calls what it found")
        for group, tool, arguments in _CALLS:
            await _show_call(client, group, tool, arguments)
    spared = [await _asked_directly(name) for name in _SERVERS]
    _show_sums(shown, [tool for tools in spared for tool in tools])


def _headline(text: str) -> None:
    click.secho(text, bold=True)


def _show_tools(tools: list[dict[str, Any]]) -> None:
    for tool in tools:
        description = tool["description"].splitlines()
        click.echo(f"  {tool['name']:<18} {description[0].split('. ')[0].split(': ')[0]}")
        for line in description:
            if line.startswith("- "):
                click.echo(f"  {'':<18} {line}")
    click.echo()


async def _show_call(client: Client, group: str, tool: str, arguments: dict[str, Any]) -> None:
    click.echo(f'call_dynamic_tool(group="{group}", name="{tool}", args={to_json(arguments).decode()})')
    result = await client.group_call(group, tool, arguments)
    for line in result["content"][0]["text"].splitlines():
        click.echo(f"  {line}".rstrip())
    click.echo()


async def _asked_directly(name: str) -> list[dict[str, Any]]:
    """Return the tool definitions a server gives a client that talks to it without dmcp."""
    async with Client(_command_of(name)) as client:
        return await client.list_all("tools")


def _show_sums(shown: list[dict[str, Any]], behind: list[dict[str, Any]]) -> None:
    before, after = size(behind), size(shown)
    _headline("What the assistant is spared")
    rows = (
        ("tool definitions of the two servers, asked without dmcp", behind, before),
        ("tool definitions dmcp shows in their place", shown, after),
    )
    for what, tools, number in rows:
        click.echo(f"  {what:<56} {count(len(tools), 'tool'):>8} {number:>7,} bytes")
    spared = f"{before - after:,} bytes, about {tokens(before - after):,} tokens"
    click.echo(f"  spared at the start of every conversation: {spared} ({1 - after / before:.0%})\n")
    click.echo("Your own servers:  dmcp import --list   finds them in the coding tools on this machine.")
