"""dmcp's configuration file as it will be: entries rendered and validated, in a new file or added to an existing one.

Deterministic: servers by name, keys in one order, two spaces, a final newline. dmcp's own schema validates each entry:
the import is lenient about what tools wrote, dmcp is strict. The whole text is decided before anything is written; not
here: writing it (``dmcp.cli.writing``) and asking about it (``dialog``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import to_json

from dmcp.cli import schema
from dmcp.cli.coding_tools.formats import parse_document, read_text
from dmcp.cli.coding_tools.jsonc import with_members
from dmcp.cli.coding_tools.model import Command, SignIn
from dmcp.config.problems import from_pydantic, spell_path
from dmcp.config.resolving import Filling, server_from
from dmcp.config.schema import ConfigurationFile
from dmcp.errors import ConfigError, InternalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dmcp.cli.coding_tools.model import Address, ImportedServer

_SERVERS = "mcpServers"
_UP_TO_NAME = 2


def entry_of(server: ImportedServer, description: str) -> dict[str, Any]:
    """Return the server as an entry of ``mcpServers``, without what is dmcp's default."""
    target = server.target
    entry: dict[str, Any] = {"description": description}
    entry |= _command(target) if isinstance(target, Command) else _address(target)
    if server.features_off:
        entry["features"] = dict.fromkeys(server.features_off, False)
    if not server.enabled:
        entry["enabled"] = False
    timeout = {"tools": server.tools_timeout, "connect": server.connect_timeout}
    if spelled := {key: duration(value) for key, value in timeout.items() if value is not None}:
        entry["timeout"] = spelled
    selection = {"include": list(server.include), "exclude": list(server.exclude)}
    if chosen := {key: names for key, names in selection.items() if names}:
        entry["tools"] = chosen
    return entry


def _command(target: Command) -> dict[str, Any]:
    entry: dict[str, Any] = {"command": target.command}
    if target.args:
        entry["args"] = list(target.args)
    if target.env:
        entry["env"] = dict(target.env)
    if target.cwd is not None:
        entry["cwd"] = target.cwd
    return entry


def _address(target: Address) -> dict[str, Any]:
    entry: dict[str, Any] = {} if target.kind == "auto" else {"type": target.kind}
    entry["url"] = target.url
    if target.headers:
        entry["headers"] = dict(target.headers)
    return entry | _sign_in(target.sign_in)


def _sign_in(sign_in: SignIn) -> dict[str, Any]:
    """Return the sign-in settings, in the short spelling where that says everything."""
    keys = (
        "client_id",
        "client_secret",
        "scopes",
        "redirect_port",
        "redirect_host",
        "redirect_path",
        "issuer",
    )
    every = {key: getattr(sign_in, key) for key in (*keys, "resource")}
    given = {key: list(value) if key == "scopes" else value for key, value in every.items() if value}
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
    try:
        shape = ConfigurationFile.model_validate({"mcpServers": {name: entry}})
    except ValidationError as error:
        problems = [from_pydantic(one) for one in error.errors(include_url=False)]
    else:
        filling = Filling({}, ("mcpServers", name))
        server_from(name, shape, filling)
        problems = filling.problems
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
    """Check whether a file of this name can be written at all.

    Raises:
        ConfigError: it cannot, with what to do.
    """
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
