"""docs/import.md's section for each tool, made from what the importers go by, so that it cannot say anything else.

``python -m dmcp.cli.importers.tables docs/import.md`` writes them into the page; a test fails when they differ.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dmcp.cli.importers.registry import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, Reach

BEGIN = "<!-- from here on made by python -m dmcp.cli.importers.tables -->"
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


def with_sections(page: str) -> str:
    """The page with its generated part as it has to be; the written part above it stays."""
    return "\n".join([page.partition(BEGIN)[0] + BEGIN, *(_section(tool) for tool in TOOLS.values())])


def _section(tool: CodingTool) -> str:
    rows = [f"| {name} | {text} |" for name, text in _rows(tool) if text]
    return "\n".join(
        ["", f"## {tool.title} (`dmcp import {tool.name}`)", "", "| | |", "|---|---|", *rows, ""]
    )


def _rows(tool: CodingTool) -> Iterator[tuple[str, str]]:
    shape = tool.shape
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
    yield "not carried", "<br>".join(f"`{key}`: {advice}" for key, advice in shape.cannot.items())


def _reach(tool: CodingTool) -> str:
    """Which directories are looked into for a project's files; nothing when it is this one only."""
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


def _carried(shape: EntryShape) -> list[str]:
    keys = [shape.command, shape.args, *shape.env, shape.cwd, *shape.urls, *shape.type, *shape.headers]
    keys += [shape.enabled, shape.disabled, shape.description, shape.include, shape.exclude]
    for key, unit in (timed for timed in (shape.timeout, shape.startup) if timed is not None):
        keys.append(f"{key} ({'seconds' if unit == 1 else 'milliseconds'})")
    return [key for key in keys if key is not None]


def _sign_in(shape: EntryShape) -> str:
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
    target = Path(sys.argv[1])
    target.write_text(with_sections(target.read_text(encoding="utf-8")), encoding="utf-8")
