"""Renders the table of coding tools, and a section for each, into docs/import.md: from the data dmcp itself uses.

``python docs/render_tools.py`` writes them into the page; a test fails when they differ.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dmcp.cli.coding_tools.table import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dmcp.cli.coding_tools.model import CodingTool, EntryFormat, Location, Reach

PAGE = Path(__file__).resolve().parent / "import.md"
BEGIN = "<!-- from here on rendered by docs/render_tools.py -->"
_KINDS = {"http": "Streamable HTTP", "sse": "SSE", "auto": "dmcp tries Streamable HTTP, then SSE"}
_PLATFORMS = {"linux": "Linux", "darwin": "macOS", "win32": "Windows"}
_REACHES: Mapping[Reach, str] = {
    "here": "the directory you are in",
    "nearest": "the nearest one upwards, as far as the repository's root; editors look where they were opened",
    "repository": "all from the repository's root down to where you are; the inner ones win",
    "worktree": "all from the repository's root (without one: the disk's) down to where you are; the inner ones win",
    "worktree outwards": "the same, but the outer ones win",
    "above": "all from the disk's root down to where you are; the inner ones win",
}
_PLACES = {
    "{cwd}/": "",
    "{home}": "~",
    "{xdg}": "~/.config",
    "{code}": "<VS Code's User folder>",
    "{programs}": "<application settings>",
    "{appdata}": "%APPDATA%",
    "{localappdata}": "%LOCALAPPDATA%",
}


def rendered(page: str) -> str:
    """Return the page with a fresh generated part; the written part above it stays."""
    parts = [page.partition(BEGIN)[0] + BEGIN, _overview(), *(_section(tool) for tool in TOOLS.values())]
    return "\n".join(parts)


def _overview() -> str:
    rows = [
        f"| {tool.title} | `{tool.name}` | {_main_file(tool.project, tool)} | {_main_file(tool.user, tool)} "
        f"| {'its own command, else its file' if tool.install.command is not None else 'its file'} |"
        for tool in TOOLS.values()
    ]
    head = ["| tool | name | in a project | the user's | `dmcp install` uses |", "|---|---|---|---|---|"]
    return "\n".join(["", "## The tools", "", *head, *rows, ""])


def _main_file(places: tuple[Location, ...], tool: CodingTool) -> str:
    """Return the first file of a scope that ``dmcp install`` may write to, on Linux where the platforms differ."""
    for place in places:
        if place.installable and "linux" in (place.platforms or ("linux",)):
            return _place(replace(place, note="", platforms=()), tool)
    return "none"


def _section(tool: CodingTool) -> str:
    rows = [f"| {name} | {text} |" for name, text in _rows(tool) if text]
    return "\n".join(
        ["", f"## {tool.title} (`dmcp import {tool.name}`)", "", "| | |", "|---|---|", *rows, ""]
    )


def _rows(tool: CodingTool) -> Iterator[tuple[str, str]]:
    shape = tool.format
    yield "project", "<br>".join(_place(place, tool) for place in tool.project) or "none"
    yield "looked for in", _reach(tool)
    yield "user", "<br>".join(_place(place, tool) for place in tool.user)
    if tool.root is not None:
        yield "moved by", f"`{tool.root[0]}`"
    yield (
        "servers under",
        ", ".join(dict.fromkeys(f"`{place.servers[-1]}`" for place in (*tool.project, *tool.user))),
    )
    yield "references", tool.syntax.spelled
    yield "carried", _keys(_carried(shape))
    yield (
        "an address without type is",
        "; ".join(f"`{key}`: {_KINDS[kind]}" for key, kind in shape.urls.items()),
    )
    yield "sign-in", _sign_in(shape)
    elsewhere = [place for place in tool.settings if place.path not in _paths(tool)]
    yield "also switched off by", ", ".join(_place(place, tool) for place in elsewhere)
    yield "carried in its own way", tool.remark
    yield "means nothing to dmcp", _keys(shape.ignored)
    yield (
        "inlined as references, if you say so",
        _keys([shape.env_file] if shape.env_file is not None else []),
    )
    yield "not carried", "<br>".join(f"`{key}`: {advice}" for key, advice in shape.unsupported.items())


def _reach(tool: CodingTool) -> str:
    """Return which directories are searched for a project's files; nothing when it is this one only."""
    places: dict[Reach, list[str]] = {}
    for place in tool.project:
        if "{cwd}" in place.path:
            places.setdefault(place.reach, []).append(_place(place, tool))
    if set(places) <= {"here"}:
        return ""
    if len(places) == 1:
        return "".join(_REACHES[reach] for reach in places)
    return "<br>".join(f"{', '.join(paths)}: {_REACHES[reach]}" for reach, paths in places.items())


def _paths(tool: CodingTool) -> set[str]:
    return {place.path for place in (*tool.project, *tool.user)}


def _carried(shape: EntryFormat) -> list[str]:
    keys = [shape.command, shape.args, *shape.env, shape.cwd, *shape.urls, *shape.type, *shape.headers]
    keys += [shape.enabled, shape.disabled, shape.description, shape.include, shape.exclude]
    for key, unit in (timed for timed in (shape.timeout, shape.startup) if timed is not None):
        keys.append(f"{key} ({'seconds' if unit == 1 else 'milliseconds'})")
    return [key for key in keys if key is not None]


def _sign_in(shape: EntryFormat) -> str:
    keys = shape.sign_in
    if keys is None:
        return ""
    inner = (keys.client_id, keys.client_secret, keys.scopes, keys.redirect_port)
    return _keys([f"{keys.table}.{key}" for key in inner if key is not None])


def _keys(keys: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _place(place: Location, tool: CodingTool) -> str:
    path = place.path.replace("{root}", tool.root[1]) if tool.root is not None else place.path
    for template, shown in _PLACES.items():
        path = path.replace(template, shown)
    notes = [*(_PLATFORMS[name] for name in place.platforms), *([place.note] if place.note else [])]
    shown = f"the file in `{path[1:]}`" if path.startswith("$") else f"`{path}`"
    return f"{shown} ({', '.join(notes)})" if notes else shown


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
