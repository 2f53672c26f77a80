"""One sign-in or one renewal, step by step: fetch, ask the deciding parts what it means, do what they say.

It keeps nothing and retries nothing; ``authorizer`` holds the locks and the store.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from dmcp import log
from dmcp.auth import discovery, grants, registration
from dmcp.auth.callback import Callback
from dmcp.auth.tokens import Tokens, read_token_response
from dmcp.errors import AuthError, AuthUnavailable, SignInNeeded
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from dmcp.auth.record import Entry
    from dmcp.auth.registration import Client
    from dmcp.auth.web import AuthHttpClient
    from dmcp.config.model import OAuthSettings

T = TypeVar("T")
WAIT_TIMEOUT: Final = 300.0
"""Seconds a user has to sign in."""
LOOKING: Final = 25.0
"""Seconds for finding the authorization server, all places together: less than a call waits by default, which so hears
why."""
_UNREACHABLE = " cannot be reached"  # how ``web`` puts it
_TOLD = 1000  # characters of what is told of the places that were looked at
_NOT_HTTPS = "it can only be signed in to over HTTPS; its address in the configuration is not HTTPS"


@dataclass(frozen=True, slots=True)
class Discovered:
    """Where to sign in for a server. ``audience`` is the value for the ``resource`` parameter."""

    audience: str
    server: discovery.ServerMetadata
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What an authorization server is asked for.

    Attributes:
        audience: the value of the ``resource`` parameter; empty: it is not sent.
        scopes: the scopes to ask for.
        may_drop_audience: whether to ask again without ``resource`` if the server does not want it.
        extra: the scope dmcp added of its own accord, to ask again without if the server does not give it.
    """

    audience: str
    scopes: tuple[str, ...] = ()
    may_drop_audience: bool = False
    extra: str = ""

    def milder(self, refusal: grants.GrantRefused) -> Wish | None:
        """Return what to ask for after this refusal, once; ``None`` if that would change nothing."""
        if self.audience and self.may_drop_audience and refusal.is_of_target:
            return replace(self, audience="", may_drop_audience=False)
        if refusal.code == "invalid_scope" and self.extra in self.scopes:
            return replace(self, scopes=tuple(s for s in self.scopes if s != self.extra), extra="")
        return None


@dataclass(frozen=True, slots=True)
class Granted:
    """What came of it, and what was asked for in the end."""

    client: Client
    tokens: Tokens
    wish: Wish


async def discover(
    web: AuthHttpClient, server_url: str, named: str | None, settings: OAuthSettings, bound: str | None = None
) -> Discovered:
    """Find a server's authorization server.

    Each place is looked at in turn, first where the challenge has ``named`` the protected resource metadata; a place
    that cannot be read is passed over, and only when nothing is found they are all told. ``bound`` is the issuer the
    configured client is for, if that is known.

    Raises:
        AuthError: a document may not be fetched or cannot be believed.
        AuthUnavailable: a server that should have one does not answer.
    """
    deadline, wanted = time.monotonic() + LOOKING, settings.issuer or bound
    about, failures = await _resource_metadata(web, server_url, named, wanted, deadline)
    if (
        settings.issuer
        and about
        and about.issuer
        and not discovery.is_same_issuer(about.issuer, settings.issuer)
    ):
        raise AuthError(
            f"its authorization server is {discovery.origin_or(about.issuer)} now, and `oauth.issuer` of the"
            f" configuration says {discovery.origin_or(settings.issuer)}: nothing was sent to it"
        )
    audience = about.resource if about else discovery.canonical(server_url)
    scopes = about.scopes if about else ()
    # Without metadata the server is its own authorization server (MCP 2025-03-26).
    issuer = settings.issuer or (about.issuer if about else None)
    issuer_url = issuer or discovery.origin(server_url)
    if not settings.issuer and not discovery.is_allowed_url(issuer_url, server_url, web.home):
        raise AuthError(_NOT_HTTPS)
    urls = discovery.server_metadata_urls(issuer_url)

    def read(document: object) -> discovery.ServerMetadata:
        return discovery.read_server_metadata(document, issuer_url)

    before = len(failures)
    found = await _first(web, urls, read, failures, deadline=deadline, needs="issuer")
    if found is not None:
        return Discovered(audience, found, scopes)
    absent = issuer is None and not any(failure.matters for failure in failures)
    if absent:
        return Discovered(audience, discovery.default_server_metadata(server_url), scopes)
    raise _nothing_found(issuer_url, failures, failures[before:])


async def sign_in(
    web: AuthHttpClient,
    found: Discovered,
    settings: OAuthSettings,
    *,
    known: Client | None,
    wish: Wish,
    offer: Callable[[str], None],
    wait_timeout: float = WAIT_TIMEOUT,
) -> Granted:
    """Do the authorization code grant, from the loopback address to the tokens.

    ``known`` is the client that was registered there before. ``offer`` shows the user the address; they have
    ``wait_timeout`` seconds.

    Raises:
        SignInNeeded: the user did not sign in in time, or refused.
        AuthError: it cannot be done or was refused.
        AuthUnavailable: the authorization server does not answer.
    """
    await web.check(grants.check_code_flow(found.server, assume_pkce=settings.assume_pkce))
    async with _listen(settings, known) as callback:
        client = await _client(web, found.server, settings, known, callback.redirect_uri)

        async def attempt(wish: Wish) -> Tokens:
            request = grants.authorization_request(
                found.server,
                client,
                callback.redirect_uri,
                wish.audience,
                wish.scopes,
                assume_pkce=settings.assume_pkce,
            )
            log.hide((request.state, request.verifier))
            offer(request.url)
            try:
                query = await callback.answer(lambda got: grants.is_answer_to(request, got), wait_timeout)
            except TimeoutError as error:
                raise SignInNeeded(f"nobody signed in within {wait_timeout / 60:g} minutes") from error
            code = grants.code_from(request, query, vouched=_is_vouched_for(web, found.server, settings))
            log.hide((code,))
            form = grants.code_form(request, code, wish.audience)
            return await _ask(web, found.server, client, settings, form, asked=wish.scopes)

        tokens, wish = await _milder(wish, attempt)
        return Granted(client, tokens, wish)


async def client_credentials(
    web: AuthHttpClient, found: Discovered, settings: OAuthSettings, wish: Wish
) -> Granted:
    """Do the grant of a client that acts on its own behalf: no user, no browser.

    Raises:
        AuthError: the configuration lacks something, or the server refused.
        AuthUnavailable: the authorization server does not answer.
    """
    client = registration.configured(settings, found.server)

    async def attempt(wish: Wish) -> Tokens:
        form = grants.client_credentials_form(wish.audience, wish.scopes)
        return await _ask(web, found.server, client, settings, form, asked=wish.scopes)

    tokens, wish = await _milder(wish, attempt)
    return Granted(client, tokens, wish)


async def refresh(web: AuthHttpClient, entry: Entry, settings: OAuthSettings) -> Entry:
    """Refresh: return the entry with new tokens for old ones.

    Raises:
        SignInNeeded: there is no refresh token, or its client is not the configured one any more.
        GrantRefused: the server said no; see ``GrantRefused.is_dead``.
        AuthUnavailable: the authorization server does not answer.
    """
    tokens, client = entry.tokens, entry.client
    if tokens is None or not tokens.refresh or client is None or not entry.token_endpoint:
        raise SignInNeeded("its sign-in has expired and cannot be renewed")
    if client.source == "configured":
        if client.client_id != settings.client_id:
            raise SignInNeeded("its client id in the configuration is another one than its sign-in was for")
        client = replace(client, secret=settings.client_secret)
    if settings.issuer and not discovery.is_same_issuer(settings.issuer, entry.issuer):
        raise SignInNeeded("its sign-in is of another authorization server than `oauth.issuer`")
    server, token = discovery.ServerMetadata(entry.issuer, entry.token_endpoint), tokens.refresh

    async def attempt(wish: Wish) -> Tokens:
        form = grants.refresh_form(token, wish.audience)
        return await _ask(web, server, client, settings, form, asked=entry.requested, before=tokens)

    wish = Wish(audience_for(settings, entry.audience), entry.requested, settings.resource is None)
    fresh, wish = await _milder(wish, attempt)
    return replace(entry, tokens=fresh, audience=remembered(settings, wish, entry.audience))


def audience_for(settings: OAuthSettings, found: str) -> str:
    """Return the value of the ``resource`` parameter, as configured or as found; empty: it is not sent."""
    if isinstance(settings.resource, str):
        return settings.resource
    return "" if settings.resource is False else found


def remembered(settings: OAuthSettings, wish: Wish, found: str) -> str:
    """Return what to keep of ``resource`` for this issuer: that it does not want it, not what is configured."""
    return wish.audience if settings.resource is None else found


async def _milder(wish: Wish, attempt: Callable[[Wish], Awaitable[Tokens]]) -> tuple[Tokens, Wish]:
    """Ask, and ask again for less if the server says that it does not give that; each part is left out once."""
    while True:
        try:
            return await attempt(wish), wish
        except grants.GrantRefused as refusal:
            less = wish.milder(refusal)
            if less is None:
                raise
            left_out = "`resource`" if less.audience != wish.audience else f"the scope {wish.extra}"
            log.warning(f"asked again without {left_out}: {refusal}")
            wish = less


def _is_vouched_for(web: AuthHttpClient, server: discovery.ServerMetadata, settings: OAuthSettings) -> bool:
    """Return whether an answer without ``iss`` can only be of the issuer whose token endpoint will get the code.

    Metadata may name the authorization endpoint of an honest server beside the token endpoint of an attacker, who so
    gets a code that was made for somebody else (mix-up, RFC 9207 section 1). The page has to be at the origin of the
    issuer, of the token endpoint or of the MCP server itself, or the user has named the issuer.
    """
    page = discovery.origin(server.authorization_endpoint or "")
    own = (server.issuer, server.token_endpoint, web.server_url)
    return bool(settings.issuer) or page in {discovery.origin(url) for url in own}


async def migrate_legacy(
    web: AuthHttpClient, server_url: str, settings: OAuthSettings, entry: Entry, bound: str | None
) -> Entry:
    """Return the predecessor's tokens with what it did not keep: whose they are and where they are renewed.

    ``bound`` is the issuer the configured client is for, if that is known. The caller checks that it is this one.

    Raises:
        SignInNeeded: there is no client id in the configuration, or nothing to renew.
        AuthError: see ``discover``.
    """
    if not settings.client_id or entry.tokens is None or not entry.tokens.refresh:
        raise SignInNeeded("its sign-in was made by the predecessor and cannot be renewed")
    found = await discover(web, server_url, None, settings, bound)
    return replace(
        entry,
        issuer=found.server.issuer,
        audience=found.audience,
        token_endpoint=found.server.token_endpoint,
        client=registration.configured(settings, found.server),
        requested=settings.scopes,
    )


def _nothing_found(issuer: str, failures: list[_Failure], its: list[_Failure]) -> AuthError:
    """Return the error that names each place that was looked at; ``its`` are those of the authorization server."""
    reasons = {failure.reason for failure in its}
    if len(reasons) == 1 and _UNREACHABLE in (reason := reasons.pop()):
        return AuthUnavailable(reason)  # the host is the reason, whatever was asked for there
    told = "; ".join(map(str, failures))
    text = (
        f"its authorization server {discovery.origin_or(issuer)} publishes no metadata that can be used"
        f" ({printable(told, _TOLD)})"
    )
    return AuthUnavailable(text) if any(failure.is_passing for failure in failures) else AuthError(text)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why one place has no metadata.

    Attributes:
        is_passing: whether it may have some later.
        matters: whether it says more than that nothing is there.
    """

    url: str
    reason: str
    is_passing: bool = False
    matters: bool = True

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


async def _resource_metadata(
    web: AuthHttpClient, server_url: str, named: str | None, wanted: str | None, deadline: float
) -> tuple[discovery.ResourceMetadata | None, list[_Failure]]:
    urls = discovery.resource_metadata_urls(server_url, None)
    if named is not None:
        if not discovery.is_allowed_url(named, server_url, web.home):
            raise AuthError(
                "the address of its protected resource metadata is not HTTPS, or is one that a server elsewhere may"
                " not name; the server has to be mended"
            )
        urls = (named, *(url for url in urls if url != named))
    if not all(discovery.is_allowed_url(url, server_url) for url in urls[-1:]):
        raise AuthError(_NOT_HTTPS)

    def read(document: object) -> discovery.ResourceMetadata:
        return discovery.read_resource_metadata(document, server_url, wanted, web.home)

    failures: list[_Failure] = []
    found = await _first(web, urls, read, failures, deadline=deadline, needs="resource")
    return found, failures


async def _first(
    web: AuthHttpClient,
    urls: tuple[str, ...],
    read: Callable[[object], T],
    failures: list[_Failure],
    *,
    deadline: float,
    needs: str,
) -> T | None:
    """Return the first document that is one. ``failures`` gets a line for each place before it.

    Raises:
        AuthError: a document is one, and cannot be believed.
    """
    for url in urls:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                answer = await web.get(url)
        except AuthUnavailable as error:
            failures.append(_Failure(url, str(error), is_passing=True))
            continue
        except TimeoutError:
            failures.append(_Failure(url, "there was no time left for it", is_passing=True))
            continue
        if not answer.is_ok:
            failures.append(_Failure(url, f"HTTP status {answer.status}", matters=False))
        # Some servers answer every path with a page, or with an error, and status 200: that is no metadata.
        elif not isinstance(answer.document, dict) or needs not in answer.document:
            failures.append(_Failure(url, "what is there is no metadata", matters=False))
        else:
            return read(answer.document)
    return None


def _listen(settings: OAuthSettings, known: Client | None) -> Callback:
    # A server may insist on the very port that was registered, so that one is tried first.
    if settings.redirect_port:
        return Callback(settings.redirect_port, host=settings.redirect_host, path=settings.redirect_path)
    before = urlsplit(known.redirect_uri).port if known is not None and known.redirect_uri else None
    return Callback(before or 0, insist=False, host=settings.redirect_host, path=settings.redirect_path)


async def _client(
    web: AuthHttpClient,
    server: discovery.ServerMetadata,
    settings: OAuthSettings,
    known: Client | None,
    redirect_uri: str,
) -> Client:
    if known is not None and not known.is_usable(time.time()):
        known = None
    match registration.choose(settings, server, known, redirect_uri):
        case registration.Register() as register:
            answer = await web.post(register.endpoint, json=register.body)
            if not answer.is_ok:
                where = discovery.origin(server.issuer)
                raise AuthError(
                    f"{grants.refusal(answer.status, answer.document, where, answer.text)} to register dmcp:"
                    " register a client there and put its id into `oauth.client_id` of the configuration"
                )
            client = registration.read_registration(answer.document, register, server, redirect_uri)
            log.hide((client.secret,) if client.secret else ())
            return client
        case client:
            return client


async def _ask(
    web: AuthHttpClient,
    server: discovery.ServerMetadata,
    client: Client,
    settings: OAuthSettings,
    form: Mapping[str, str],
    *,
    asked: tuple[str, ...],
    before: Tokens | None = None,
) -> Tokens:
    key = await _private_key(settings) if client.auth_method == "private_key_jwt" else None
    body, headers = grants.authenticated(form, client, server.issuer, key)
    answer = await web.post(server.token_endpoint, form=body, headers=headers)
    where = discovery.origin(server.token_endpoint)
    document = grants.answer_of(answer.document, answer.text)
    if not answer.is_ok or grants.is_refusal(document):
        refused = grants.refusal(answer.status, document, where, answer.text)
        raise AuthUnavailable(str(refused)) if refused.is_passing else refused
    if document is None:
        raise AuthUnavailable(
            f"the authorization server {where} answered a token request with something that is no JSON"
        )
    tokens = read_token_response(document, time.time(), asked, before)
    log.hide(tokens.secrets)
    return tokens


async def _private_key(settings: OAuthSettings) -> str | None:
    if not settings.private_key_file:
        return None
    path = settings.private_key_file
    try:
        return await asyncio.to_thread(lambda: Path(path).expanduser().read_text("ascii"))
    except OSError as error:
        raise AuthError(f"`oauth.private_key_file` {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AuthError(f"`oauth.private_key_file` {path} is no PEM file") from error
