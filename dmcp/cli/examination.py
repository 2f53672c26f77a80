"""What ``dmcp check`` finds out about each server, and what it advises. Printing it is the business of ``check``."""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dmcp import log
from dmcp.cli.amounts import size, tokens
from dmcp.config.model import StdioServer
from dmcp.errors import UpstreamError
from dmcp.text import is_suspicious, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dmcp.cli.client import Client
    from dmcp.config.model import ServerConfig

_STDERR_LINES: Final = 5
_SHOWN_NAME: Final = 80  # characters
_ADVICE: Final = (
    ("was not found", 'install it, or give the full path as "command"'),
    (
        "did not answer initialize",
        'run its command in a terminal; if it is only slow, raise "timeout": {"connect": ...}',
    ),
    ("exited with status", "run its command in a terminal to see why"),
    ("cannot be reached", "check the address, and whether the server runs"),
    ("sign in", "dmcp auth login NAME"),
    ("HTTP 404", 'check the path of the "url"'),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One server. Counts are ``None`` where the configuration switches the feature off.

    Attributes:
        ready: whether it can be used, and all that it offers could be listed.
        transport: "stdio", "http", "sse" or "auto".
        revision: the protocol revision it speaks, if it told.
        definition_bytes: size of its tools' definitions as compact JSON.
        seconds: from the start of dmcp until its first answer.
        reason: why it is unavailable.
        stderr: the last lines it wrote there, if it is unavailable.
        hint: what the person can do.
        suspicious: texts of its listings with characters that hide or reorder what is read, escaped.
        not_given: variables of dmcp's environment that the server does not get, each with the reason.
    """

    group: str
    ready: bool
    transport: str
    revision: str | None = None
    tools: int | None = None
    resources: int | None = None
    prompts: int | None = None
    definition_bytes: int = 0
    seconds: float | None = None
    reason: str | None = None
    stderr: tuple[str, ...] = ()
    hint: str | None = None
    suspicious: tuple[str, ...] = ()
    not_given: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """In a word."""
        if self.ready:
            return "ready"
        return "unavailable" if self.seconds is None else "incomplete"

    def as_json(self) -> dict[str, Any]:
        """The finding as ``--json`` prints it."""
        return {**asdict(self), "approximate_tokens": tokens(self.definition_bytes)}


class Ear:
    """Hears in dmcp's log what no answer says: the revision of each server, and what it writes to stderr."""

    def __init__(
        self, groups: Mapping[str, ServerConfig], pass_on: Callable[[str], None] | None = None
    ) -> None:
        self._groups = {log.label(name): name for name in groups}
        names = "|".join(re.escape(name) for name in self._groups)
        self._line = re.compile(rf"^\S+ [A-Z]+ +({names})( stderr)?: (.*)$")
        self._pass_on = pass_on
        self.revisions: dict[str, str] = {}
        self.stderr: dict[str, list[str]] = {}

    def __repr__(self) -> str:
        return f"<Ear {self.revisions}>"

    def hear(self, line: str) -> None:
        """One line of dmcp's log, at level debug."""
        if self._pass_on is not None:
            self._pass_on(line)
        match = self._line.match(line)
        if match is None:
            return
        label, from_server, text = match.groups()
        group = self._groups[label]
        if from_server:
            _, more, last = text.partition(log.LAST)  # the last ones of those that were not shown
            self.stderr.setdefault(group, []).extend(last.split(" | ") if more else [text])
            del self.stderr[group][:-_STDERR_LINES]
        elif text.startswith("ready, protocol "):
            self.revisions[group] = text.removeprefix("ready, protocol ")


async def examine(client: Client, config: ServerConfig, ear: Ear, started: float) -> Finding:
    """Find out about one server, waiting for it as an assistant would.

    Args:
        client: the session with dmcp.
        config: the server.
        ear: what hears dmcp's log.
        started: ``time.monotonic()`` when dmcp was started.
    """
    name, features = config.name, config.features
    transport = "stdio" if isinstance(config.target, StdioServer) else config.target.kind
    try:
        tools = await client.group_tools(name) if features.tools else None
        seconds = time.monotonic() - started
        resources = await client.everything("resources", name) if features.resources else None
        prompts = await client.everything("prompts", name) if features.prompts else None
    except UpstreamError as error:
        reason = plain_reason(name, log.mask(str(error)))
        return Finding(name, False, transport, reason=reason, hint=advice(name, reason))
    incomplete = client.incomplete.get(name, {})
    why = "; ".join(f"its {kind} are incomplete: {log.mask(reason)}" for kind, reason in incomplete.items())
    return Finding(
        name,
        not incomplete,
        transport,
        ear.revisions.get(name),
        tools=None if tools is None else len(tools),
        resources=None if resources is None else len(resources),
        prompts=None if prompts is None else len(prompts),
        definition_bytes=size(tools) if tools else 0,
        seconds=round(seconds, 3),
        reason=why or None,
        suspicious=tuple(_suspicious({"tool": tools, "resource": resources, "prompt": prompts})),
    )


def _suspicious(listings: Mapping[str, list[dict[str, Any]] | None]) -> Iterator[str]:
    """Name the texts of listings that are not what they look like."""
    for kind, entries in listings.items():
        for entry in entries or ():
            name = printable(str(entry.get("name") or entry.get("uri")), _SHOWN_NAME)
            for key in ("name", "title", "description", "uri"):
                text = entry.get(key)
                if isinstance(text, str) and is_suspicious(text):
                    yield f"{kind} {name}: its {key}"


async def examine_all(
    client: Client,
    servers: Mapping[str, ServerConfig],
    ear: Ear,
    started: float,
    on_finding: Callable[[str], None],
) -> list[Finding]:
    """All servers at once; findings in the order of the configuration. ``on_finding`` is told of each."""

    async def one(config: ServerConfig) -> Finding:
        finding = await examine(client, config, ear, started)
        on_finding(config.name)
        return finding

    return list(await asyncio.gather(*(one(config) for config in servers.values())))


def plain_reason(group: str, text: str) -> str:
    """The reason alone, out of the error an assistant gets."""
    text = text.removeprefix(f"{group} is unavailable: ").removesuffix("; the call has not run")
    return text.removeprefix(f"{group} ") if text.startswith(f"{group} is ") else text


def advice(group: str, reason: str) -> str | None:
    """What the person can do about a reason, where the reason itself does not say."""
    if 'write "command": ' in reason:
        return None
    for sign, hint in _ADVICE:
        if sign in reason:
            return hint.replace("NAME", shlex.quote(group))
    return None
