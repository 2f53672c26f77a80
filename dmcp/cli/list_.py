"""``dmcp list``: what the servers of a configuration offer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click

from dmcp import log
from dmcp.cli import formatting, trust
from dmcp.cli.client import reason_of
from dmcp.cli.context import configuration, groups, no_group, session, split
from dmcp.cli.formatting import count, first_sentence, parameters
from dmcp.errors import ConfigError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dmcp.cli.client import Client
    from dmcp.config.model import ServerConfig

_EPILOG = """\b
Examples:
  dmcp list                     every group, with the names of its tools
  dmcp list files               one group: its tools with their arguments, resources, prompts
  dmcp list work.json files     the same, of another configuration
  dmcp list --json | jq -r '.groups[].tools[].name'

Exit status: 0 all well, 1 a group is unavailable or incomplete, 2 the configuration or the command line is wrong.
"""
_LONGEST_URI: Final = 500  # characters of a URI that are shown; --json has it whole
_OTHERS: Final = (("resources", "uri"), ("resources/templates", "uriTemplate"), ("prompts", "name"))


@click.command("list", epilog=_EPILOG)
@click.argument("words", nargs=-1, metavar="[CONFIG] [GROUP]", shell_complete=groups)
@trust.option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with whole definitions.")
def list_command(words: tuple[str, ...], as_json: bool) -> int:
    """Show what each group offers, or all about one GROUP."""
    given, rest = split(words, 1)
    if len(rest) > 1:
        raise click.UsageError("give a configuration and a group, at most")
    path, loaded = configuration(given)
    servers = dict(loaded.servers)
    if rest and rest[0] not in servers:
        raise ConfigError(no_group(rest[0], servers))
    servers = {rest[0]: servers[rest[0]]} if rest else servers
    found = asyncio.run(_collect(path, servers))
    if as_json:
        formatting.echo_json({"groups": found})
    else:
        click.echo("\n\n".join(_whole(g) if rest else _overview(g) for g in found) or "There are no servers.")
    return 1 if any("unavailable" in group or "incomplete" in group for group in found) else 0


async def _collect(path: Path, servers: Mapping[str, ServerConfig]) -> list[dict[str, Any]]:
    async with session(path, signs_in=False, only=servers) as client:
        return list(await asyncio.gather(*(_of_group(client, server) for server in servers.values())))


async def _of_group(client: Client, server: ServerConfig) -> dict[str, Any]:
    group: dict[str, Any] = {"name": server.name, "description": server.description}
    features = server.features
    switched = {
        "resources": features.resources,
        "resources/templates": features.resources,
        "prompts": features.prompts,
    }
    try:
        group["tools"] = await client.group_tools(server.name) if features.tools else []
        for kind, _ in _OTHERS:
            group[kind] = await client.list_all(kind, server.name) if switched[kind] else []
    except UpstreamError as error:
        group["unavailable"] = log.mask(reason_of(error))
    incomplete = client.incomplete.get(server.name)
    if incomplete:
        group["incomplete"] = {kind: log.mask(reason) for kind, reason in incomplete.items()}
    return group


def _incomplete(group: Mapping[str, Any]) -> list[str]:
    return [
        f"  incomplete: its {kind}: {formatting.line(why)}"
        for kind, why in group.get("incomplete", {}).items()
    ]


def _head(group: Mapping[str, Any]) -> str:
    return (
        click.style(formatting.name(group["name"]), bold=True) + f"  {formatting.line(group['description'])}"
    )


def _overview(group: Mapping[str, Any]) -> str:
    if "unavailable" in group:
        return f"{_head(group)}\n  unavailable: {formatting.line(group['unavailable'])}"
    width = max((len(formatting.name(tool["name"])) for tool in group["tools"]), default=0)
    lines = [
        f"  {formatting.name(t['name']):<{width}}  {first_sentence(t.get('description') or '')}".rstrip()
        for t in group["tools"]
    ]
    more = [count(len(group[kind]), kind.split("/")[-1].rstrip("s")) for kind, _ in _OTHERS if group[kind]]
    ending = [*([f"  and {', '.join(more)}"] if more else []), *_incomplete(group)]
    return "\n".join([_head(group), *lines, *ending])


def _whole(group: Mapping[str, Any]) -> str:
    if "unavailable" in group:
        return _overview(group)
    parts = ["\n".join([_head(group), *_incomplete(group)])]
    for tool in group["tools"]:
        about = formatting.block(str(tool.get("description") or "").strip(), formatting.MAX_TEXT)
        lines = [click.style(formatting.name(tool["name"]), bold=True)]
        lines += [f"  {line}".rstrip() for line in about.split("\n")] if about else []
        lines += [f"  - {line}" for line in parameters(tool.get("inputSchema") or {})]
        parts.append("\n".join(lines))
    for kind, key in _OTHERS:
        if group[kind]:
            title = kind.replace("resources/templates", "resource templates")
            entries = [
                f"  {formatting.line(entry[key], _LONGEST_URI)}  "
                + first_sentence(entry.get("description") or entry.get("name", ""))
                for entry in group[kind]
            ]
            parts.append("\n".join([click.style(title, bold=True), *entries]))
    return "\n\n".join(parts)
