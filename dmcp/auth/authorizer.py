"""Obtains, renews and forgets credentials for the auth actor: the store, its locks, the flows and the way to the user.

It does what it is asked, once. When to ask, and for whom, is decided by ``dmcp.actors.auth``; nothing here
remembers a call. A refresh token that rotates is lost if its successor is: between asking and keeping
nothing is cancelled.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from dmcp import log
from dmcp.auth import browser, discovery, flow, grants, registration
from dmcp.auth import challenge as challenges
from dmcp.auth.record import LEGACY, Bond, Entry, Record
from dmcp.errors import AuthError, SignInNeeded
from dmcp.protocol.upstream_errors import sign_in_command
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from dmcp.auth.challenge import Challenge
    from dmcp.auth.flow import Discovered
    from dmcp.auth.registration import Client
    from dmcp.auth.store import FileStore
    from dmcp.auth.tokens import Tokens
    from dmcp.auth.web import AuthHttpClient
    from dmcp.config.model import RemoteServer

T = TypeVar("T")
_FORBIDDEN = 403
_CANCEL_GRACE: Final = 5.0
"""Seconds that work under way is given to end after its caller was cancelled."""


class Authorizer:
    """Obtains, renews and forgets credentials. All methods run on the event loop.

    Args:
        store: where they are kept.
        may_ask: whether a user can be reached from this process.
        show: shows them an address: ``(url, server)``.
        wait_timeout: seconds they have to sign in.
        request_time: seconds for each HTTP request; ``None`` for the default.
        config: the configuration that advised commands name; empty where they find it by themselves.
    """

    def __init__(
        self,
        store: FileStore,
        may_ask: Callable[[], bool] = browser.is_available,
        show: Callable[[str, str], None] = browser.show,
        wait_timeout: float = flow.WAIT_TIMEOUT,
        request_time: float | None = None,
        *,
        config: str = "",
    ) -> None:
        self._store = store
        self._config = config
        self._may_ask = may_ask
        self._show = show
        self._wait_timeout = wait_timeout
        self._request_time = request_time

    def __repr__(self) -> str:
        return f"<Authorizer {self._store!r}>"

    async def load(self, name: str, server: RemoteServer) -> Tokens | None:
        """Return the tokens kept for a server, good or not. Raises ``AuthError``: the store cannot be read."""
        entry = (await self._store.read(name)).find(discovery.canonical(server.url))
        return entry.tokens if entry else None

    async def refresh(self, name: str, server: RemoteServer, rejected: str | None = None) -> Tokens:
        """Return tokens that are neither due nor ``rejected``: another process's if it was faster, else new ones.

        Raises:
            SignInNeeded: there is nothing to renew, or the refresh token is worth nothing any more.
            AuthError: the authorization server refused.
            AuthUnavailable: it does not answer. The tokens are kept.
        """
        async with self._store.locked(name, "refresh"):
            record = await self._store.read(name)
            entry = record.find(discovery.canonical(server.url))
            tokens = entry.tokens if entry else None
            if tokens and tokens.authorization != rejected and not tokens.needs_refresh(time.time()):
                return tokens
            return await finish_on_cancel(self._refreshed(name, server, record, entry))

    async def reauthorize(
        self,
        name: str,
        server: RemoteServer,
        *,
        status: int,
        challenge: str,
        rejected: str | None,
        refresh: bool,
        ask: bool,
        announce: Callable[[str], object],
        on_other_process: Callable[[], object] = lambda: None,
        client_shows: bool = False,
    ) -> Tokens:
        """Get something better than what was refused: renewed tokens, or new ones by a sign-in.

        Args:
            name: the server's.
            server: its configuration.
            status: 401 or 403.
            challenge: the ``WWW-Authenticate`` header that came with it.
            rejected: the header value that was not accepted, if one was sent.
            refresh: whether to try without a sign-in first.
            ask: whether the user may be bothered.
            announce: is told the address as soon as a sign-in waits for the user.
            on_other_process: is told as soon as it waits for another dmcp process, which is signing in.
            client_shows: whether whoever is told shows it to the user, so that no browser is needed here.

        Raises:
            SignInNeeded: only ``dmcp auth login`` helps.
            AuthError: it was refused; the text says what to do.
            AuthUnavailable: the authorization server does not answer.
        """
        wanted = challenges.parse(challenge)
        if status == _FORBIDDEN and not wanted.wants_more_scope:
            raise AuthError(
                "it forbids the request (HTTP 403): the account that is signed in may not do this"
            )
        resource, record = discovery.canonical(server.url), await self._store.read(name)
        better = record.better_than(rejected, resource, wanted.missing, time.time())
        if better is not None:
            return better  # somebody ran `dmcp auth login`, or another process was faster
        if status != _FORBIDDEN and refresh:
            try:
                return await self.refresh(name, server, rejected)
            except SignInNeeded as reason:
                log.info(f"a sign-in is needed: {reason}", name)
        return await self.sign_in(
            name,
            server,
            wanted=wanted,
            rejected=rejected,
            announce=announce,
            on_other_process=on_other_process,
            ask=ask and (client_shows or await asyncio.to_thread(self._may_ask)),
        )

    async def sign_in(
        self,
        name: str,
        server: RemoteServer,
        *,
        wanted: Challenge,
        rejected: str | None,
        announce: Callable[[str], object],
        on_other_process: Callable[[], object] = lambda: None,
        ask: bool = True,
    ) -> Tokens:
        """Sign in, unless another process does or did so meanwhile. One that ends without tokens is taken over from.

        The arguments are those of ``reauthorize``; ``wanted`` is the challenge. Without ``ask`` the user is not
        bothered; a sign-in of another process is waited for all the same.

        Raises:
            SignInNeeded: the user did not do it, or may not be bothered.
            AuthError: it was refused; the text says what to do.
            AuthUnavailable: the authorization server does not answer.
        """
        resource = discovery.canonical(server.url)
        async with self._store.locked(name, "sign-in", self._wait_timeout + 60, on_other_process):
            record = await self._store.read(name)
            better = record.better_than(rejected, resource, wanted.missing, time.time())
            if better is not None:
                return better
            if server.oauth.grant != "client_credentials" and not ask:
                how = sign_in_command("login", name, self._config)
                raise SignInNeeded(f"it needs a sign-in: run {how}{_left(name, record, self._config)}")
            async with self._web(server) as web:
                fresh = await self._granted(
                    web, name, server, record=record, wanted=wanted, announce=announce
                )
            async with self._store.locked(name, "refresh"):
                await finish_on_cancel(self._keep(name, fresh))
        return _tokens_of(fresh)

    async def adopt(self, name: str, server: RemoteServer) -> bool:
        """Bind what the predecessor kept under a server's name to its address; returns whether there was anything."""
        async with self._store.locked(name, "refresh"):
            adopted = (await self._store.read(name)).migrate_legacy(discovery.canonical(server.url))
            if adopted is not None:
                await self._store.write(name, adopted)
        return adopted is not None

    async def sign_out(self, name: str) -> bool:
        """Forget a server's credentials; returns whether there were any."""
        async with self._store.locked(name, "refresh"):
            return await self._store.remove(name)

    async def challenge_of(self, server: RemoteServer) -> Challenge:
        """Return what a server asks for when one knocks without credentials.

        Raises:
            AuthUnavailable: it does not answer.
        """
        async with self._web(server) as web:
            return challenges.parse((await web.probe(server.url)).challenge)

    async def _granted(
        self,
        web: AuthHttpClient,
        name: str,
        server: RemoteServer,
        *,
        record: Record,
        wanted: Challenge,
        announce: Callable[[str], object],
        refreshing: bool = False,
    ) -> Entry:
        # Renewing is done under the lock for it already.
        resource, settings = discovery.canonical(server.url), server.oauth
        bound = record.issuer_of_configured(resource, settings.client_id)
        with _readable():
            found = await flow.discover(web, server.url, wanted.resource_metadata, settings, bound)
            issuer = found.server.issuer
            await self._check_bond(name, server, issuer, bound, locked=refreshing)
            entry = record.find_issuer(resource, issuer)
            wish = _wish(server, found, entry, wanted)
            fresh = Entry(resource, issuer, token_endpoint=found.server.token_endpoint)
            if settings.grant == "client_credentials":
                granted = await flow.client_credentials(web, found, settings, wish)
            else:
                granted = await self._signed_in(web, name, server, found, entry, wish, announce)
        return replace(
            fresh,
            audience=flow.remembered(settings, granted.wish, wish.audience or found.audience),
            client=granted.client,
            tokens=granted.tokens,
            requested=granted.wish.scopes,
        )

    async def _signed_in(  # noqa: PLR0917 - the parts of one sign-in
        self,
        web: AuthHttpClient,
        name: str,
        server: RemoteServer,
        found: Discovered,
        entry: Entry | None,
        wish: flow.Wish,
        announce: Callable[[str], object],
    ) -> flow.Granted:
        """Have the user sign in. The client registered before is on trial until they have."""
        known = entry.client if entry is not None and entry.client and not entry.client.unconfirmed else None

        def offer(url: str) -> None:
            announce(url)
            # In a thread of its own: it writes to stderr, which may be full, and looks for the browser on the disk.
            threading.Thread(target=self._show, args=(url, name), name=f"show-{name}", daemon=True).start()

        if known is not None and known.source == "registered" and entry is not None:
            # The server may have forgotten it, which it shows in the browser only; the user may give up then.
            async with self._store.locked(name, "refresh"):
                await self._replace_client(name, entry, replace(known, unconfirmed=True))
        try:
            return await flow.sign_in(
                web, found, server.oauth, known=known, wish=wish, offer=offer, wait_timeout=self._wait_timeout
            )
        except grants.GrantRefused as refusal:
            if refusal.code == "access_denied" and known is not None and entry is not None:
                async with self._store.locked(
                    name, "refresh"
                ):  # the user said no: the server knows the client
                    await self._replace_client(name, entry, known)
            raise

    async def _refreshed(
        self, name: str, server: RemoteServer, record: Record, entry: Entry | None
    ) -> Tokens:
        async with self._web(server) as web:
            if server.oauth.grant == "client_credentials":
                nothing = challenges.Challenge()
                fresh = await self._granted(
                    web,
                    name,
                    server,
                    record=record,
                    wanted=nothing,
                    announce=lambda _: None,
                    refreshing=True,
                )
                await self._keep(name, fresh)
                return _tokens_of(fresh)
            if entry is None or entry.tokens is None:
                raise SignInNeeded(f"there is no sign-in{_left(name, record, self._config)}")
            with _readable():
                if entry.issuer == LEGACY:
                    bound = record.issuer_of_configured(entry.resource, server.oauth.client_id)
                    entry = await flow.migrate_legacy(web, server.url, server.oauth, entry, bound)
                    await self._check_bond(name, server, entry.issuer, bound, locked=True)
                try:
                    fresh = await flow.refresh(web, entry, server.oauth)
                except grants.GrantRefused as refusal:
                    await self._refresh_refused(name, entry, record, refusal)
                    raise
        await self._keep(name, fresh)
        return _tokens_of(fresh)

    async def _refresh_refused(
        self, name: str, entry: Entry, record: Record, refusal: grants.GrantRefused
    ) -> None:
        if refusal.code == "invalid_grant" and entry.tokens is not None:
            await self._store.write(name, record.without_tokens(entry.tokens.access))
            raise SignInNeeded("its sign-in was revoked or has ended") from refusal
        if refusal.code in {"invalid_client", "unauthorized_client"} and entry.client is not None:
            if entry.client.source == "registered":
                await self._replace_client(name, entry, replace(entry.client, unconfirmed=True))
            raise SignInNeeded("the authorization server does not know dmcp any more") from refusal
        if refusal.is_dead:
            # Only the one code of the specification has the tokens dropped; in other words it may be a mistake.
            raise SignInNeeded(f"its sign-in has ended: {refusal}") from refusal

    async def _keep(self, name: str, entry: Entry) -> None:
        # Read again: another server's entry in the same file may have changed since.
        await self._store.write(name, (await self._store.read(name)).with_entry(entry))

    async def _check_bond(
        self, name: str, server: RemoteServer, issuer: str, bound: str | None, *, locked: bool
    ) -> None:
        """See to it that the client of the configuration, if there is one, is for this issuer from now on.

        Done before anything of it is shown or sent: a server that names another issuer next time gets nothing.

        Raises:
            AuthError: it is for another one.
        """
        settings = server.oauth
        if not settings.client_id:
            return
        registration.check_issuer(
            settings.issuer or bound, issuer, sign_in_command("logout", name, self._config)
        )
        if bound is not None and discovery.is_same_issuer(bound, issuer):
            return
        bond = Bond(discovery.canonical(server.url), settings.client_id, issuer)
        async with nullcontext() if locked else self._store.locked(name, "refresh"):
            await self._store.write(name, (await self._store.read(name)).with_bond(bond))

    async def _replace_client(self, name: str, entry: Entry, client: Client) -> None:
        record = await self._store.read(name)
        await self._store.write(name, record.with_client(entry.resource, entry.issuer, client))

    @asynccontextmanager
    async def _web(self, server: RemoteServer) -> AsyncIterator[AuthHttpClient]:
        """Open an HTTP client for one flow of a server. What that needs is imported in a thread."""
        await asyncio.to_thread(importlib.import_module, "dmcp.auth.web")  # brings httpx
        await asyncio.to_thread(grants.preload, signing=server.oauth.private_key_file is not None)
        from dmcp.auth.web import TIMEOUT, AuthHttpClient  # noqa: PLC0415 - imported only now

        named = (server.oauth.issuer,) if server.oauth.issuer else ()
        async with AuthHttpClient(self._request_time or TIMEOUT, server.url, *named) as web:
            yield web


def _wish(server: RemoteServer, found: Discovered, entry: Entry | None, wanted: Challenge) -> flow.Wish:
    """Return what to ask for: what was allowed before stays allowed (MCP 2026-07-28, "Step-Up Authorization Flow")."""
    settings = server.oauth
    scopes = grants.scopes_for(settings.scopes, wanted.scopes, found.scopes, found.server)
    added = grants.OFFLINE if grants.OFFLINE not in (*settings.scopes, *wanted.scopes, *found.scopes) else ""
    audience = found.audience
    if entry is not None and entry.requested and added and added not in entry.requested:
        scopes = tuple(scope for scope in scopes if scope != added)  # this issuer did not give it before
    if entry is not None:
        scopes = tuple(dict.fromkeys((*entry.requested, *scopes)))
        audience = audience if entry.audience else ""  # this issuer did not want the parameter before
    audience = flow.audience_for(settings, audience)
    return flow.Wish(audience, scopes, settings.resource is None, added)


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what a stranger's answer made of dmcp's parsers into the stranger's fault, in words.

    Raises:
        AuthError: instead of the errors of parsing: numbers, addresses, texts and depths nobody has thought of.
    """
    try:
        yield
    except (ValueError, OverflowError, RecursionError, TypeError) as error:
        log.debug(f"what could not be read: {type(error).__name__}: {printable(str(error), 300)}")
        raise AuthError(
            "what its authorization server, or its metadata, says cannot be understood"
            f" ({type(error).__name__}); that server has to be mended"
        ) from error


def _left(name: str, record: Record, config: str) -> str:
    """Return a hint at what the predecessor left, for the end of a sentence."""
    if record.left is None:
        return ""
    adopt = sign_in_command("adopt", name, config)
    return f", or {adopt} to use the sign-in that the predecessor of dmcp kept for this name"


def _tokens_of(entry: Entry) -> Tokens:
    if entry.tokens is None:
        raise SignInNeeded("there is no sign-in")
    return entry.tokens


async def finish_on_cancel(work: Coroutine[None, None, T], grace: float = _CANCEL_GRACE) -> T:
    """Await work; when cancelled, let it end first, for ``grace`` seconds at most.

    A rotated refresh token that was sent for and not kept exists nowhere else.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        _, late = await asyncio.wait({task}, timeout=grace)
        for slow in late:
            slow.cancel()
        if not late and not task.cancelled():
            task.exception()  # nobody is left to be told
        raise
