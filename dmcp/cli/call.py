"""``dmcp call``, ``dmcp read`` and ``dmcp prompt``: one request, on the way an assistant's request takes."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Literal

import click
from pydantic_core import from_json

from dmcp.cli import formatting, trust
from dmcp.cli.context import configuration, groups, no_group, session, split
from dmcp.errors import ConfigError
from dmcp.protocol.naming import split_qualified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from dmcp.cli.client import Client

_CALL_EPILOG = """\b
Examples:
  dmcp call files list_directory -a path=.
  dmcp call units convert -a value=26.2 -a from_unit=mi -a to_unit=km
  dmcp call work.json tickets create --args '{"title": "It is broken", "labels": ["bug"]}'
  echo '{"query": "mcp"}' | dmcp call search web --args -

\b
A value of -a is text where the tool's schema says text, else JSON if it is JSON.
Exit status: 0 done, 1 the tool or its server failed, 2 the configuration or the command line is wrong.
"""
_as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON, as the server gave it."
)
_pairs = click.option(
    "-a", "--arg", "pairs", multiple=True, metavar="KEY=VALUE", help="One argument; repeatable."
)


@click.command("call", epilog=_CALL_EPILOG)
@click.argument("words", nargs=-1, required=True, metavar="[CONFIG] GROUP TOOL", shell_complete=groups)
@click.option(
    "--args", "whole", metavar="JSON", help='All arguments as one JSON object; "-" reads it from stdin.'
)
@_pairs
@_as_json
@trust.option
def call_command(words: tuple[str, ...], whole: str | None, pairs: tuple[str, ...], as_json: bool) -> int:
    """Call TOOL of GROUP and print its result. Images and audio are said, not dumped."""
    _refuse_arguments(words[2:])
    given, rest = split(words, 2)
    if len(rest) != 2:  # noqa: PLR2004 - GROUP and TOOL
        raise click.UsageError("give a group and a tool: dmcp call [CONFIG] GROUP TOOL")
    if whole is not None and pairs:
        raise click.UsageError("--args and -a exclude each other")
    values = pairs_of(pairs) if whole is None else object_of(whole)
    path, loaded = configuration(given)
    only = [rest[0]] if rest[0] in loaded.servers else None  # else all: the error names what there is
    result = asyncio.run(_call(session(path, only=only), *rest, values, spell=whole is None))
    _print(result, as_json, formatting.tool_result)
    return 1 if result.get("isError") else 0


def _refuse_arguments(words: Sequence[str]) -> None:
    """Refuse arguments among the words of a command, and say how they are given; their values are not shown.

    Raises:
        click.UsageError: there is one.
    """
    for word in words:
        name, sign, _ = word.partition("=")
        if word.startswith("{"):
            raise click.UsageError("arguments as JSON are given with --args '{...}'")
        if sign and name.isidentifier():
            raise click.UsageError(f"arguments are given with -a: -a {name}=...")


async def _call(
    begun: Client, group: str, tool: str, values: Mapping[str, Any], *, spell: bool
) -> dict[str, Any]:
    async with begun as client:
        known = await client.group_tools(group) if spell and values else []
        for definition in known:
            if definition["name"] == tool:
                values = typed(values, definition.get("inputSchema") or {})
        return await client.group_call(group, tool, values)


@click.command("read")
@click.argument("words", nargs=-1, required=True, metavar="[CONFIG] [GROUP] URI", shell_complete=groups)
@_as_json
@trust.option
def read_command(words: tuple[str, ...], as_json: bool) -> int:
    """Read the resource with this URI, of GROUP or from whichever group has it, and print it.

    \b
    Examples:
      dmcp read file:///home/me/notes.md
      dmcp read notes note://3                starts only that group
    """  # noqa: D301 - \b is click's sign for "do not wrap", not a backslash to keep
    path, uri, only = _chosen(words, "resources", "give one URI: dmcp read [CONFIG] [GROUP] URI")
    result = asyncio.run(_request(session(path, only=only), "resources/read", {"uri": uri}))
    _print(result, as_json, lambda r: formatting.resources(r.get("contents", [])))
    return 0


@click.command("prompt")
@click.argument("words", nargs=-1, required=True, metavar="[CONFIG] [GROUP] NAME", shell_complete=groups)
@_pairs
@_as_json
@trust.option
def prompt_command(words: tuple[str, ...], pairs: tuple[str, ...], as_json: bool) -> int:
    """Get the prompt with this NAME, of GROUP or from whichever group has it, and print its messages.

    \b
    Examples:
      dmcp prompt review -a language=python
      dmcp prompt github review               starts only that group
    """  # noqa: D301 - see above
    _refuse_arguments(words[1:])
    path, name, only = _chosen(words, "prompts", "give one name: dmcp prompt [CONFIG] [GROUP] NAME")
    params = {"name": name, "arguments": pairs_of(pairs)}
    result = asyncio.run(_request(session(path, only=only), "prompts/get", params))
    _print(result, as_json, lambda r: formatting.messages(r.get("messages", [])))
    return 0


def _print(result: dict[str, Any], as_json: bool, as_text: Callable[[dict[str, Any]], str]) -> None:
    if as_json:
        formatting.echo_json(result)
    else:
        click.echo(as_text(result))


def _chosen(
    words: tuple[str, ...], kind: Literal["resources", "prompts"], usage: str
) -> tuple[Path, str, list[str]]:
    """Return the configuration, the resource or prompt, and its group: the one named, else all.

    A group is named beside it, or by what its long name begins with.

    Raises:
        click.UsageError: there are not one or two words beside the configuration.
        ConfigError: there is no such group.
    """
    given, rest = split(words, 2)
    if len(rest) not in (1, 2):
        raise click.UsageError(usage)
    *group, name = rest
    path, loaded = configuration(given)
    if group and group[0] not in loaded.servers:
        raise ConfigError(no_group(group[0], loaded.servers))
    if group or (parts := split_qualified(kind, name, loaded.servers)) is None:
        offering = [each for each, server in loaded.servers.items() if getattr(server.features, kind)]
        return path, name, group or offering
    return path, name, [parts[0]]


async def _request(begun: Client, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    async with begun as client:
        result: dict[str, Any] = await client.request(method, params)
        return result


# Arguments as they are typed: ``--args JSON`` or ``-a key=value``


def pairs_of(words: Sequence[str]) -> dict[str, str]:
    """Return the ``key=value`` words. Raises ``click.UsageError``: one has no "=", or a key stands twice."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise click.UsageError(f"-a {word}: must be key=value")
        if key in found:
            raise click.UsageError(f"-a {word}: {key} stands twice")
        found[key] = value
    return found


def object_of(text: str) -> dict[str, Any]:
    """Return the object of ``--args``; "-" reads it from standard input.

    Raises:
        click.UsageError: it is no JSON object.
    """
    try:
        value = from_json(sys.stdin.buffer.read().decode("utf-8-sig") if text == "-" else text)
    except UnicodeDecodeError:
        raise click.UsageError("--args -: standard input is not UTF-8") from None
    except ValueError as error:
        raise click.UsageError(f"--args is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError("--args must be a JSON object")
    return value


def typed(values: Mapping[str, str], schema: Any) -> dict[str, Any]:
    """Give each value the type the tool's input schema has for it.

    Text stays text where the schema says so; anything else is read as JSON if it is JSON.
    """
    properties = schema.get("properties") if isinstance(schema, dict) else None
    shapes = properties if isinstance(properties, dict) else {}
    return {key: _typed(value, shapes.get(key)) for key, value in values.items()}


def _typed(value: str, shape: Any) -> Any:
    if isinstance(shape, dict) and shape.get("type") == "string":
        return value
    try:
        return from_json(value)
    except ValueError:
        return value
