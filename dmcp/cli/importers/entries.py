"""One server as a tool spells it, read into ``ImportedServer`` by the tool's ``EntryShape``.

``Entry`` takes keys out of the tool's table one by one; what nobody took is reported as not carried. No I/O.
A value of the wrong type raises ``BadEntry`` where the server cannot work without it;
elsewhere it is left behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.model import Address, Command, ImportedServer, NotCarried, SignIn
from dmcp.cli.importers.references import rewritten
from dmcp.cli.importers.tool import REMOTE_TYPES, STDIO_TYPES

if TYPE_CHECKING:
    from dmcp.cli.importers.model import Kind
    from dmcp.cli.importers.tool import CodingTool, EntryShape

_BY_HAND = "correct it there and import again, or add it to dmcp's configuration by hand"


class BadEntry(Exception):  # noqa: N818 - says what was found, and never leaves the importers
    """This one server cannot be imported; the others can. The texts say why, without its values, and what to do."""

    def __init__(self, why: str, advice: str = "correct it in the tool's file and import again") -> None:
        super().__init__(why)
        self.advice = advice


class Entry:
    """A tool's table for one server, and the notes made while reading it."""

    def __init__(
        self, name: str, raw: Mapping[str, Any], tool: CodingTool, predefined: Mapping[str, str]
    ) -> None:
        self.name = name
        self.raw = raw
        self.notes: list[NotCarried] = []
        self._tool = tool
        self._predefined = predefined
        self._taken: set[str] = set()

    def __repr__(self) -> str:
        return f"<Entry {self.name!r} of {self._tool.name}: {len(self._taken)} of {len(self.raw)} keys taken>"

    def note(self, what: str, advice: str) -> None:
        """Something is left behind."""
        self.notes.append(NotCarried(self.name, what, advice))

    def take(self, key: str | None) -> Any:
        """The value as it is; ``None`` when there is none."""
        if key is None:
            return None
        self._taken.add(key)
        return self.raw.get(key)

    def carry(self, text: str) -> str:
        """A value in dmcp's spelling of references."""
        carried, problems = rewritten(text, self._tool.syntax, self._predefined)
        for problem in problems:
            self.note(problem.what, problem.advice)
        return carried

    def text(self, key: str | None) -> str | None:
        """A value that has to be a text.

        Raises:
            BadEntry: it is something else.
        """
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a text belongs')
        return self.carry(value)

    def texts(self, key: str | None) -> tuple[str, ...]:
        """A list of texts; numbers and truth values are written as the tool would pass them on.

        Raises:
            BadEntry: it is something else.
        """
        value = self.take(key)
        if value in (None, ""):  # YAML's spelling of nothing comes as an empty text: see ``documents``
            return ()
        if not isinstance(value, list) or any(isinstance(item, list | Mapping | None) for item in value):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a list of texts belongs')
        return tuple(self.carry(scalar(item)) for item in value)

    def table(self, key: str | None) -> dict[str, str]:
        """A table of texts, as ``env`` and ``headers`` are.

        Raises:
            BadEntry: it is something else.
        """
        value = self.take(key)
        if value in (None, ""):
            return {}
        if not isinstance(value, Mapping):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a table belongs')
        carried = {}
        for name, item in value.items():
            if isinstance(item, list | Mapping | None):
                self.note(f'"{key}.{name}" is {kind_of(item)} where a text belongs', _BY_HAND)
            else:
                carried[str(name)] = self.carry(scalar(item))
        return carried

    def flag(self, key: str | None) -> bool | None:
        """A truth value; anything else is noted and left behind."""
        value = self.take(key)
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"  # YAML is read as texts: see ``documents``
        if value is None or isinstance(value, bool):
            return value
        self.note(f'"{key}" is {kind_of(value)} where true or false belongs', _BY_HAND)
        return None

    def seconds(self, key: tuple[str, float] | None) -> float | None:
        """A duration, by its key and unit; anything but a positive number is noted and left behind."""
        if key is None or (value := self.take(key[0])) is None:
            return None
        number = _number(value)
        if number is None or not 0 < number * key[1] < math.inf:
            self.note(
                f'"{key[0]}" is no duration',
                "dmcp's own default applies; see timeout in docs/configuration.md",
            )
            return None
        return number * key[1]

    def names(self, key: str | None) -> tuple[str, ...]:
        """A list of tool names, without references; anything else is noted and left behind."""
        value = self.take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.note(f'"{key}" is not a list of names', _BY_HAND)
            return ()
        return tuple(value)

    def leave(self, *keys: str) -> None:
        """These keys mean nothing outside that tool."""
        self._taken.update(keys)

    def finish(self, cannot: Mapping[str, str]) -> None:
        """Note every key with no equivalent, and every one that nobody knows."""
        for key in self.raw:
            if key in cannot and self.raw[key] not in (None, False, [], {}):
                self.note(f'"{key}"', cannot[key])
            elif key not in self._taken and key not in cannot:
                self.note(f'"{key}" has no equivalent', "nothing to do, unless the server depends on it")


def read_entry(entry: Entry, tool: CodingTool) -> ImportedServer:
    """The server an entry describes. ``entry.notes`` then holds what was left behind.

    Raises:
        BadEntry: it cannot be imported, with the reason.
    """
    shape = tool.shape
    target = _target(entry, shape)
    description = entry.take(shape.description)
    enabled = entry.flag(shape.enabled)
    server = ImportedServer(
        name=entry.name,
        target=target,
        description=" ".join(description.split()) or None if isinstance(description, str) else None,
        enabled=enabled is not False and not entry.flag(shape.disabled),
        tools_timeout=entry.seconds(shape.timeout),
        connect_timeout=entry.seconds(shape.startup),
        include=tuple(name for name in entry.names(shape.include) if name != "*"),
        exclude=entry.names(shape.exclude),
    )
    server = tool.finish(entry, server)
    entry.leave(*shape.ignored)
    entry.finish(shape.cannot)
    return server


def _target(entry: Entry, shape: EntryShape) -> Command | Address:
    kind = _kind(entry, shape)
    urls = [(key, meant) for key, meant in shape.urls.items() if entry.raw.get(key) is not None]
    if entry.raw.get(shape.command) is not None and kind in {None, "stdio"}:
        for key, _ in urls:
            entry.take(key)
            entry.note(
                f'"{key}" beside "{shape.command}"', "the command was kept; a server has one of the two"
            )
        return _command(entry, shape)
    if not urls:
        wanted = " or ".join(f'"{key}"' for key in (shape.command, *shape.urls))
        raise BadEntry(f"it has no {wanted}")
    key, meant = urls[0]
    for other, _ in urls[1:]:
        entry.take(other)
        entry.note(f'"{other}" beside "{key}"', f'"{key}" was kept; a server has one address')
    return _address(entry, shape, key, kind if kind in {"http", "sse", "auto"} else meant)


def _kind(entry: Entry, shape: EntryShape) -> Any:
    """The transport an entry names, as "stdio" or a ``Kind``; ``None`` when it names none."""
    known = {**STDIO_TYPES, **REMOTE_TYPES, **shape.types}
    found = None
    for key in shape.type:
        value = entry.take(key)
        if value is None or found is not None:
            continue
        if not isinstance(value, str):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a text belongs')
        if value not in known:
            raise BadEntry(
                f"its transport {value[:40]!r} is none that dmcp speaks (stdio, Streamable HTTP, SSE)"
            )
        found = known[value]
    return found


def _command(entry: Entry, shape: EntryShape) -> Command:
    command, args = entry.raw.get(shape.command), entry.texts(shape.args)
    if isinstance(command, list):
        words = entry.texts(shape.command)
        head, args = (words[0] if words else ""), (*words[1:], *args)
    else:
        head = entry.text(shape.command) or ""
    if not head.strip():
        raise BadEntry(f'its "{shape.command}" is empty')
    env: dict[str, str] = {}
    for key in shape.env:
        env |= entry.table(key)
    return Command(head, args, env, entry.text(shape.cwd) or None)


def _address(entry: Entry, shape: EntryShape, key: str, kind: Kind) -> Address:
    url = entry.text(key) or ""
    if not url.startswith(("http://", "https://", "${")):
        raise BadEntry(f'its "{key}" is no http or https address')
    headers: dict[str, str] = {}
    for name in shape.headers:
        headers |= entry.table(name)
    return Address(url, kind, headers, _sign_in(entry, shape))


def _sign_in(entry: Entry, shape: EntryShape) -> SignIn:
    keys = shape.sign_in
    raw = entry.take(keys.table) if keys is not None else None
    if keys is None or not isinstance(raw, Mapping):
        if raw not in (None, False, True):
            entry.note(f'"{keys.table if keys else ""}" is {kind_of(raw)} where a table belongs', _BY_HAND)
        return SignIn()
    texts: dict[str, str | None] = {}
    for key in (keys.client_id, keys.client_secret):
        value = raw.get(key) if key else None
        texts[key or ""] = entry.carry(value) if isinstance(value, str) and value else None
    port = raw.get(keys.redirect_port) if keys.redirect_port else None
    known = {keys.client_id, keys.client_secret, keys.scopes, keys.redirect_port, "enabled"}
    for key in raw:
        if key not in known:
            entry.note(
                f'"{keys.table}.{key}" has no equivalent', "dmcp finds out by itself what it needs to sign in"
            )
    return SignIn(
        texts[keys.client_id],
        texts.get(keys.client_secret or "-"),
        _scopes(raw.get(keys.scopes)),
        port if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 2**16 else None,
    )


def _scopes(value: Any) -> tuple[str, ...]:
    """Scopes as a list, or as RFC 6749 writes them: separated by spaces."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(item for item in value if isinstance(item, str) and item) if isinstance(value, list) else ()


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def scalar(value: Any) -> str:
    """A number or truth value as the tools, which are written in JavaScript, hand it to a process."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def kind_of(value: Any) -> str:
    """What a value is, in a person's words; never the value itself, which may be secret."""
    names = (
        (bool, "true or false"),
        (str, "a text"),
        (int | float, "a number"),
        (list, "a list"),
        (Mapping, "a table"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "nothing")
