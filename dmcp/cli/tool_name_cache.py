"""The names of a group's tools as a command saw them last, for the shell to complete: names, in the user's cache."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from dmcp.store.listings import ListingFiles, directory

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


async def remember(config: Path, group: str, tools: Iterable[dict[str, Any]]) -> None:
    """Keep the names of a group's tools. Cannot fail: what cannot be kept is forgotten."""
    if (files := _files()) is not None:
        await files.save(_key(config, group), to_json([tool.get("name") for tool in tools]))


async def remembered(config: Path, group: str) -> list[str]:
    """Return the names that were kept last; none if there are none, or what is there is no list of names."""
    files = _files()
    content = await files.load(_key(config, group)) if files is not None else b""
    try:
        names = from_json(content) if content else []
    except ValueError:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _files() -> ListingFiles | None:
    try:
        return ListingFiles(directory().with_name("tools"))
    except RuntimeError:  # this user has no home directory
        return None


def _key(config: Path, group: str) -> str:
    return hashlib.sha256(f"{config.absolute()}\0{group}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
