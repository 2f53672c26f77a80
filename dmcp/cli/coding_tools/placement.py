"""Adapt an imported server to its new place: its working directory, its ``envFile``, and what git would share.

Looks at paths, and reads the names in an ``envFile``; the values stay where they are, since they may be secrets.
Not here: the entries (``output``) and the report (``dialog``).
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dmcp.cli.coding_tools.formats import read_text
from dmcp.cli.coding_tools.model import Command, NotConverted
from dmcp.cli.coding_tools.places import exists
from dmcp.config.references import resolve
from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.cli.coding_tools.model import ImportedServer

_LARGEST: Final = 1024 * 1024  # bytes of a .gitignore
_MOST_WORDS: Final = 200
_ASSIGNED: Final = re.compile(
    r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=", re.MULTILINE | re.ASCII
)


def with_working_directory(server: ImportedServer, output: Path) -> ImportedServer:
    """Return the server with the directory its tool started it in, if it needs that one: dmcp may be started anywhere.

    It needs it when its command or an argument is a path relative to it, or ``cwd`` is. dmcp takes a relative ``cwd``
    as relative to the configuration.
    """
    target, folder = server.target, server.ran_in
    if not isinstance(target, Command) or folder is None:
        return server
    beside = _same(folder, output.absolute().parent)
    if target.cwd is not None:
        if beside or _is_fixed(target.cwd):
            return server
        return replace(server, target=replace(target, cwd=os.path.normpath(folder / target.cwd)))
    words = (target.command, *target.args[:_MOST_WORDS])
    if not any(_is_relative(word, folder, is_command=at == 0) for at, word in enumerate(words)):
        return server
    return replace(server, target=replace(target, cwd="." if beside else str(folder)))


def relative_path_note(server: ImportedServer) -> NotConverted | None:
    """Return a note on a relative path out of a file for all projects: it began wherever the tool was started."""
    target = server.target
    if not isinstance(target, Command) or server.ran_in is not None:
        return None
    if target.cwd is not None and not _is_fixed(target.cwd):
        what, begins = '"cwd"', "the configuration's directory"
    elif target.cwd is None and any(map(_is_dotted, (target.command, *target.args[:_MOST_WORDS]))):
        what, begins = "a path in its command or arguments", "the directory dmcp is started in"
    else:
        return None
    said = f"{what} is relative, and began wherever the tool was started"
    return NotConverted(server.name, said, f"in dmcp it begins at {begins}: write the whole path")


def _is_fixed(path: str) -> bool:
    return path.startswith(("/", "\\", "~", "$")) or path[1:2] == ":"


def _is_relative(word: str, folder: Path, *, is_command: bool) -> bool:
    if _is_dotted(word):
        return True
    word = word.partition("=")[2] if word.startswith("-") and "=" in word else word
    if not word or "\0" in word or word.startswith("-") or "://" in word or _is_fixed(word):
        return False
    # A command without a slash is looked up in PATH, not in the directory.
    return not (is_command and "/" not in word and "\\" not in word) and exists(folder / word)


def _is_dotted(word: str) -> bool:
    word = word.partition("=")[2] if word.startswith("-") and "=" in word else word
    return word in {".", ".."} or word.startswith(("./", "../", ".\\", "..\\"))


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def seen_by_git(path: Path) -> str | None:
    """Return the line for ``.gitignore`` that keeps a file out of its repository; ``None`` if none is needed."""
    real = Path(os.path.realpath(path))
    root = next((folder for folder in real.parents if exists(folder / ".git")), None)
    if root is None or _is_ignored(real, root):
        return None
    return "/" + real.relative_to(root).as_posix()


def _is_ignored(path: Path, root: Path) -> bool:
    """Return whether a pattern on the way to the file names it; the last that does decides, as for git.

    git itself is not asked: what it runs may be in the configuration of a strange repository.
    """
    ignored = False
    folders = [folder for folder in reversed(path.parents) if folder == root or root in folder.parents]
    for file, folder in [
        (root / ".git" / "info" / "exclude", root),
        *((f / ".gitignore", f) for f in folders),
    ]:
        try:
            text = files.read(file, _LARGEST).decode("utf-8", "replace")
        except OSError:
            continue
        inner = path.relative_to(folder)
        for line in map(str.strip, text.splitlines()):
            pattern = line.removeprefix("!")
            if pattern and not line.startswith("#") and _matches(pattern, inner):
                ignored = not line.startswith("!")
    return ignored


def _matches(pattern: str, inner: Path) -> bool:
    """Return whether a pattern of ``.gitignore`` names a path below it, or a directory it lies in."""
    anchored = "/" in pattern.rstrip("/")
    plain = pattern.strip("/").removeprefix("**/")
    directory_only = pattern.endswith("/")
    for part in (inner, *inner.parents[:-1]):
        if directory_only and part == inner:
            continue
        if fnmatchcase(part.as_posix() if anchored else part.name, plain):
            return True
    return False


def with_env_file(server: ImportedServer, environ: Mapping[str, str]) -> tuple[ImportedServer, NotConverted]:
    """Return the server with the variables of its file in env, each as a reference to itself, and what is left to do.

    Raises:
        ConfigError: the file cannot be read.
    """
    path = resolve(server.env_file or "", environ).text
    names = dict.fromkeys(_ASSIGNED.findall(read_text(Path(path).expanduser())))
    note = NotConverted(
        server.name, f"the values in {path}", "export them as environment variables before dmcp starts"
    )
    if not isinstance(server.target, Command):
        return server, env_file_note(server)
    env = {name: f"${{{name}}}" for name in names} | dict(server.target.env)
    return replace(server, target=replace(server.target, env=env)), note


def env_file_note(server: ImportedServer) -> NotConverted:
    """Return the note on a file that was not inlined."""
    advice = "list its variables in env, each as NAME: ${NAME}, and export them before dmcp starts"
    return NotConverted(server.name, "its envFile", advice)
