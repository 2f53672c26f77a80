"""The long names, which have the group in them: how they are made, taken apart, and kept from being imitated.

A long name is ``group/name`` for a prompt and ``dmcp://group/URI`` for a resource or a template. It stands for that
group's entry and for nothing else, whatever any server lists. So an entry whose own name has that form, or could
be read so, is shown under its own group's long name only (``me/other/x``, ``dmcp://me/dmcp://other/x``).
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dmcp.protocol.listing import Kind

SCHEME: Final = "dmcp"
_PREFIX: Final = f"{SCHEME}://"
_SPREAD: Final = 12  # characters one character may be written with: four bytes, each as %XX
_SLACK: Final = 64  # characters before the name that nobody sees


def qualified(kind: Kind, group: str, name: str) -> str:
    """Return the long name of an entry."""
    if kind == "prompts":
        return f"{group}/{name}"
    return f"{_PREFIX}{quote(group, safe='')}/{name}"


def split_qualified(kind: Kind, name: str, groups: Iterable[str]) -> tuple[str, str] | None:
    """Take a long name apart into (group, the server's name); ``None`` when it is not one of these groups'.

    Of groups one of whose names begins the other's the longer one is meant. The scheme may be in any case and the group
    in any percent-encoding (RFC 3986, sections 3.1 and 2.1).
    """
    if kind == "prompts":
        found = [group for group in groups if name.startswith(f"{group}/")]
        group = max(found, key=len, default="")
        return (group, name[len(group) + 1 :]) if group else None
    if name[: len(_PREFIX)].lower() != _PREFIX:
        return None
    end = name.find("/", len(_PREFIX))
    group = unquote(name[len(_PREFIX) : end]) if end >= 0 else ""
    return (group, name[end + 1 :]) if group in groups else None


class Names:
    """The names of the groups there are, and which entry's name could be taken for one with a group in it."""

    __slots__ = ("_folded", "_lengths", "_longest", "groups")

    def __init__(self, groups: Iterable[str] = ()) -> None:
        self.groups = dict.fromkeys(groups)
        self._folded = {_read_as(group) for group in self.groups} | {g.casefold() for g in self.groups}
        self._lengths = sorted({len(name) for name in self._folded})
        self._longest = max(self._lengths, default=0)

    def __repr__(self) -> str:
        return f"<Names of {len(self.groups)} groups>"

    def split(self, kind: Kind, name: str) -> tuple[str, str] | None:
        """Take a long name of one of the groups apart; see ``split_qualified``."""
        return split_qualified(kind, name, self.groups)

    def imitates(self, kind: Kind, name: str) -> bool:
        """Return whether a server's own name is a long name, or could be taken for one by a person or a client.

        Letter case, percent-encoding, full-width and other compatible characters, and characters nobody sees are read
        as what they stand for. Letters of other scripts that look alike are not. Constant time: only the beginning of
        the name is looked at.
        """
        if kind != "prompts":
            return _begins(name, len(SCHEME) + 1, lambda read: read.startswith(f"{SCHEME}:"))
        return _begins(
            name,
            self._longest + 1,
            lambda read: any(
                read[length : length + 1] == "/" and read[:length] in self._folded for length in self._lengths
            ),
        )

    def shown(self, kind: Kind, group: str, name: str, *, taken: bool) -> str | None:
        """Return the name the client sees of a group's entry.

        Args:
            kind: of which listing.
            group: whose entry.
            name: the server's own name of it.
            taken: whether another group has the plain name already.

        Returns:
            The plain name, the long one, or ``None`` where the long one would stand for another group: a prompt ``b/x``
            of the group ``a`` beside a group ``a/b``.
        """
        if not taken and not self.imitates(kind, name):
            return name
        long = qualified(kind, group, name)
        return long if kind != "prompts" or self.split(kind, long) == (group, name) else None


def _begins(name: str, length: int, test: Callable[[str], bool]) -> bool:
    """Apply ``test`` to the beginning of a name as somebody might read it; true if nobody can tell."""
    head = name[: length * _SPREAD + _SLACK]
    read = _read_as(head)
    return test(read) or (len(read) < length and len(name) > len(head))


def _read_as(text: str) -> str:
    """Return the text as a careless reader or client might take it."""
    if text.isascii() and text.isprintable() and "%" not in text:
        return text.lstrip().casefold()
    plain = unicodedata.normalize("NFKC", unquote(text))
    return "".join(c for c in plain if c.isprintable() and not c.isspace()).casefold()
