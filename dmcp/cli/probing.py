"""``dmcp import --probe``: asks servers what they are good for, by being their client once, through a real dmcp.

What a server says of itself (name, title, instructions) is in that dmcp's events; its tools are listed. Not here:
which servers are asked, and what stands in for those that do not answer (``dmcp.cli.import_``).
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from pydantic_core import to_json

from dmcp import log
from dmcp.cli.check import EventCollector
from dmcp.cli.client import reason_of
from dmcp.cli.context import session
from dmcp.cli.formatting import count, plain
from dmcp.errors import DmcpError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_SENTENCE: Final = 140  # characters
_LONGEST: Final = 300  # characters of a description: every one is shown to the assistant all the time
_TOOLS_NAMED: Final = 6
_LONGEST_TEXT: Final = 4000  # characters of instructions that are looked at
_PURPOSE: Final = re.compile(
    r"(?:please )?use (?:this|these|the) [\w-]{1,40}(?: [\w-]{1,40})? (?:to|for|when you (?:need|want) to) ",
    re.IGNORECASE,
)
_CLAUSE_END: Final = re.compile(
    r"\s+[\u2014\u2013-]\s|;\s|:\s|\s\(|,\s(?=(?:and|but|so|which|including|such)\b)"
)
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s|(?<=[\u3002\uff01\uff1f])")
_GUIDELINE: Final = re.compile(
    r"(?:here (?:is|are)|th(?:is|ese) (?:are )?(?:document|section|instructions?|guidelines?)|guidelines?|instructions?"
    r"|audience|important|note|warning|please|always|never|do not|don't|you|your|when|whenever|if|before|after|first"
    r"|available|tools?|usage|workflows?|steps?|rules?|tips?|how to|quick start|overview|general"
    r"|follow|use|call|prefer|make sure|ensure|remember|avoid|must|should|start|begin|to)\b",
    re.IGNORECASE,
)


def ask(entries: Mapping[str, dict[str, Any]], summaries: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a sentence for each server that answers. Blocks for as long as the slowest may take to start.

    Args:
        entries: entries of dmcp's configuration, by name. The servers are started, or connected to.
        summaries: what the packages of some of them say in a line.
    """
    if not entries:
        return {}
    click.echo(f"Asking {count(len(entries), 'server')} ...", err=True)
    # The folder is the user's alone: entries may hold secrets.
    with tempfile.TemporaryDirectory(prefix="dmcp-") as folder:
        path = Path(folder) / "probe.json"
        path.write_bytes(to_json({"mcpServers": dict(entries)}))
        try:
            return asyncio.run(_ask(path, entries, summaries or {}))
        except DmcpError as error:
            click.echo(f"The servers could not be asked: {plain(str(error))}", err=True)
            return {}


async def _ask(
    path: Path, entries: Mapping[str, dict[str, Any]], summaries: Mapping[str, str]
) -> dict[str, str]:
    events = EventCollector()
    tools: dict[str, list[str]] = {}
    async with session(path, events.on_event, signs_in=False) as client:

        async def one(name: str) -> None:
            try:
                tools[name] = [str(tool.get("name")) for tool in await client.group_tools(name)]
            except UpstreamError as error:
                click.echo(f"  {plain(name)} did not answer: {plain(log.mask(reason_of(error)))}", err=True)

        await asyncio.gather(*(one(name) for name in entries))
    # All events have come when the session is over.
    said = {name: event["server"] for name, event in events.ready.items()}
    sentences = {
        name: describe_server(said.get(name, {}), names, summaries.get(name, ""))
        for name, names in tools.items()
    }
    return {name: text for name, text in sentences.items() if text}


def describe_server(said: Mapping[str, Any], tools: list[str], summary: str = "") -> str:
    """Return a description out of what a server says of itself and the names of its tools; empty when there is nothing.

    Args:
        said: "title", "name", "description" and "instructions", as far as the server gave them.
        tools: the names of its tools.
        summary: what its package says, for a server that says nothing of itself that describes it.
    """
    title = _one_line(said.get("title") or said.get("name"))
    described = _prose(said.get("description")) or _prose(said.get("instructions")) or _one_line(summary)
    about = ": ".join(part for part in (title, _first_clauses(described)) if part)
    named = ", ".join(tools[:_TOOLS_NAMED])
    more = f" and {len(tools) - _TOOLS_NAMED} more" if len(tools) > _TOOLS_NAMED else ""
    offers = f"{'; tools' if about else 'Tools'}: {named}{more}" if named else ""
    return _cut(plain(about.removesuffix(".") + offers), _LONGEST)


def _prose(text: Any) -> str:
    """Return the first sentence that says what the server is; instructions to the model are none.

    Headings, list items, quotations and code are passed over. "Use this server to find tickets" becomes "Find tickets".
    """
    for line in text[:_LONGEST_TEXT].splitlines() if isinstance(text, str) else ():
        if not line.strip()[:1].isalnum():
            continue
        for said in _SENTENCE_END.split(_one_line(line)):
            turned = _PURPOSE.match(said)
            if turned:
                rest = said[turned.end() :]
                return rest[:1].upper() + rest[1:]
            if not _GUIDELINE.match(said) and not said.endswith(":"):
                return said
    return ""


def _first_clauses(sentence: str) -> str:
    """Return a sentence, or what of it is not too long, up to the end of a clause where there is one."""
    if len(sentence) <= _LONGEST_SENTENCE:
        return sentence
    ends = [match.start() for match in _CLAUSE_END.finditer(sentence[:_LONGEST_SENTENCE])]
    return (
        sentence[: ends[-1]]
        if ends and ends[-1] > _LONGEST_SENTENCE // 3
        else _cut(sentence, _LONGEST_SENTENCE)
    )


def _cut(text: str, longest: int) -> str:
    """Return the text, or its beginning up to a word's end."""
    return text if len(text) <= longest else text[: longest - 4].rsplit(" ", 1)[0] + " ..."


def _one_line(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""
