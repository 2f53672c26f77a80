"""What ``get_dynamic_tools`` may be asked, and what it answers: groups, tools of one, or what fits a query.

What is composed here is read by a model, so it is as small as it can be and never cut within an entry: a listing that
does not fit into its budget is shown in less detail, and then in pages. All of it is pure; it runs in a thread, because
the definitions are strangers' and may be large.
Not here: which tools fit a query (``search``), and whether a group's listing is known (``dmcp.actors.tool_replies``).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from dmcp.errors import DownstreamError
from dmcp.protocol.hints import did_you_mean, quoted
from dmcp.protocol.jsonrpc import INVALID_PARAMS
from dmcp.protocol.limits import MAX_NAMES_ASKED, MAX_SHOWN_DESCRIPTION, MAX_TOOL_NAME
from dmcp.protocol.signatures import signature, summary
from dmcp.protocol.wire import decode_bounded, encode, is_raw, members
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dmcp.protocol.jsonrpc import JsonObject

Detail: TypeAlias = Literal["full", "signatures", "names"]
DETAILS: Final[tuple[Detail, ...]] = ("full", "signatures", "names")

NEXT_CURSOR: Final = "dmcp/nextCursor"
"""The key of a result's ``_meta`` that has the cursor of the next page, for programs; a note says it to the model."""

FOUND: Final = 5
"""Tools on a page of those that fit a query."""

_KEYS: Final = ("group", "query", "names", "detail", "cursor")
_FRAME: Final = 500  # characters of the budget for what is said around the entries
_FEW_WORDS: Final = 60  # characters
_SHOWN: Final = 100  # characters of the client's words in an error
_HOW: Final = "* is required, ~ simplified"


class Wanted(NamedTuple):
    """A valid ``get_dynamic_tools``: all groups, a group, tools by their names, or what fits a query."""

    group: str | None = None
    query: str | None = None
    names: tuple[str, ...] = ()
    detail: Detail | None = None
    cursor: str | None = None


def read_wanted(arguments: Any) -> Wanted:
    """Check the arguments of ``get_dynamic_tools``. What is null or empty counts as not given.

    Args:
        arguments: an object, decoded or as the bytes it was.

    Raises:
        DownstreamError: they cannot be read, or mean nothing; it says which and what would.
    """
    try:
        given = {key: _decoded(value) for key, value in members(arguments).items()}
    except ValueError as error:  # nested too deeply for what is on the stack already, or too many values
        raise _invalid(f"the arguments cannot be read: {error}") from None
    given = {key: value for key, value in given.items() if value not in (None, "", [])}
    for key in given:
        if key not in _KEYS:
            hint = did_you_mean(key, _KEYS) or f"There are: {', '.join(_KEYS)}."
            raise _invalid(f"get_dynamic_tools has no parameter {quoted(key)}. {hint}")
    names = _names(given.pop("names", ()))
    for key, value in given.items():
        if not isinstance(value, str):
            raise _invalid(f"arguments.{key} must be a string")
    wanted = Wanted(names=names, **given)
    if wanted.detail not in (None, *DETAILS):
        raise _invalid(f"arguments.detail must be one of {', '.join(DETAILS)}")
    if names and wanted.query is not None:
        raise _invalid("give a query or names, not both")
    return wanted


def _names(names: Any) -> tuple[str, ...]:
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise _invalid("arguments.names must be a list of tools' names")
    if len(names) > MAX_NAMES_ASKED:
        raise _invalid(f"arguments.names may have {MAX_NAMES_ASKED} names, and has {len(names)}")
    return tuple(dict.fromkeys(names))


def _decoded(value: Any) -> Any:
    return decode_bounded(bytes(value)) if is_raw(value) else value


def _invalid(problem: str) -> DownstreamError:
    return DownstreamError(INVALID_PARAMS, f"Invalid params: {problem}")


# Entries and pages ----------------------------------------------------------------------------------------------------


class Reply(NamedTuple):
    """What is answered.

    Attributes:
        text: the first block. Of whole definitions it is JSON and nothing else.
        notes: what dmcp has to say besides, each in a block of its own.
        cursor: of the next page, empty on the last one.
    """

    text: str
    notes: tuple[str, ...] = ()
    cursor: str = ""

    def result(self, notes: Iterable[str] = (), meta: Mapping[str, Any] | None = None) -> bytes:
        """Return it as the result of a tool, with more notes and ``_meta``."""
        blocks = [self.text, *(f"Note from dmcp: {note}" for note in (*notes, *self.notes))]
        content: JsonObject = {"content": [{"type": "text", "text": block} for block in blocks]}
        meta = {**(meta or {}), **({NEXT_CURSOR: self.cursor} if self.cursor else {})}
        return encode({**content, "_meta": meta} if meta else content)


class _Page(NamedTuple):
    """Some entries of a listing. ``reached`` is the place of the first one that is not among them."""

    entries: list[str]
    reached: int


def _page(
    count: int, write: Callable[[int], str | None], start: int, room: int, most: int | None = None
) -> _Page:
    """Write entries until there is no room for the next one. The first one is written however long it is.

    Args:
        count: entries there are.
        write: returns one, ``None`` for one that cannot be shown.
        start: the place to begin at.
        room: characters.
        most: entries on the page.
    """
    entries: list[str] = []
    for place in range(start, count):
        if len(entries) == most:
            return _Page(entries, place)
        entry = write(place)
        if entry is None:
            continue
        room -= len(entry) + 1
        if room < 0 and entries:
            return _Page(entries, place)
        entries.append(entry)
    return _Page(entries, count)


def definition(tool: JsonObject, group: str | None = None) -> str | None:
    """Return a whole definition as compact JSON; ``None`` for one that nests too deeply to be written.

    It is as the server gave it, but for its schemas' ``$schema`` and what of its description is beyond
    ``MAX_SHOWN_DESCRIPTION``.

    Args:
        tool: the definition.
        group: is put first, where tools of several groups stand together.
    """
    lean = dict(tool) if group is None else {"group": group, **tool}
    for key in ("inputSchema", "outputSchema"):
        schema = lean.get(key)
        if isinstance(schema, dict) and "$schema" in schema:
            lean[key] = {name: value for name, value in schema.items() if name != "$schema"}
    description = lean.get("description")
    if isinstance(description, str) and len(description) > MAX_SHOWN_DESCRIPTION:
        cut = len(description) - MAX_SHOWN_DESCRIPTION
        lean["description"] = (
            f"{description[:MAX_SHOWN_DESCRIPTION]} [dmcp: {cut} more characters are cut off]"
        )
    try:
        return encode(lean).decode()
    except ValueError:
        return None


def _name_line(tool: JsonObject, prefix: str) -> str:
    about = summary(tool, _FEW_WORDS)
    return f"{printable(prefix + tool['name'], 2 * MAX_TOOL_NAME)}{'  ' if about else ''}{about}"


def _writer(
    tools: Sequence[tuple[str, JsonObject]], detail: Detail, *, says_group: bool
) -> Callable[[int], str | None]:
    """Return what writes the tool at a place.

    Args:
        tools: each with its group.
        detail: how much of it is written.
        says_group: whether its group is written too.
    """

    def write(place: int) -> str | None:
        group, tool = tools[place]
        if detail == "full":
            return definition(tool, group if says_group else None)
        prefix = f"{group}/" if says_group else ""
        return signature(tool, prefix) if detail == "signatures" else _name_line(tool, prefix)

    return write


def _start(cursor: str | None, mark: str) -> int:
    """Return the place a cursor stands for.

    Args:
        cursor: as the client gave it.
        mark: of the listing it has to be of (``_checksum``).

    Raises:
        DownstreamError: it belongs to another listing, or its listing has changed since.
    """
    if cursor is None:
        return 0
    start, _, checked = cursor.partition("-")
    if checked != mark:
        raise _invalid("cursor has expired, or belongs to another list: start again without one")
    return int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 0  # noqa: PLR2004


def _checksum(scope: str) -> str:
    return f"{zlib.crc32(scope.encode('utf-8', 'surrogatepass')):08x}"


# Answers --------------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    return encode(text).decode()


def _joined(entries: Iterable[str], detail: Detail, head: str = "") -> str:
    return f"[{','.join(entries)}]" if detail == "full" else "\n".join(filter(None, (head, *entries)))


class GroupListing:
    """The tools of one group, to be shown in pages. What is the same for all pages is worked out once.

    Args:
        group: its name.
        tools: as the server gave them.
        budget: characters of a page; one entry is on it however long it is.
    """

    def __init__(self, group: str, tools: Sequence[JsonObject], budget: int) -> None:
        self.tools = tools
        self.budget = budget
        self._group = group
        self._rows = [(group, tool) for tool in tools]
        self._mark = _checksum("\n".join([group, *(tool["name"] for tool in tools)]))
        self._first: Reply | None = None

    def __repr__(self) -> str:
        return f"<GroupListing {self._group} {len(self.tools)} tools>"

    def reply(self, wanted: Wanted) -> Reply:
        """Return the page that is wanted.

        Without ``detail`` tools are shown whole where that fits into the budget, else as signatures, else by their
        names.

        Raises:
            DownstreamError: the cursor is none of this listing's.
        """
        if wanted.detail is not None or wanted.cursor is not None:
            return self._page(wanted)
        if self._first is None:  # asked for again and again
            self._first = self._page(wanted)
        return self._first

    def _page(self, wanted: Wanted) -> Reply:
        start, rows = _start(wanted.cursor, self._mark), self._rows
        details = (wanted.detail,) if wanted.detail else DETAILS
        detail, page = details[0], _Page([], start)
        for detail in details:
            write = _writer(rows, detail, says_group=False)
            room = self.budget if detail == "full" else self.budget - _FRAME
            page = _page(len(rows), write, start, room)
            if page.reached == len(rows) or detail == details[-1]:
                break
        ask = f"get_dynamic_tools(group={_quoted(printable(self._group, _SHOWN))}"
        cursor, notes = "", tuple[str, ...]()
        if page.reached < len(rows):
            cursor = f"{page.reached}-{self._mark}"
            notes = (f"More: {ask}, detail={_quoted(detail)}, cursor={_quoted(cursor)})",)
        shown = f"{start + 1} to {page.reached} of {len(rows)}" if cursor or start else f"{len(rows)}"
        how = f" as signatures ({_HOW})" if detail == "signatures" else ""
        head = f"{shown} tools{how}. In full: {ask}, names=[...])"
        return Reply(_joined(page.entries, detail, head), notes, cursor)


def named(found: Sequence[tuple[str, JsonObject]], detail: Detail | None) -> Reply:
    """Return tools that were asked for by their names, whole unless asked otherwise."""
    detail = detail or "full"
    write = _writer(found, detail, says_group=detail != "full" or len({group for group, _ in found}) > 1)
    return Reply(_joined(filter(None, map(write, range(len(found)))), detail))


def fitting(found: Sequence[tuple[str, JsonObject]], wanted: Wanted, searched: str, budget: int) -> Reply:
    """Return the tools that fit a query, the best first.

    Args:
        found: the tools with their groups from where the cursor stands; one more than are shown, if there is one.
        wanted: what was asked.
        searched: what was searched, for one who has found nothing.
        budget: characters.
    """
    if not found:
        return Reply(f"Nothing in {searched} fits {_quoted(printable(wanted.query or '', _SHOWN))}.")
    detail = wanted.detail or "signatures"
    page = _page(len(found), _writer(found, detail, says_group=True), 0, budget - _FRAME, FOUND)
    cursor = ""
    if page.reached < len(found):
        cursor = f"{query_start(wanted) + page.reached}-{_query_mark(wanted)}"
    return Reply(_joined(page.entries, detail), (), cursor)


def query_start(wanted: Wanted) -> int:
    """Return how many of the tools that fit a query have been shown.

    Raises:
        DownstreamError: the cursor is none of this query's.
    """
    return _start(wanted.cursor, _query_mark(wanted))


def _query_mark(wanted: Wanted) -> str:
    return _checksum(f"{wanted.query}\n{wanted.group}")


def overview(groups: Sequence[tuple[str, str, str]], cursor: str | None, budget: int) -> Reply:
    """Return all groups.

    Args:
        groups: name, description and state of each.
        cursor: of a page.
        budget: characters of a page.

    Raises:
        DownstreamError: the cursor is none of this listing's.
    """

    def write(place: int) -> str:
        name, about, state = groups[place]
        return f"- {printable(name)}: {printable(' '.join(about.split()), 4 * _SHOWN)} ({state})"

    mark = _checksum("\n".join(name for name, _, _ in groups))
    page = _page(len(groups), write, _start(cursor, mark), budget - _FRAME)
    head = f"{len(groups)} group{'' if len(groups) == 1 else 's'}. Ask for one (group=...), or search all (query=...)."
    text = "\n".join([head, *page.entries])
    if page.reached == len(groups):
        return Reply(text)
    following = f"{page.reached}-{mark}"
    return Reply(text, (f"More groups: get_dynamic_tools(cursor={_quoted(following)})",), following)


def find_named(
    names: Iterable[str], group: str | None, listings: Mapping[str, Sequence[JsonObject]]
) -> tuple[list[tuple[str, JsonObject]], list[str]]:
    """Return the tools of these names with their groups, and what is to be said of names nobody has.

    Args:
        names: as they were asked for: a tool's, or ``group/name``.
        group: the group that was named besides.
        listings: the tools of each group that may be meant.
    """
    tables = {key: {tool["name"]: tool for tool in tools} for key, tools in listings.items()}
    found, unknown = [], []
    for name in names:
        for owner, own in _readings(name, group, tables):
            if own in tables[owner]:
                found.append((owner, tables[owner][own]))
                break
        else:
            known = [
                f"{owner}/{own}" if group is None else own for owner, table in tables.items() for own in table
            ]
            unknown.append(
                " ".join(filter(None, (f"Unknown tool {quoted(name)}.", did_you_mean(name, known))))
            )
    return found, unknown


def _readings(name: str, group: str | None, tables: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a name may mean, the likeliest first: (group, the server's name)."""
    qualified = [(key, name[len(key) + 1 :]) for key in tables if name.startswith(f"{key}/")]
    qualified.sort(key=lambda pair: -len(pair[0]))
    plain = [(key, name) for key in tables if group in (None, key)]
    if group is None:
        owners = [pair for pair in plain if name in tables[pair[0]]]
        plain = owners if len(owners) == 1 else []  # whose it is may not be guessed
        return [*qualified, *plain]
    return [*plain, *qualified]
