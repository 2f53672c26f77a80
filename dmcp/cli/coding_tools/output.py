"""dmcp's configuration file as it will be: entries adapted to their new place, rendered, validated, put into a file.

Adapted are a server's working directory and its ``envFile``, of which only the names are read: the values stay where
they are, since they may be secrets. The text is deterministic: servers by name, keys in one order, two spaces, a final
newline. dmcp's own schema validates each entry: the import is lenient about what tools wrote, dmcp is strict. The whole
text is decided before anything is written; not here: writing it (``dmcp.cli.writing``) and asking (``import_``).
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from dmcp.cli import schema
from dmcp.cli.coding_tools.formats import parse_document, read_text
from dmcp.cli.coding_tools.jsonc import with_members
from dmcp.cli.coding_tools.model import Command, NotConverted, SignIn
from dmcp.cli.coding_tools.places import exists
from dmcp.config.problems import checked, spell_path
from dmcp.config.references import resolve
from dmcp.config.resolving import ReferenceResolver, server_from
from dmcp.config.schema import ConfigurationFile
from dmcp.errors import ConfigError, InternalError
from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.cli.coding_tools.model import ImportedServer

_SERVERS = "mcpServers"
_UP_TO_NAME = 2


def entry_of(server: ImportedServer, description: str) -> dict[str, Any]:
    """Return the server as an entry of ``mcpServers``, without what is dmcp's default."""
    target = server.target
    own: dict[str, Any]
    if isinstance(target, Command):
        own = {
            "command": target.command,
            "args": list(target.args),
            "env": dict(target.env),
            "cwd": target.cwd,
        }
    else:
        kind = None if target.kind == "auto" else target.kind
        own = {"type": kind, "url": target.url, "headers": dict(target.headers), **_sign_in(target.sign_in)}
    timeout = {"tools": server.tools_timeout, "connect": server.connect_timeout}
    entry = {
        "description": description,
        **own,
        "features": dict.fromkeys(server.features_off, False),
        "enabled": None if server.enabled else False,
        "timeout": {key: duration(value) for key, value in timeout.items() if value is not None},
        "tools": _given({"include": list(server.include), "exclude": list(server.exclude)}),
    }
    return _given(entry)


def _given(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value not in (None, [], {})}


def _sign_in(sign_in: SignIn) -> dict[str, Any]:
    """Return the sign-in settings, in the short spelling where that says everything."""
    every = asdict(sign_in) | {"scopes": list(sign_in.scopes)}
    given = {key: value for key, value in every.items() if value}
    if given.keys() <= {"client_id", "scopes"}:
        return {f"oauth_{key}": value for key, value in given.items()}
    return {"oauth": given}


def duration(seconds: float) -> str:
    """Return seconds as dmcp's configuration spells a duration."""
    if seconds >= 1 and float(seconds).is_integer():
        return f"{int(seconds)}s"
    return f"{max(1, round(seconds * 1000))}ms"


def validation_problem(name: str, entry: dict[str, Any]) -> str | None:
    """Return why dmcp would not accept this entry, without its values; ``None`` if it would.

    References are not resolved: a variable that is not set today is no error of the entry.
    """
    shape, problems = checked(ConfigurationFile, {"mcpServers": {name: entry}})
    if shape is not None:
        resolver = ReferenceResolver({}, ("mcpServers", name))
        server_from(name, shape, resolver)
        problems = resolver.problems
    texts = (f"{spell_path(each.path[_UP_TO_NAME:])} {each.text}" for each in problems)
    return "; ".join(texts) or None


@dataclass(frozen=True, slots=True)
class Output:
    """What would be written.

    Attributes:
        text: the whole file.
        added: the names of the servers that are new in it.
        kept: the names that were there already, and stay as they were.
        before: the bytes of the file that was added to, as text; nothing for a file of its own.
    """

    text: str = field(repr=False)
    added: tuple[str, ...]
    kept: tuple[str, ...] = ()
    before: str | None = field(default=None, repr=False)


def check_name(path: Path, *, merge: bool) -> None:
    """Check whether a file of this name can be written at all. Raises ``ConfigError``: it cannot, with what to do."""
    if path.suffix.lower() == ".toml":
        do = "add the servers to it by hand, or merge" if merge else "import"
        raise ConfigError(f"{path}: dmcp import writes JSON, not TOML; {do} into a file that ends in .json")
    if path.is_dir():
        raise ConfigError(f"{path}: this is a directory; give a file in it with --output")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path}: its directory does not exist; create it, or choose another with --output")
    schema.check_name(path)


def fresh(entries: Mapping[str, dict[str, Any]]) -> Output:
    """Return a new file."""
    text = json_text({"$schema": schema.SCHEMA, _SERVERS: dict(entries)}) + "\n"
    return Output(text, tuple(entries))


def merged(path: Path, entries: Mapping[str, dict[str, Any]]) -> Output:
    """Return the existing file with the servers it does not have yet, everything else in it untouched.

    Raises:
        ConfigError: the existing file cannot be read, or is no configuration of dmcp.
    """
    text = read_text(path)
    original = text
    before = parse_document(text, str(path), ".jsonc")
    servers = before.get(_SERVERS, {})
    if not isinstance(servers, dict):
        raise ConfigError(f'{path}: "{_SERVERS}" is no table; mend the file before merging into it')
    added = {name: entry for name, entry in entries.items() if name not in servers}
    try:
        text = with_members(text, (_SERVERS,), added) if added else text
    except ValueError as error:
        raise ConfigError(f"{path}: servers cannot be added to this file: {error}") from None
    if parse_document(text, str(path), ".jsonc") != {**before, _SERVERS: {**servers, **added}}:
        raise InternalError(
            f"{path}: servers could not be added without changing the rest; nothing was changed"
        )
    return Output(text, tuple(added), tuple(name for name in entries if name in servers), original)


def json_text(value: Any) -> str:
    """Return JSON with two spaces, as people and tools write it."""
    return to_json(value, indent=2).decode()


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
    beside = os.path.realpath(folder) == os.path.realpath(output.absolute().parent)
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
