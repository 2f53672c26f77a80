"""Tools of servers that are shown under their own names beside dmcp's two: which they are, and what each is called.

The configuration says which (``ServerConfig.direct``). A tool keeps its own name where a client can take it, no other
direct tool has it, it is none of dmcp's and does not begin with the name of another group. Else it is ``group_tool``,
and where that is not one tool's alone, or has characters or a length that clients refuse, it ends with a digest of both
names. So a name follows from what is offered, and no server can take another's: the names are strangers' words.
Pure. Not here: where the listings come from (the catalog).
"""

from __future__ import annotations

import re
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dmcp.protocol.tools import CALL_TOOL, GET_TOOLS, is_named, is_selected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dmcp.config.model import ServerConfig
    from dmcp.protocol.jsonrpc import JsonObject

LONGEST: Final = 64
"""Characters of a tool's name that every provider takes."""

_PLAIN: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST}}}")
_OTHERS: Final = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST: Final = 8  # characters
_OWN: Final = frozenset({GET_TOOLS, CALL_TOOL})


def is_wholly_direct(config: ServerConfig) -> bool:
    """Return whether all tools of a server are shown under their own names, whatever it offers."""
    return "*" in config.direct


class DirectTools:
    """The direct tools there are.

    Attributes:
        entries: as ``tools/list`` shows them, in the order of the configuration, then of the server.
        routes: the name of each -> (group, the server's own name).
    """

    __slots__ = ("entries", "routes")

    def __init__(self) -> None:
        self.entries: tuple[JsonObject, ...] = ()
        self.routes: dict[str, tuple[str, str]] = {}

    def __repr__(self) -> str:
        return f"<DirectTools {len(self.entries)}>"

    def update(self, offered: Mapping[str, Sequence[JsonObject]], groups: Collection[str]) -> None:
        """Take what servers offer.

        Args:
            offered: the tools that are to be direct, by group.
            groups: the names of all groups, whether their tools are direct or not.
        """
        tools = {
            (group, tool["name"]): tool
            for group, some in offered.items()
            for tool in some
            if is_well_formed(tool)
        }
        names = shown_names(tools, groups)
        self.routes = {names[key]: key for key in tools}
        self.entries = tuple(
            tool if names[key] == key[1] else {**tool, "name": names[key]} for key, tool in tools.items()
        )


def direct_tools(config: ServerConfig, tools: Iterable[JsonObject]) -> tuple[JsonObject, ...]:
    """Return those of a server's tools that are to be direct."""
    whole = is_wholly_direct(config)
    return tuple(
        tool
        for tool in tools
        if (whole or is_named(tool["name"], config.direct)) and is_selected(config.tools, tool["name"])
    )


def is_well_formed(tool: JsonObject) -> bool:
    """Return whether a definition is one that clients take: one that is not makes them refuse the whole list."""
    texts, objects = ("title", "description"), ("outputSchema", "annotations", "_meta", "execution")
    return (
        _is_schema(tool.get("inputSchema"))
        and all(isinstance(tool.get(key, ""), str) for key in texts)
        and all(isinstance(tool.get(key, {}), dict) for key in objects)
        and ("outputSchema" not in tool or _is_schema(tool["outputSchema"]))
        and isinstance(tool.get("icons", []), list)
    )


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "object"


def shown_names(offered: Iterable[tuple[str, str]], groups: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return what each tool is called: (group, the server's own name) -> the client's name.

    Letter case tells no names apart.
    """
    keys = list(offered)
    plain = Counter(own.casefold() for _, own in keys)
    owners: dict[str, set[str]] = {}
    for group in groups:
        owners.setdefault(_sanitized(group).casefold(), set()).add(group)
    names = {
        (group, own): own
        for group, own in keys
        if _PLAIN.fullmatch(own) and plain[own.casefold()] == 1 and not _imitates(own, group, owners)
    }
    long = {key: f"{_sanitized(key[0])}_{_sanitized(key[1])}" for key in keys if key not in names}
    taken = Counter(name.casefold() for name in (*names.values(), *long.values()))
    for key, name in long.items():
        chosen, salt = name, 0
        if name != "_".join(key) or len(name) > LONGEST or taken[name.casefold()] > 1:
            chosen = _with_digest(name, key, salt)
            while chosen.casefold() in taken:
                salt += 1
                chosen = _with_digest(name, key, salt)
            taken[chosen.casefold()] += 1
        names[key] = chosen
    return names


def _imitates(name: str, group: str, owners: Mapping[str, set[str]]) -> bool:
    """Return whether a name could be taken for one of dmcp's own, or for a long name of another group."""
    folded = name.casefold()
    if folded.replace("-", "_") in _OWN:
        return True
    ends = (end for end, letter in enumerate(folded) if letter == "_")
    return any(owners.get(folded[:end], {group}) != {group} for end in ends)


def _sanitized(text: str) -> str:
    return _OTHERS.sub("_", text[: LONGEST + 1])


def _with_digest(name: str, key: tuple[str, str], salt: int) -> str:
    whole = "\0".join((*key, str(salt))).encode("utf-8", "surrogatepass")
    return f"{name[: LONGEST - _DIGEST - 1]}_{sha256(whole).hexdigest()[:_DIGEST]}"
