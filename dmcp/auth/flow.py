"""One sign-in or one renewal, step by step: fetch, ask the deciding parts what it means, do what they say.

It keeps nothing and retries nothing; ``authorizer`` holds the locks and the store.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dmcp import log
from dmcp.auth import discovery, grants, registration
from dmcp.auth.callback import Callback
from dmcp.auth.tokens import Tokens, read_token_response
from dmcp.errors import AuthError, AuthUnavailable, SignInNeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dmcp.auth.record import Entry
    from dmcp.auth.registration import Client
    from dmcp.auth.web import Web
    from dmcp.config.model import OAuthSettings

PATIENCE: Final = 300.0
"""Seconds a person has to sign in."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """Where to sign in for a server. ``audience`` is the value of the ``resource`` parameter."""

    audience: str
    server: discovery.ServerMetadata
    scopes: tuple[str, ...] = ()


async def discover(web: Web, server_url: str, named: str | None) -> Discovered:
    """Find a server's authorization server.

    Args:
        web: to fetch with.
        server_url: the MCP server.
        named: where its challenge says the protected resource metadata is.

    Raises:
        AuthError: a document may not be fetched or cannot be believed.
        AuthUnavailable: a server that should have one does not answer.
    """
    about = await _resource_metadata(web, server_url, named)
    audience = about.resource if about else discovery.canonical(server_url)
    scopes = about.scopes if about else ()
    # Without metadata the server is its own authorization server (MCP 2025-03-26).
    issuer = about.issuer if about else None
    issuer_url = issuer or discovery.origin(server_url)
    if not discovery.may_visit(issuer_url, server_url):
        raise AuthError(
            "it can only be signed in to over HTTPS; its address in the configuration is not HTTPS"
        )
    for url in discovery.server_metadata_urls(issuer_url):
        answer = await web.get(url)
        if answer.is_ok and isinstance(answer.document, dict):
            return Discovered(audience, discovery.read_server_metadata(answer.document, issuer_url), scopes)
    if issuer is not None:
        raise AuthError(
            f"its authorization server {discovery.origin(issuer)} publishes no metadata and cannot be used"
        )
    return Discovered(audience, discovery.default_server_metadata(server_url), scopes)


async def sign_in(
    web: Web,
    found: Discovered,
    settings: OAuthSettings,
    *,
    known: Client | None,
    scopes: tuple[str, ...],
    offer: Callable[[str], None],
    patience: float = PATIENCE,
) -> tuple[Client, Tokens]:
    """The authorization code grant, from the loopback address to the tokens.

    Args:
        web: to fetch with.
        found: where.
        settings: the person's configuration of the server.
        known: the client registered there before.
        scopes: what to ask for.
        offer: shows the person the address.
        patience: seconds they have.

    Raises:
        SignInNeeded: the person did not sign in in time, or refused.
        AuthError: it cannot be done or was refused.
        AuthUnavailable: the authorization server does not answer.
    """
    grants.check_code_flow(found.server)
    async with _listen(settings, known) as callback:
        client = await _client(web, found.server, settings, known, callback.redirect_uri)
        request = grants.authorization_request(
            found.server, client, callback.redirect_uri, found.audience, scopes
        )
        log.hide((request.state, request.verifier))
        offer(request.url)
        try:
            query = await callback.answer(lambda got: grants.is_answer_to(request, got), patience)
        except TimeoutError as error:
            raise SignInNeeded(f"nobody signed in within {patience / 60:g} minutes") from error
        code = grants.code_from(request, query)
        log.hide((code,))
        form = grants.code_form(request, code, found.audience)
        return client, await _ask(web, found.server, client, settings, form, asked=scopes)


async def client_credentials(
    web: Web, found: Discovered, settings: OAuthSettings, scopes: tuple[str, ...]
) -> tuple[Client, Tokens]:
    """The grant of a client that acts on its own behalf: no person, no browser.

    Raises:
        AuthError: the configuration lacks something, or the server refused.
        AuthUnavailable: the authorization server does not answer.
    """
    client = registration.configured(settings, found.server)
    form = grants.client_credentials_form(found.audience, scopes)
    return client, await _ask(web, found.server, client, settings, form, asked=scopes)


async def refresh(web: Web, entry: Entry, settings: OAuthSettings) -> Tokens:
    """New tokens for old ones.

    Raises:
        SignInNeeded: there is no refresh token, or its client is not the configured one any more.
        GrantRefused: the server said no; ``invalid_grant`` means that the refresh token is worth nothing.
        AuthUnavailable: the authorization server does not answer.
    """
    tokens, client = entry.tokens, entry.client
    if tokens is None or not tokens.refresh or client is None or not entry.token_endpoint:
        raise SignInNeeded("its sign-in has expired and cannot be renewed")
    if client.source == "configured":
        if client.client_id != settings.client_id:
            raise SignInNeeded("its client id in the configuration is another one than its sign-in was for")
        client = replace(client, secret=settings.client_secret)
    form = grants.refresh_form(tokens.refresh, entry.audience)
    server = discovery.ServerMetadata(entry.issuer, entry.token_endpoint)
    return await _ask(web, server, client, settings, form, asked=entry.requested, before=tokens)


async def adopted(web: Web, server_url: str, settings: OAuthSettings, entry: Entry) -> Entry:
    """The predecessor's tokens with what it did not keep: whose they are and where they are renewed.

    Raises:
        SignInNeeded: there is no client id in the configuration, or nothing to renew.
        AuthError: see ``discover``.
    """
    if not settings.client_id or entry.tokens is None or not entry.tokens.refresh:
        raise SignInNeeded("its sign-in was made by the predecessor and cannot be renewed")
    found = await discover(web, server_url, None)
    return replace(
        entry,
        resource=discovery.canonical(server_url),
        issuer=found.server.issuer,
        audience=found.audience,
        token_endpoint=found.server.token_endpoint,
        client=registration.configured(settings, found.server),
        requested=settings.scopes,
    )


async def _resource_metadata(
    web: Web, server_url: str, named: str | None
) -> discovery.ResourceMetadata | None:
    urls = discovery.resource_metadata_urls(server_url, None)
    if named is not None:
        if not discovery.may_visit(named, server_url):
            raise AuthError(
                "the address of its protected resource metadata is not HTTPS; the server has to be mended"
            )
        urls = (named, *urls)
    for url in urls:
        if not discovery.may_visit(url, server_url):
            raise AuthError(
                "it can only be signed in to over HTTPS; its address in the configuration is not HTTPS"
            )
        answer = await web.get(url)
        # Some servers answer every path with a page and status 200: that is no metadata.
        if answer.is_ok and isinstance(answer.document, dict):
            return discovery.read_resource_metadata(answer.document, server_url)
    return None


def _listen(settings: OAuthSettings, known: Client | None) -> Callback:
    # A server may insist on the very port that was registered, so that one is tried first.
    if settings.redirect_port:
        return Callback(settings.redirect_port)
    before = urlsplit(known.redirect_uri).port if known is not None and known.redirect_uri else None
    return Callback(before or 0, insist=False)


async def _client(
    web: Web,
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
                    f"{grants.refusal(answer.status, answer.document, where)} to register dmcp:"
                    " register a client there and put its id into `oauth.client_id` of the configuration"
                )
            client = registration.read_registration(answer.document, register, server, redirect_uri)
            log.hide((client.secret,) if client.secret else ())
            return client
        case client:
            return client


async def _ask(
    web: Web,
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
    if not answer.is_ok:
        raise grants.refusal(answer.status, answer.document, where)
    if answer.document is None:
        raise AuthUnavailable(
            f"the authorization server {where} answered a token request with something that is no JSON"
        )
    tokens = read_token_response(answer.document, time.time(), asked, before)
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
