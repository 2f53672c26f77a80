"""A server that keeps short notes, as long as it runs. Run it with ``python -m dmcp.demo.notes``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from dmcp.demo.server import Refused, Tool, serve


@dataclass(slots=True)
class _Note:
    title: str
    text: str
    tags: set[str] = field(default_factory=set)

    def line(self, number: int) -> str:
        return f"{number}. {self.title}" + (f"  [{', '.join(sorted(self.tags))}]" if self.tags else "")


_notes: Final[dict[int, _Note]] = {
    1: _Note("Groceries", "Bread, olives, lemons", {"home"}),
    2: _Note("Release checklist", "Changelog, tag, build, announce", {"work", "release"}),
    3: _Note("Marathon plan", "Long run on Sunday: 26.2 mi, easy pace", {"sport"}),
}


def _note(number: int) -> _Note:
    if number not in _notes:
        raise Refused(f"There is no note {number}. list_notes shows all of them.")
    return _notes[number]


def add_note(title: str, text: str, tags: list[str] | None = None) -> str:
    """Add a note with a title and a text, and tags if wanted. Returns the number the note was given."""
    number = max(_notes, default=0) + 1
    _notes[number] = _Note(title, text, set(tags or ()))
    return f"Added: {_notes[number].line(number)}"


def list_notes(tag: str = "") -> str:
    """List the notes, one a line, with number, title and tags. Can be limited to the notes with one tag."""
    lines = [note.line(number) for number, note in _notes.items() if not tag or tag in note.tags]
    return "\n".join(lines) or "There are no such notes."


def read_note(number: int) -> str:
    """Return one note with its title, its tags and its whole text."""
    return f"{_note(number).line(number)}\n\n{_note(number).text}"


def search_notes(query: str) -> str:
    """Find the notes whose title or text contains a string. Upper and lower case make no difference."""
    found = [n.line(i) for i, n in _notes.items() if query.lower() in f"{n.title}\n{n.text}".lower()]
    return "\n".join(found) or f"No note contains {query!r}."


def append_to_note(number: int, text: str) -> str:
    """Add a paragraph at the end of a note and return the note as it is then."""
    _note(number).text += f"\n{text}"
    return read_note(number)


def replace_in_note(number: int, old: str, new: str) -> str:
    """Replace a piece of a note's text. The piece must stand in the note exactly once, so quote enough of it."""
    note = _note(number)
    if not old or note.text.count(old) != 1:
        raise Refused(
            f"The text to replace stands in note {number} {note.text.count(old) if old else 0} times."
        )
    note.text = note.text.replace(old, new)
    return read_note(number)


def rename_note(number: int, title: str) -> str:
    """Give a note another title."""
    _note(number).title = title
    return f"Renamed: {_note(number).line(number)}"


def tag_note(number: int, tags: list[str]) -> str:
    """Set the tags of a note. The tags it had before are dropped; an empty list leaves it without tags."""
    _note(number).tags = set(tags)
    return f"Tagged: {_note(number).line(number)}"


def list_tags() -> str:
    """List all tags in use, one a line, each with the number of notes that have it."""
    counts: dict[str, int] = {}
    for note in _notes.values():
        for tag in note.tags:
            counts[tag] = counts.get(tag, 0) + 1
    return "\n".join(f"{tag}: {counts[tag]}" for tag in sorted(counts)) or "There are no tags."


def delete_note(number: int) -> str:
    """Delete a note for good. This cannot be undone, so ask the person first."""
    title = _note(number).title
    del _notes[number]
    return f"Deleted: {number}. {title}"


def _text(description: str) -> dict[str, str]:
    return {"type": "string", "description": description}


_NUMBER: Final = {"type": "integer", "minimum": 1, "description": "The note's number, as list_notes shows it"}
_TITLE: Final = _text("A short title, one line")
_TAGS: Final[dict[str, Any]] = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Lower-case words to find the note by",
}
_OLD: Final = _text("The piece to replace, exactly as it is written")
_NEW: Final = _text("What stands there afterwards; may be empty")
_TOOLS: Final = (
    Tool(add_note, {"title": _TITLE, "text": _text("The note's text, Markdown"), "tags": _TAGS}, reads=False),
    Tool(list_notes, {"tag": _text("Show only notes with this tag")}),
    Tool(read_note, {"number": _NUMBER}),
    Tool(search_notes, {"query": _text("The string to look for")}),
    Tool(append_to_note, {"number": _NUMBER, "text": _text("The paragraph to add, Markdown")}, reads=False),
    Tool(replace_in_note, {"number": _NUMBER, "old": _OLD, "new": _NEW}, reads=False),
    Tool(rename_note, {"number": _NUMBER, "title": _TITLE}, reads=False),
    Tool(tag_note, {"number": _NUMBER, "tags": _TAGS}, reads=False),
    Tool(list_tags),
    Tool(delete_note, {"number": _NUMBER}, reads=False),
)

if __name__ == "__main__":
    serve("notes", _TOOLS)
