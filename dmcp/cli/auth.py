"""``dmcp auth``: sign in to remote servers by hand, see which sign-ins there are, forget them.

What a sign-in is and where it is kept is ``dmcp.auth``'s. A dmcp that is running finds a new one by itself.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from dmcp.cli import context, formatting, trust
from dmcp.config.model import RemoteServer
from dmcp.errors import AuthError, ConfigError, UpstreamError
from dmcp.protocol import upstream_errors
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.auth.authorizer import Authorizer
    from dmcp.auth.store import FileStore
    from dmcp.config.model import Configuration


_LONGEST_LINE = 2000  # characters of a line of ``dmcp auth status``


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of ``dmcp auth status``. Nothing in it is secret."""

    server: str
    state: str
    issuer: str | None = None
    expires: str | None = None
    scopes: tuple[str, ...] = ()
    hint: str | None = None


_config = click.option(
    "-c", "--config", type=click.Path(), help="The configuration file; it may also stand before SERVER."
)
_words = click.argument("words", nargs=-1, metavar="[CONFIG] [SERVER]")


@click.group("auth")
def auth_command() -> None:
    """Sign in to remote servers that want it (OAuth), see which sign-ins there are, forget them.

    \b
    Examples:
      dmcp auth status
      dmcp auth login github
      dmcp auth logout dmcp.json github
      dmcp auth adopt github
    """  # noqa: D301 - \b is click's sign for "do not wrap", not a backslash to keep


@auth_command.command("login", short_help="Sign in to SERVER in the browser.")
@_words
@_config
@trust.option
def login(words: tuple[str, ...], config: str | None) -> None:
    """Sign in to SERVER in the browser; the address is printed too. SERVER may be left out if there is only one.

    Exits with 0, with 1 when the sign-in failed, or with 2 when the configuration is wrong.
    """
    configuration, server = _read(words, config, starts=True)
    name, remote = _pick(configuration, server)
    if any(header.lower() == "authorization" and value for header, value in remote.headers.items()):
        raise ConfigError(
            f"{name} has an Authorization header in the configuration, which is what it is sent: remove it to sign in."
        )
    try:
        state = asyncio.run(_login(_store(configuration), name, remote))
    except AuthError as error:
        raise AuthError(f"{name}: {error}") from None
    click.echo(f"{formatting.line(name)}: {state}. A dmcp that is running will use it.")


@auth_command.command("logout", short_help="Forget the sign-in to SERVER.")
@_words
@_config
def logout(words: tuple[str, ...], config: str | None) -> None:
    """Forget the sign-in to SERVER on this machine, and the client that was registered for it.

    Exits with 0, with 1 when it could not be removed, or with 2 when the configuration is wrong.
    """
    configuration, server = _read(words, config)
    name, _ = _pick(configuration, server)
    try:
        was_there = asyncio.run(_authorizer(_store(configuration)).sign_out(name))
    except AuthError as error:
        raise AuthError(f"{name}: {error}") from None
    click.echo(
        f"{formatting.line(name)}: " + ("the sign-in is forgotten." if was_there else "there was no sign-in.")
    )


@auth_command.command("adopt", short_help="Use the sign-in that the predecessor kept under SERVER's name.")
@_words
@_config
@trust.option
@click.option("--yes", is_flag=True, help="Do not ask.")
def adopt(words: tuple[str, ...], config: str | None, yes: bool) -> None:
    """Use the sign-in that the predecessor (dynamic-mcp) kept under the name SERVER, for the address SERVER has now.

    Its files say no address. So its tokens are sent nowhere before you say that this is the server they are for.

    Exits with 0, with 1 when there is none or you do not want it, or with 2 when the configuration is wrong.
    """
    configuration, server = _read(words, config, starts=True)
    name, remote = _pick(configuration, server)
    store = _store(configuration)
    try:
        if asyncio.run(store.read(name)).left is None:
            raise UpstreamError(f"{name}: the predecessor left no sign-in under this name.")
        where = _address(remote)
        click.echo(
            f"{formatting.line(name)}: the predecessor kept a sign-in under this name. It will be sent to {where}.",
            err=True,
        )
        if not yes and not _agrees():
            raise UpstreamError(f"{name}: nothing was changed.")
        asyncio.run(_authorizer(store).adopt(name, remote))
    except AuthError as error:
        raise AuthError(f"{name}: {error}") from None
    click.echo(f"{formatting.line(name)}: the sign-in of the predecessor is used for {where} from now on.")


@auth_command.command("status", short_help="Show the sign-ins to all remote servers, or to SERVER.")
@_words
@_config
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def status(words: tuple[str, ...], config: str | None, as_json: bool) -> None:
    """Show the sign-ins to all remote servers, or to SERVER. No server is asked; no token is shown.

    Exits with 0, with 1 when a sign-in cannot be read, or with 2 when the configuration is wrong.
    """
    configuration, server = _read(words, config)
    servers = dict([_pick(configuration, server)]) if server else _remotes(configuration)
    rows = asyncio.run(_rows(_store(configuration), servers))
    if as_json:
        formatting.echo_json([asdict(row) for row in rows])
        return
    for row in rows:
        click.echo(_as_text(row))
    if not rows:
        click.echo("There are no remote servers in this configuration.")


async def _login(store: FileStore, name: str, remote: RemoteServer) -> str:
    authorizer = _authorizer(store)
    before = await authorizer.load(name, remote)
    tokens = await authorizer.sign_in(
        name,
        remote,
        wanted=await authorizer.challenge_of(remote),
        rejected=before.authorization if before else None,
        announce=lambda _: None,
        on_other_process=lambda: click.echo(
            f"{formatting.line(name)}: another dmcp process is signing in to it; finish that in the browser. Waiting.",
            err=True,
        ),
    )
    return (
        "signed in"
        if tokens.expires_at is None or tokens.refresh
        else f"signed in until {_date(tokens.expires_at)}"
    )


async def _rows(store: FileStore, servers: Mapping[str, RemoteServer]) -> list[_Row]:
    from dmcp.auth.discovery import canonical  # noqa: PLC0415 - needed only when the command really runs

    rows = []
    for name, remote in servers.items():
        record = await store.read(name)
        entry = record.find(canonical(remote.url))
        tokens = entry.tokens if entry else None
        if entry is None or tokens is None:
            adopt = upstream_errors.sign_in_command("adopt", name, context.named())
            hint = f"{adopt} uses the predecessor's sign-in" if record.left else None
            rows.append(_Row(name, "not signed in", hint=hint))
            continue
        good, renewable = tokens.is_valid(time.time()), bool(tokens.refresh)
        state = (
            "signed in" if good else "signed in, to be renewed at the next use" if renewable else "expired"
        )
        expires = None if tokens.expires_at is None else _date(tokens.expires_at)
        rows.append(_Row(name, state, entry.issuer or None, expires, tokens.scopes))
    return rows


def _as_text(row: _Row) -> str:
    details = [f"by {row.issuer}"] if row.issuer else []
    details += [f"token until {row.expires}"] if row.expires else []
    details += [f"scopes {' '.join(row.scopes)}"] if row.scopes else []
    details += [row.hint] if row.hint else []
    return f"{formatting.line(row.server)}: {printable(', '.join([row.state, *details]), _LONGEST_LINE)}"


def _address(remote: RemoteServer) -> str:
    """Return the address of a server as it may be shown: the query may hold a key."""
    from dmcp.auth.discovery import canonical  # noqa: PLC0415 - needed only when the command really runs

    return printable(canonical(remote.url).partition("?")[0], 500)


def _agrees() -> bool:
    if not sys.stdin.isatty():
        raise ConfigError("There is no terminal to ask on: say --yes if that address is the right one.")
    return click.confirm("Is this the server it is for?", default=False, err=True)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(min(seconds, 253402300799.0), UTC).strftime("%Y-%m-%d %H:%M UTC")


def _read(
    words: tuple[str, ...], config: str | None, *, starts: bool = False
) -> tuple[Configuration, str | None]:
    if config is None:
        config, words = context.split(words, 1)
    elif not context.names_file(config):
        config = f"./{config}"  # an option says that it is a file
    if len(words) > 1:
        raise ConfigError(f"Say one server, not {len(words)}.")
    _, configuration = context.configuration(config, starts=starts)
    return configuration, (words[0] if words else None)


def _remotes(configuration: Configuration) -> dict[str, RemoteServer]:
    return {name: s.target for name, s in configuration.servers.items() if isinstance(s.target, RemoteServer)}


def _pick(configuration: Configuration, server: str | None) -> tuple[str, RemoteServer]:
    remotes = _remotes(configuration)
    if server is None and len(remotes) == 1:
        return next(iter(remotes.items()))
    if server in remotes:
        return server, remotes[server]
    if not remotes:
        raise ConfigError("There are no remote servers in this configuration, and only those want a sign-in.")
    known = ", ".join(sorted(remotes))
    if server is None:
        raise ConfigError(f"Say which server: the remote ones in this configuration are {known}.")
    if server in configuration.servers:
        raise ConfigError(
            f"{server} is no remote server, or its address is incomplete; the remote ones are {known}."
        )
    raise ConfigError(f"There is no server {server} in this configuration; the remote ones are {known}.")


def _store(configuration: Configuration) -> FileStore:
    from dmcp.auth.store import open_store  # noqa: PLC0415 - needed only when the command really runs

    try:
        return open_store(configuration.oauth_store)
    except AuthError as error:
        raise ConfigError(str(error)) from None


def _authorizer(store: FileStore) -> Authorizer:
    from dmcp.auth.authorizer import Authorizer  # noqa: PLC0415 - needed only when the command really runs

    return Authorizer(store, may_ask=lambda: True, config=context.named())
