"""Puts the auth room together for the auth actor: the store, its locks, the flows and the way to the person.

It does what it is asked, once. When to ask, and for whom, is decided by ``dmcp.actors.auth``; nothing here
remembers a call. A refresh token that rotates is lost if its successor is: between asking and keeping
nothing is cancelled.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dmcp import log
from dmcp.auth import browser, discovery, flow, grants, registration
from dmcp.auth import challenge as challenges
from dmcp.auth.record import ANY, Entry, Record
from dmcp.auth.unhurried import unhurried
from dmcp.errors import AuthError, SignInNeeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.auth.challenge import Challenge
    from dmcp.auth.flow import Discovered
    from dmcp.auth.registration import Client
    from dmcp.auth.store import FileStore
    from dmcp.auth.tokens import Tokens
    from dmcp.auth.web import Web
    from dmcp.config.model import RemoteServer

_FORBIDDEN = 403


class Authorizer:
    """Obtains, renews and forgets credentials. All methods run on the event loop.

    Args:
        store: where they are kept.
        may_ask: whether a person can be reached from this process.
        show: shows them an address: ``(url, server)``.
        patience: seconds they have to sign in.
        request_time: seconds for each HTTP request; ``None`` for the default.
    """

    def __init__(
        self,
        store: FileStore,
        may_ask: Callable[[], bool] = browser.is_available,
        show: Callable[[str, str], None] = browser.show,
        patience: float = flow.PATIENCE,
        request_time: float | None = None,
    ) -> None:
        self._store = store
        self._may_ask = may_ask
        self._show = show
        self._patience = patience
        self._request_time = request_time
        self._distrusted: set[tuple[str, str]] = set()  # registrations (issuer, client id) that work no more

    def __repr__(self) -> str:
        return f"<Authorizer {self._store!r}>"

    async def load(self, name: str, server: RemoteServer) -> Tokens | None:
        """The tokens kept for a server, good or not.

        Raises:
            AuthError: the store cannot be read.
        """
        entry = (await self._store.read(name)).find(discovery.canonical(server.url))
        return entry.tokens if entry else None

    async def renew(self, name: str, server: RemoteServer, rejected: str | None = None) -> Tokens:
        """Tokens that are neither due nor rejected: another process's if it was faster, else new ones.

        Args:
            name: the server's.
            server: its configuration.
            rejected: the header value the server did not accept.

        Raises:
            SignInNeeded: there is nothing to renew, or the refresh token is worth nothing any more.
            AuthError: the authorization server refused.
            AuthUnavailable: it does not answer. The tokens are kept.
        """
        async with self._store.locked(name, "refresh"):
            record = await self._store.read(name)
            entry = record.find(discovery.canonical(server.url))
            tokens = entry.tokens if entry else None
            if tokens and tokens.authorization != rejected and not tokens.is_due(time.time()):
                return tokens
            return await unhurried(self._renewed(name, server, record, entry))

    async def mend(
        self,
        name: str,
        server: RemoteServer,
        *,
        status: int,
        challenge: str,
        rejected: str | None,
        renew: bool,
        ask: bool,
        announce: Callable[[str], object],
        elsewhere: Callable[[], object] = lambda: None,
        client_shows: bool = False,
    ) -> Tokens:
        """Get something better than what was refused: renewed tokens, or new ones by a sign-in.

        Args:
            name: the server's.
            server: its configuration.
            status: 401 or 403.
            challenge: the ``WWW-Authenticate`` header that came with it.
            rejected: the header value that was not accepted, if one was sent.
            renew: whether to try without a sign-in first.
            ask: whether the person may be bothered.
            announce: is told the address as soon as a sign-in waits for the person.
            elsewhere: is told as soon as it waits for another dmcp process, which is signing in.
            client_shows: whether whoever is told shows it to the person, so that no browser is needed here.

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
        if status != _FORBIDDEN and renew:
            try:
                return await self.renew(name, server, rejected)
            except SignInNeeded as reason:
                log.info(f"a sign-in is needed: {reason}", name)
        return await self.sign_in(
            name,
            server,
            wanted=wanted,
            rejected=rejected,
            announce=announce,
            elsewhere=elsewhere,
            ask=ask and (client_shows or self._may_ask()),
        )

    async def sign_in(
        self,
        name: str,
        server: RemoteServer,
        *,
        wanted: Challenge,
        rejected: str | None,
        announce: Callable[[str], object],
        elsewhere: Callable[[], object] = lambda: None,
        ask: bool = True,
    ) -> Tokens:
        """Sign in, unless another process does or did so meanwhile. One that ends without tokens is taken over from.

        Args:
            name: the server's.
            server: its configuration.
            wanted: its challenge.
            rejected: the header value that is not good enough, if there was one.
            announce: is told the address.
            elsewhere: is told when another process is at it, and waited for.
            ask: whether the person may be bothered; a sign-in of another process is waited for all the same.

        Raises:
            SignInNeeded: the person did not do it, or may not be bothered.
            AuthError: it was refused; the text says what to do.
            AuthUnavailable: the authorization server does not answer.
        """
        resource = discovery.canonical(server.url)
        async with self._store.locked(name, "sign-in", self._patience + 60, elsewhere):
            record = await self._store.read(name)
            better = record.better_than(rejected, resource, wanted.missing, time.time())
            if better is not None:
                return better
            if server.oauth.grant != "client_credentials" and not ask:
                raise SignInNeeded(f"it needs a sign-in: run `dmcp auth login {name}`")
            async with self._web() as web:
                found = await flow.discover(web, server.url, wanted.resource_metadata)
                fresh = await self._granted(
                    web, name, server, found=found, record=record, wanted=wanted, announce=announce
                )
            async with self._store.locked(name, "refresh"):
                await unhurried(self._keep(name, fresh))
        return _tokens_of(fresh)

    async def sign_out(self, name: str) -> bool:
        """Forget a server's credentials; returns whether there were any."""
        async with self._store.locked(name, "refresh"):
            return await self._store.remove(name)

    async def challenge_of(self, server: RemoteServer) -> Challenge:
        """What a server asks for when one knocks without credentials.

        Raises:
            AuthUnavailable: it does not answer.
        """
        async with self._web() as web:
            return challenges.parse((await web.probe(server.url)).challenge)

    async def _granted(
        self,
        web: Web,
        name: str,
        server: RemoteServer,
        *,
        found: Discovered,
        record: Record,
        wanted: Challenge,
        announce: Callable[[str], object],
    ) -> Entry:
        resource, settings, issuer = discovery.canonical(server.url), server.oauth, found.server.issuer
        entry = record.find_issuer(resource, issuer)
        registration.check_issuer(name, record.issuer_of_configured(resource, settings.client_id), issuer)
        scopes = grants.scopes_for(settings.scopes, wanted.scopes, found.scopes, found.server)
        if entry is not None:
            # What was allowed before stays allowed (MCP 2026-07-28, "Step-Up Authorization Flow").
            scopes = tuple(dict.fromkeys((*entry.requested, *scopes)))
        fresh = Entry(resource, issuer, found.audience, found.server.token_endpoint, requested=scopes)
        if settings.grant == "client_credentials":
            client, tokens = await flow.client_credentials(web, found, settings, scopes)
            return replace(fresh, client=client, tokens=tokens)
        known = self._trusted(issuer, entry.client if entry else None)

        def offer(url: str) -> None:
            announce(url)
            self._show(url, name)

        try:
            client, tokens = await flow.sign_in(
                web, found, settings, known=known, scopes=scopes, offer=offer, patience=self._patience
            )
        except (SignInNeeded, grants.GrantRefused) as failure:
            # The server may have forgotten the client and shows that only in the browser: register anew then.
            if known is not None and getattr(failure, "code", "") != "access_denied":
                self._distrusted.add((issuer, known.client_id))
            raise
        return replace(fresh, client=client, tokens=tokens)

    async def _renewed(self, name: str, server: RemoteServer, record: Record, entry: Entry | None) -> Tokens:
        async with self._web() as web:
            if server.oauth.grant == "client_credentials":
                found = await flow.discover(web, server.url, None)
                nothing = challenges.Challenge()
                fresh = await self._granted(
                    web, name, server, found=found, record=record, wanted=nothing, announce=lambda _: None
                )
                await self._keep(name, fresh)
                return _tokens_of(fresh)
            if entry is None or entry.tokens is None:
                raise SignInNeeded("there is no sign-in")
            if entry.issuer == ANY:
                entry = await flow.adopted(web, server.url, server.oauth, entry)
            try:
                tokens = await flow.refresh(web, entry, server.oauth)
            except grants.GrantRefused as refusal:
                await self._refresh_refused(name, entry, record, refusal)
                raise
        await self._keep(name, replace(entry, tokens=tokens))
        return tokens

    async def _refresh_refused(
        self, name: str, entry: Entry, record: Record, refusal: grants.GrantRefused
    ) -> None:
        # Only this one code says that the tokens are dead; with any other they are kept.
        if refusal.code == "invalid_grant" and entry.tokens is not None:
            await self._store.write(name, record.without_tokens(entry.tokens.access))
            raise SignInNeeded("its sign-in was revoked or has ended") from refusal
        if refusal.code in {"invalid_client", "unauthorized_client"} and entry.client is not None:
            self._distrusted.add((entry.issuer, entry.client.client_id))
            raise SignInNeeded("the authorization server does not know dmcp any more") from refusal

    async def _keep(self, name: str, entry: Entry) -> None:
        # Read again: another server's entry in the same file may have changed since.
        await self._store.write(name, (await self._store.read(name)).with_entry(entry))

    def _trusted(self, issuer: str, client: Client | None) -> Client | None:
        return client if client is not None and (issuer, client.client_id) not in self._distrusted else None

    def _web(self) -> Web:
        from dmcp.auth.web import TIMEOUT, Web  # noqa: PLC0415 - brings httpx, which most runs need late or never

        return Web(self._request_time or TIMEOUT)


def _tokens_of(entry: Entry) -> Tokens:
    if entry.tokens is None:
        raise SignInNeeded("there is no sign-in")
    return entry.tokens
