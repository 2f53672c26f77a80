"""An imported server in the words of dmcp's configuration file, and the file's text.

Pure and deterministic: servers by name, keys in one order, two spaces, a final newline. Not here: writing it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from dmcp.cli.importers.model import Command, SignIn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dmcp.cli.importers.model import Address, ImportedServer

SCHEMA = "./dmcp.schema.json"
"""The ``$schema`` of a configuration: the file that ``dmcp.cli.schema.write_beside`` puts next to it. An address on a
network would tie editing a file to a host, and to the newest dmcp instead of the one that is installed."""


def entry_of(server: ImportedServer, description: str) -> dict[str, Any]:
    """The server as an entry of ``mcpServers``; what is as dmcp has it by default is left out."""
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
    """The short spelling where it says everything."""
    more = {
        "client_secret": sign_in.client_secret,
        "redirect_port": sign_in.redirect_port,
        "redirect_host": sign_in.redirect_host,
        "redirect_path": sign_in.redirect_path,
        "issuer": sign_in.issuer,
        "resource": sign_in.resource,
    }
    if not any(more.values()):
        short = {"oauth_client_id": sign_in.client_id, "oauth_scopes": list(sign_in.scopes)}
        return {key: value for key, value in short.items() if value}
    full = {
        "client_id": sign_in.client_id,
        "client_secret": sign_in.client_secret,
        "scopes": list(sign_in.scopes),
        **more,
    }
    return {"oauth": {key: value for key, value in full.items() if value}}


def duration(seconds: float) -> str:
    """Seconds as dmcp's configuration spells a duration."""
    if seconds >= 1 and float(seconds).is_integer():
        return f"{int(seconds)}s"
    return f"{max(1, round(seconds * 1000))}ms"


def file_text(entries: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """A whole configuration file."""
    return json_text({"$schema": SCHEMA, "mcpServers": dict(entries)}) + "\n"


def json_text(value: Any) -> str:
    """JSON with two spaces, as people and tools write it."""
    return to_json(value, indent=2).decode()
