"""One server as a tool spells it, read into ``ImportedServer`` by the tool's ``EntryFormat``.

``Entry`` takes keys out of the tool's table one by one; keys that nothing took are reported as not converted. A value
of the wrong type raises ``BadEntry`` where the server cannot work without it; elsewhere it is noted and left out. No
I/O. Not here: which files entries come from (``discover``).
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from glob import escape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from dmcp.cli.coding_tools.model import TRANSPORTS, Address, Command, ImportedServer, NotConverted, SignIn
from dmcp.cli.coding_tools.references import convert, foreign
from dmcp.config.durations import seconds
from dmcp.protocol.noise import unexpanded

if TYPE_CHECKING:
    from dmcp.cli.coding_tools.model import CodingTool, EntryFormat, Kind
    from dmcp.cli.coding_tools.references import Syntax

_COMMAND_LINE: Final = re.compile(r"[\w.@-]+ +[^ ]")
"""A program by its name, and more. A path with a space in it is one word."""
_REDIRECT: Final = ("redirectUri", "redirectUrl", "redirect_uri", "callbackUrl", "callbackURL", "callbackUri")
_ISSUER: Final = ("issuer", "authorizationServer")
_RESOURCE: Final = ("resource", "resourceUri")
_WHOLE_PATH: Final = "write the whole path, or ${HOME}/, unless the server understands it"
_SIGN_IN_NOTE: Final = (
    "try `dmcp auth login`; the endpoints are those of the server's metadata, and `oauth` of the configuration has"
    " issuer, redirect_host, redirect_port, redirect_path, resource and assume_pkce"
)


def read_entry(
    tool: CodingTool, name: str, raw: Mapping[str, Any], variables: Mapping[str, str]
) -> tuple[ImportedServer, list[NotConverted]]:
    """Return the server an entry describes, and what of it was not converted; ``variables`` are the tool's own.

    Raises:
        BadEntry: it cannot be imported, with the reason.
    """
    flat = _with_its_headers(tool.flatten(raw) if tool.flatten else raw)
    shape, borrowed = _with_other_spellings(flat, tool.format)
    entry = Entry(name, flat, tool.syntax, variables)
    for key, meant in borrowed:
        entry.note(f'"{key}" is no key of {tool.title}', f"it was read as {meant}, as other tools spell it")
    target = _target(entry, shape)
    description = entry.take(shape.description)
    enabled = entry.flag(shape.enabled)
    none_on = shape.empty_is_none and entry.raw.get(shape.include or "") == []
    included = entry.names(shape.include)
    server = ImportedServer(
        name=entry.name,
        target=target,
        description=" ".join(description.split()) or None if isinstance(description, str) else None,
        enabled=enabled is not False and not entry.flag(shape.disabled),
        tools_timeout=entry.seconds(shape.timeout),
        connect_timeout=entry.seconds(shape.startup),
        include=() if "*" in included and not shape.literal else _globs(shape, included),
        exclude=_globs(shape, entry.names(shape.exclude)),
        features_off=("tools",) if none_on else (),
        env_file=entry.text(shape.env_file) or None,
    )
    if tool.finish is not None:
        server = tool.finish(entry, server)
    entry.ignore(*shape.ignored)
    entry.note_rest(shape.unsupported)
    return server, list(dict.fromkeys(entry.notes))  # one remark may be about two places


_OTHER_SPELLINGS: Final[Mapping[str, tuple[type, tuple[str, ...], str]]] = {
    "env": (dict, ("env", "environment", "envs", "envVars"), "the environment"),
    "headers": (dict, ("headers", "http_headers", "httpHeaders"), "headers"),
    "args": (list, ("args", "arguments"), "arguments"),
    "cwd": (str, ("cwd", "workingDirectory", "working_directory", "workdir"), "the working directory"),
    "include": (
        list,
        *(
            ("includeTools", "enabledTools", "enabled_tools", "allowedTools", "allowed_tools"),
            "the tools to show",
        ),
    ),
    "exclude": (
        list,
        *(("excludeTools", "disabledTools", "disabled_tools", "excludedTools"), "the tools to leave out"),
    ),
    "enabled": (bool, ("enabled", "isActive"), "the switch of the server"),
    "disabled": (bool, ("disabled",), "the switch of the server"),
    "urls": (str, ("url", "serverUrl", "httpUrl", "baseUrl", "uri", "endpoint"), "the address"),
}
"""By attribute of ``EntryFormat``: the type of its value, the keys that tools have for it, and what it is in words."""


def _with_other_spellings(
    raw: Mapping[str, Any], shape: EntryFormat
) -> tuple[EntryFormat, list[tuple[str, str]]]:
    """Return the format with keys of other tools in place of its own that the entry lacks, and those keys.

    What one tool overlooks another one reads: a file is copied from a page of instructions, or its tool is guessed.
    """
    changes: dict[str, Any] = {}
    borrowed = []
    known = {*shape.ignored, *shape.unsupported, *shape.env, *shape.headers, *shape.urls}
    known |= {key for key in (shape.args, shape.cwd, shape.include, shape.exclude) if key}
    known |= {key for key in (shape.command, shape.enabled, shape.disabled) if key}
    for attribute, (kind, keys, meant) in _OTHER_SPELLINGS.items():
        own = getattr(shape, attribute)
        own = (own,) if isinstance(own, str) else tuple(own or ())
        if any(raw.get(key) is not None for key in own) or (attribute == "urls" and shape.command in raw):
            continue
        found = next((key for key in keys if key not in known and isinstance(raw.get(key), kind)), None)
        if found is not None:
            value: Any = found
            if attribute in {"env", "headers"}:
                value = (*own, found)
            elif attribute == "urls":
                value = {found: "auto"}
            changes[attribute] = value
            borrowed.append((found, meant))
    return replace(shape, **changes), borrowed


def _with_its_headers(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the entry with the headers that stand in ``requestInit``, as the SDK for TypeScript has them."""
    options = raw.get("requestInit")
    if not isinstance(options, Mapping) or set(options) != {"headers"} or raw.get("headers") is not None:
        return raw
    return {**{key: value for key, value in raw.items() if key != "requestInit"}, **options}


def _globs(shape: EntryFormat, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return a tool's list of names as dmcp's globs."""
    return tuple(map(escape, names)) if shape.literal else names


def _target(entry: Entry, shape: EntryFormat) -> Command | Address:
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


def _kind(entry: Entry, shape: EntryFormat) -> Any:
    """Return the transport an entry names, as "stdio" or a ``Kind``; ``None`` when it names none."""
    known = {**TRANSPORTS, **shape.types}
    found = None
    for key in shape.type:
        value = entry.raw.get(key)
        if key != shape.type[0] and not isinstance(value, str):
            continue  # what another tool may mean by it; noted as unknown
        entry.take(key)
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


def _command(entry: Entry, shape: EntryFormat) -> Command:
    args = [*entry.texts(shape.args)]
    if isinstance(entry.raw.get(shape.command), list):
        head, *args = [*(entry.texts(shape.command) or ("",)), *args]
    else:
        head = entry.text(shape.command) or ""
    if not head.strip():
        raise BadEntry(f'its "{shape.command}" is empty')
    if not args and _COMMAND_LINE.match(head) and (words := _words(head)):
        head, *args = words
        entry.note(f'"{shape.command}" is a whole command line', "it was read as a command and its arguments")
    env: dict[str, str] = {}
    for key in shape.env:
        env |= entry.table(key)
    cwd = entry.text(shape.cwd) or None
    if sign := unexpanded((head, *args, cwd or "")) if not shape.expands_home else "":
        entry.note(f'"{sign}" in command, args or cwd is for a shell, and there is none', _WHOLE_PATH)
    if shape.expands_home:
        head, *args = map(entry.expand_home, (head, *args))
        cwd = None if cwd is None else entry.expand_home(cwd)
    return Command(head, tuple(args), env, cwd)


def _words(line: str) -> list[str]:
    """Return the words of a command line; none if its quotes do not close."""
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _address(entry: Entry, shape: EntryFormat, key: str, kind: Kind) -> Address:
    url = entry.text(key) or ""
    if not url.startswith(("http://", "https://", "${")):
        raise BadEntry(f'its "{key}" is no http or https address')
    headers: dict[str, str] = {}
    for name in shape.headers:
        headers |= entry.table(name)
    return Address(url, kind, headers, _sign_in(entry, shape))


def _sign_in(entry: Entry, shape: EntryFormat) -> SignIn:
    keys = shape.sign_in
    raw = entry.take(keys.table) if keys is not None else None
    if keys is not None and (raw is False or (isinstance(raw, Mapping) and raw.get("enabled") is False)):
        off = (
            f'"{keys.table}{"" if raw is False else ".enabled"}": false, which keeps the tool from signing in'
        )
        entry.note(
            off, "dmcp signs in when the server asks for it; give it a token in headers if it shall not"
        )
    if keys is None or not isinstance(raw, Mapping):
        if raw not in (None, False, True):
            entry.note(f'"{keys.table if keys else ""}" is {kind_of(raw)} where a table belongs', BY_HAND)
        return SignIn()
    texts: dict[str, str | None] = {}
    for key in (keys.client_id, keys.client_secret):
        value = raw.get(key) if key else None
        texts[key or ""] = entry.convert(value) if isinstance(value, str) and value else None
    port = raw.get(keys.redirect_port) if keys.redirect_port else None
    known = {keys.client_id, keys.client_secret, keys.scopes, keys.redirect_port}
    known |= {"enabled", *_ISSUER, *_RESOURCE}
    back = SignIn(redirect_port=port if _is_port(port) else None)
    for key, value in raw.items():
        if key in _REDIRECT:
            back = redirect_of(value, back.redirect_port) or back
        if key not in known and not (key in _REDIRECT and redirect_of(value, None)):
            entry.note(f'"{keys.table}.{key}" has no equivalent', _SIGN_IN_NOTE)
    return replace(
        back,
        client_id=texts[keys.client_id],
        client_secret=texts.get(keys.client_secret or "-"),
        scopes=_scopes(raw.get(keys.scopes)),
        issuer=_first_text(entry, raw, _ISSUER),
        resource=_first_text(entry, raw, _RESOURCE),
    )


def _first_text(entry: Entry, raw: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    found = next((raw[key] for key in keys if isinstance(raw.get(key), str) and raw[key]), None)
    return None if found is None else entry.convert(found)


def redirect_of(value: Any, port: int | None) -> SignIn | None:
    """Return the parts of an address the browser returns to, as dmcp's configuration has them.

    ``port`` is for an address without one. ``None`` for what cannot be such an address.
    """
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        if parts is None or parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost"):
            return None
        host = None if parts.hostname == "127.0.0.1" else parts.hostname
        path = None if parts.path == "/callback" else parts.path or "/"
        return SignIn(redirect_port=parts.port or port, redirect_host=host, redirect_path=path)
    except ValueError:
        return None


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**16


def _scopes(value: Any) -> tuple[str, ...]:
    """Return scopes, which are a list, or, as in RFC 6749, separated by spaces."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(item for item in value if isinstance(item, str) and item) if isinstance(value, list) else ()


_SHORTEST = 1.0  # seconds; a duration in milliseconds that is shorter was meant otherwise
_NO_ADVICE = "nothing to do, unless the server depends on it"
_ADVICE = (
    (re.compile(r"(?i)timeout|delay"), "timeout in dmcp's file has connect and tools"),
    (
        re.compile(r"(?i)tool"),
        "tools.include and tools.exclude in dmcp's file choose the tools that are shown",
    ),
    (
        re.compile(r"(?i)auth|token|api_?key|credential|secret"),
        "a token goes into headers or env of dmcp's file; where the server asks for a sign-in, dmcp signs in",
    ),
    (re.compile(r"(?i)header|^env|environ|^cwd|director"), "dmcp's file has headers, env and cwd for that"),
)
BY_HAND = "correct it there and import again, or add it to dmcp's configuration by hand"


class BadEntry(Exception):  # noqa: N818 - never leaves this package
    """This server cannot be imported; the others can. The texts say why, without its values, and what to do."""

    def __init__(self, why: str, advice: str = "correct it in the tool's file and import again") -> None:
        super().__init__(why)
        self.advice = advice


class Entry:
    """A tool's table for one server, and the notes made while reading it. The variables are the tool's own."""

    def __init__(
        self, name: str, raw: Mapping[str, Any], syntax: Syntax, variables: Mapping[str, str]
    ) -> None:
        self.name = name
        self.raw = raw
        self.notes: list[NotConverted] = []
        self._syntax = syntax
        self._variables = variables
        self._taken: set[str] = set()

    def __repr__(self) -> str:
        return f"<Entry {self.name!r}: {len(self._taken)} of {len(self.raw)} keys taken>"

    def note(self, what: str, advice: str) -> None:
        """Note that something is not converted."""
        self.notes.append(NotConverted(self.name, what, advice))

    def take(self, key: str | None) -> Any:
        """Return the value as it is; ``None`` when there is none."""
        if key is None:
            return None
        self._taken.add(key)
        return self.raw.get(key)

    def convert(self, text: str, *, of_shell: bool = False) -> str:
        """Return a value in dmcp's spelling of references; ``of_shell``: it may be a script for a shell."""
        converted, problems = convert(text, self._syntax, self._variables)
        for problem in problems:
            self.note(problem.what, problem.advice)
        found = None if of_shell and " " in text else foreign(text, self._syntax)
        if found is not None and not (of_shell and found == "$HOME"):  # which is named with "~/"
            self.note(
                f"{found} is no reference for that tool, and none for dmcp",
                "it stays as it is; if a variable is meant, write ${NAME} into dmcp's file",
            )
        return converted

    def expand_home(self, text: str) -> str:
        """Return a value with the home directory in place of a ``~`` at its beginning."""
        return self._variables["userHome"] + text[1:] if text == "~" or text.startswith("~/") else text

    def text(self, key: str | None) -> str | None:
        """Return a value that has to be a text. Raises ``BadEntry``: it is something else."""
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a text belongs')
        return self.convert(value)

    def texts(self, key: str | None) -> tuple[str, ...]:
        """Return a list of texts; numbers and truth values are written as the tool would pass them on.

        Raises:
            BadEntry: it is something else.
        """
        value = self.take(key)
        if value in (None, ""):  # YAML's spelling of nothing comes as an empty text: see ``formats``
            return ()
        if not isinstance(value, list) or any(isinstance(item, list | Mapping | None) for item in value):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a list of texts belongs')
        return tuple(self.convert(scalar(item), of_shell=True) for item in value)

    def table(self, key: str | None) -> dict[str, str]:
        """Return a table of texts, as ``env`` and ``headers`` are. Raises ``BadEntry``: it is something else."""
        value = self.take(key)
        if value in (None, ""):
            return {}
        if not isinstance(value, Mapping):
            raise BadEntry(f'"{key}" is {kind_of(value)} where a table belongs')
        converted = {}
        for name, item in value.items():
            if isinstance(item, list | Mapping | None):
                self.note(f'"{key}.{name}" is {kind_of(item)} where a text belongs', BY_HAND)
            else:
                converted[str(name)] = self.convert(scalar(item))
        return converted

    def flag(self, key: str | None) -> bool | None:
        """Return a truth value; anything else is noted and left out."""
        value = self.take(key)
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"  # YAML is read as texts: see ``formats``
        if value is None or isinstance(value, bool):
            return value
        self.note(f'"{key}" is {kind_of(value)} where true or false belongs', BY_HAND)
        return None

    def seconds(self, key: tuple[str, float] | None) -> float | None:
        """Return a duration in seconds, by its key and unit; what is no likely number is noted and left out."""
        if key is None or (value := self.take(key[0])) is None:
            return None
        number = _number(value)
        if number is None and isinstance(value, str):
            with suppress(ValueError):
                return seconds(value)  # with a unit of its own: "30s"
        if number is None or not 0 < number * key[1] < math.inf:
            self.note(
                f'"{key[0]}" is no duration',
                "dmcp's own default applies; see timeout in docs/configuration.md",
            )
            return None
        if key[1] < 1 and number * key[1] < _SHORTEST:
            # A file whose tool is guessed may be of one that counts seconds; and no call ends in a moment.
            self.note(
                f'"{key[0]}" would be {number:g} ms, in which no server answers',
                f"dmcp's own default applies; if seconds are meant, write {number:g}s into timeout of dmcp's file",
            )
            return None
        return number * key[1]

    def names(self, key: str | None) -> tuple[str, ...]:
        """Return a list of tool names, without references; anything else is noted and left out."""
        value = self.take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.note(f'"{key}" is not a list of names', BY_HAND)
            return ()
        return tuple(value)

    def ignore(self, *keys: str) -> None:
        """Ignore keys that mean nothing outside that tool."""
        self._taken.update(keys)

    def note_rest(self, unsupported: Mapping[str, str]) -> None:
        """Note every key without an equivalent, and every unknown one."""
        for key in self.raw:
            if key in unsupported and self.raw[key] not in (None, False, [], {}):
                self.note(f'"{key}"', unsupported[key])
            elif key not in self._taken and key not in unsupported:
                advice = next((text for sign, text in _ADVICE if sign.search(key)), _NO_ADVICE)
                self.note(f'"{key}" has no equivalent', advice)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def scalar(value: Any) -> str:
    """Return a number or truth value as the tools, which are written in JavaScript, hand it to a process."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def kind_of(value: Any) -> str:
    """Return what a value is, in words; never the value itself, which may be secret."""
    names = (
        (bool, "true or false"),
        (str, "a text"),
        (int | float, "a number"),
        (list, "a list"),
        (Mapping, "a table"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "nothing")
