"""As which client dmcp presents itself to an authorization server. Pure: it says what, ``flow`` does it.

Source: MCP 2025-11-25 "Client Registration Approaches", 2026-07-28 "Authorization Server Binding", RFC 7591.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from dmcp.auth.discovery import ServerMetadata, is_same_issuer, origin
from dmcp.errors import AuthError
from dmcp.protocol.limits import MAX_TOKEN
from dmcp.text import printable

if TYPE_CHECKING:
    from dmcp.config.model import OAuthSettings

Source = Literal["configured", "document", "registered"]
CLIENT_NAME: Final = "dmcp"
METHODS: Final = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")


@dataclass(frozen=True, slots=True)
class Client:
    """An identity at one authorization server.

    Attributes:
        auth_method: how it authenticates at the token endpoint: one of ``METHODS``.
        source: where it comes from.
        redirect_uri: the address it was registered with, if that matters to the server.
        secret_expires_at: seconds since the epoch; 0 means never (RFC 7591 section 3.2.1).
        unconfirmed: whether a sign-in with it has begun and none has succeeded since: the server may have forgotten it,
            and shows that in the browser only.
    """

    client_id: str
    secret: str | None = field(default=None, repr=False)
    auth_method: str = "none"
    source: Source = "registered"
    redirect_uri: str | None = None
    secret_expires_at: float = 0.0
    unconfirmed: bool = False

    def is_usable(self, now: float) -> bool:
        """Return whether its secret has not expired."""
        return not self.secret_expires_at or now < self.secret_expires_at


@dataclass(frozen=True, slots=True)
class Register:
    """Dynamic registration is the way: send ``body`` to ``endpoint``."""

    endpoint: str
    body: dict[str, Any]


def check_issuer(before: str | None, issuer: str, remedy: str) -> None:
    """Check that a client id the user got from one authorization server is not shown to another.

    Args:
        before: the issuer it is bound to: the configured one, or the one it was used for first.
        issuer: the one that is about to be asked.
        remedy: the command that forgets the issuer before, in backquotes.

    Raises:
        AuthError: it is another one.
    """
    if before is not None and not is_same_issuer(before, issuer):
        raise AuthError(
            f"its authorization server was {printable(before, 200)} and is now {printable(issuer, 200)}, for which"
            f" `oauth.client_id` was not made: if that is right, put the right id there and run"
            f" {remedy}"
        )


def choose(
    settings: OAuthSettings, server: ServerMetadata, known: Client | None, redirect_uri: str
) -> Client | Register:
    """Return the client to use, or the registration to make, in the order the specification gives.

    ``known`` is the client dmcp registered with this very issuer before.

    Raises:
        AuthError: only the user can provide a client id.
    """
    if settings.client_id:
        return configured(settings, server)
    if settings.client_metadata_url and server.documents:
        _check_document_url(settings.client_metadata_url)
        method = settings.token_endpoint_auth_method or "none"
        return Client(settings.client_metadata_url, None, method, "document")
    if known is not None and known.source == "registered" and known.redirect_uri == redirect_uri:
        return known
    if server.registration_endpoint:
        return Register(server.registration_endpoint, _registration(settings, server, redirect_uri))
    raise AuthError(
        f"the authorization server {origin(server.issuer)} registers no clients by itself:"
        " register one there and put its id into `oauth.client_id` of the configuration"
    )


def configured(settings: OAuthSettings, server: ServerMetadata) -> Client:
    """Return the client the user configured.

    Raises:
        AuthError: there is none, or none of the ways it can authenticate is one the server accepts.
    """
    if not settings.client_id:
        raise AuthError("`oauth.client_id` is missing in its configuration, and its `grant` needs one")
    method = settings.token_endpoint_auth_method
    if method is None and settings.private_key_file:
        method = "private_key_jwt"
    return Client(
        client_id=settings.client_id,
        secret=settings.client_secret,
        auth_method=method or secret_method(settings.client_secret, server),
        source="configured",
    )


def secret_method(secret: str | None, server: ServerMetadata) -> str:
    """Return how to authenticate with (or without) a secret. Basic unless the server says otherwise (RFC 8414)."""
    if not secret:
        return "none"
    accepted = server.auth_methods
    return (
        "client_secret_post" if accepted and "client_secret_basic" not in accepted else "client_secret_basic"
    )


def read_registration(document: object, asked: Register, server: ServerMetadata, redirect_uri: str) -> Client:
    """Return the client from a registration's answer (RFC 7591 section 3.2.1).

    Raises:
        AuthError: this is no registration response.
    """
    client_id = document.get("client_id") if isinstance(document, dict) else None
    if (
        not isinstance(document, dict)
        or not isinstance(client_id, str)
        or not 0 < len(client_id) <= MAX_TOKEN
    ):
        raise AuthError(
            f"the authorization server {origin(server.issuer)} answered a registration without a client id"
        )
    secret = document.get("client_secret")
    secret = secret if isinstance(secret, str) and 0 < len(secret) <= MAX_TOKEN else None
    method = document.get("token_endpoint_auth_method", asked.body["token_endpoint_auth_method"])
    # A secret that came along is meant to be used, whatever a server that does not take "none" says of it.
    is_odd = method not in METHODS or (secret is None and method != "private_key_jwt")
    if is_odd or (secret and method == "none" and server.auth_methods and "none" not in server.auth_methods):
        method = secret_method(secret, server)
    return Client(
        client_id=client_id,
        secret=secret,
        auth_method=method,
        source="registered",
        redirect_uri=redirect_uri,
        secret_expires_at=seconds_of(document.get("client_secret_expires_at")),
    )


def seconds_of(value: object) -> float:
    """Return a date of a stranger's in seconds since the epoch; 0, which means never, for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    try:
        seconds = float(value)
    except OverflowError:
        return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0


def _registration(settings: OAuthSettings, server: ServerMetadata, redirect_uri: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "client_name": CLIENT_NAME,
        "application_type": "native",  # the default, "web", forbids loopback addresses under OpenID Connect
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": settings.token_endpoint_auth_method or _preferred(server),
    }
    if settings.scopes:
        body["scope"] = " ".join(settings.scopes)
    return body


def _preferred(server: ServerMetadata) -> str:
    # A program on a user's machine keeps no secret, so "none" comes first where it is accepted.
    accepted = server.auth_methods
    if accepted is None:
        return "none"
    return next((method for method in METHODS if method in accepted and method != "private_key_jwt"), "none")


def _check_document_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.path in {"", "/"}:
        raise AuthError("`oauth.client_metadata_url` must be an HTTPS address with a path")
