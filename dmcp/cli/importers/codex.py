"""Codex CLI: TOML, and variables named in keys of their own. Source: the tool itself.

Codex expands nothing, so every ``${X}`` of its file is literal;
what it takes from the environment becomes a reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.entries import returning_to
from dmcp.cli.importers.model import Address, Command, SignIn
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location, SignInKeys

if TYPE_CHECKING:
    from dmcp.cli.importers.fields import Entry
    from dmcp.cli.importers.model import ImportedServer, NotCarried
    from dmcp.cli.importers.tool import Found

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _with_variables(entry: Entry, server: ImportedServer) -> ImportedServer:
    """What Codex takes from the environment, as references; and its older spelling of a duration."""
    if server.connect_timeout is None:
        server = replace(server, connect_timeout=entry.seconds(("startup_timeout_ms", 0.001)))
    entry.leave("startup_timeout_ms")
    match server.target:
        case Command() as command:
            named = _names(entry, entry.take("env_vars"))
            return replace(server, target=replace(command, env={**named, **command.env}))
        case Address() as address:
            headers = {**address.headers, **_headers(entry)}
            sign_in = replace(
                address.sign_in,
                scopes=address.sign_in.scopes or entry.names("scopes"),
                resource=address.sign_in.resource or entry.text("oauth_resource"),
            )
            return replace(server, target=replace(address, headers=headers, sign_in=sign_in))


def _returning(
    server: ImportedServer, files: tuple[Found, ...]
) -> tuple[ImportedServer, tuple[NotCarried, ...]]:
    """Where the browser returns to, which Codex keeps once for all servers."""
    target = server.target
    if isinstance(target, Command):
        return server, ()
    kept = target.sign_in
    if kept == SignIn():
        return server, ()  # dmcp registers itself, with an address of its own
    for contents in (file.contents for file in files):
        port = contents.get("mcp_oauth_callback_port")
        port = port if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 1 << 16 else None
        back = returning_to(contents.get("mcp_oauth_callback_url"), port) or SignIn(redirect_port=port)
        if back != SignIn():
            kept = replace(
                kept,
                redirect_port=back.redirect_port,
                redirect_host=back.redirect_host,
                redirect_path=back.redirect_path,
            )
    return replace(server, target=replace(target, sign_in=kept)), ()


def _headers(entry: Entry) -> dict[str, str]:
    """The headers whose values Codex takes from the environment."""
    named = entry.take("env_http_headers")
    headers = {}
    for header, variable in named.items() if isinstance(named, Mapping) else ():
        for reference in _names(entry, [variable]).values():
            headers[str(header)] = reference
    if (bearer := entry.take("bearer_token_env_var")) is not None:
        for reference in _names(entry, [bearer]).values():
            headers["Authorization"] = f"Bearer {reference}"
    return headers


def _names(entry: Entry, value: Any) -> dict[str, str]:
    """A list of variables, each under its own name: texts, or tables with a ``name``."""
    found = {}
    for item in value if isinstance(value, list) else []:
        name = item.get("name") if isinstance(item, Mapping) else item
        if isinstance(name, str) and _VARIABLE.fullmatch(name):
            found[name] = f"${{{name}}}"
        else:
            entry.note("a name that no environment variable can have", "add the variable to env by hand")
    return found


TOOL = CodingTool(
    name="codex",
    title="Codex CLI",
    root=("CODEX_HOME", "{home}/.codex"),
    project=(Location("{cwd}/.codex/config.toml", ("mcp_servers",), reach="repository"),),
    user=(Location("{root}/config.toml", ("mcp_servers",)),),
    overlays=True,
    finish=_with_variables,
    select=_returning,
    remark="files are merged key by key; `env_vars`, `env_http_headers` and `bearer_token_env_var` become references; "
    "`scopes`, `oauth_resource`, `mcp_oauth_callback_port` and `mcp_oauth_callback_url`; "
    "an empty `enabled_tools` becomes `features.tools: false`",
    shape=EntryShape(
        headers=("http_headers",),
        enabled="enabled",
        disabled=None,
        timeout=("tool_timeout_sec", 1.0),
        startup=("startup_timeout_sec", 1.0),
        include="enabled_tools",
        exclude="disabled_tools",
        literal=True,
        empty_is_none=True,
        sign_in=SignInKeys(client_id="client_id", client_secret=None),
        ignored=("required", "default_tools_approval_mode", "tools", "supports_parallel_tool_calls"),
        cannot={
            "bearer_token": "put the token into an environment variable and use bearer_token_env_var",
            "experimental_environment": "dmcp starts servers on this machine only",
        },
    ),
)
