"""The requests and responses of the OAuth grants dmcp uses. Pure: forms go in and out, nothing is sent here.

Authlib does PKCE, the request encoding and the signing; it is imported at the first use: most runs need none.
Source: OAuth 2.1, RFC 7636 (PKCE), RFC 8707 (``resource``), RFC 9207 (``iss``), RFC 7523 (JWT assertions).
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote

from dmcp.auth.discovery import ServerMetadata, origin
from dmcp.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from joserfc.jwk import Key

    from dmcp.auth.registration import Client

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFETIME = 300  # seconds; it is used at once
_OFFLINE = "offline_access"
# What a key of each kind signs with, by its curve (RFC 7518 section 3.1, RFC 9864).
_RSA: Final = {"": "RS256"}
_EC: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_OKP: Final = {"Ed25519": "Ed25519"}


class GrantRefused(AuthError):  # noqa: N818 - says what happened, as LinkRefused does
    """The authorization server said no. ``code`` is its error code (RFC 6749 section 5.2)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What must be remembered between opening the browser and the callback.

    Attributes:
        url: where the person's browser goes.
        issuer: who may answer (MCP 2026-07-28, "Authorization Response Validation").
        iss_promised: whether an answer without ``iss`` is forged.
    """

    url: str
    redirect_uri: str
    issuer: str
    iss_promised: bool
    state: str = field(repr=False)
    verifier: str = field(repr=False)


def check_code_flow(server: ServerMetadata) -> str:
    """The authorization endpoint of a server that can do the flow safely.

    Raises:
        AuthError: it has none, or does not say that it does PKCE with S256 (MCP 2025-11-25).
    """
    if server.authorization_endpoint is None:
        raise AuthError(f"the authorization server {origin(server.issuer)} has no `authorization_endpoint`")
    if not server.s256:
        raise AuthError(
            f"the authorization server {origin(server.issuer)} does not offer PKCE with S256"
            " (`code_challenge_methods_supported`), so signing in there is not safe; it has to be mended"
        )
    return server.authorization_endpoint


def authorization_request(
    server: ServerMetadata, client: Client, redirect_uri: str, resource: str, scopes: tuple[str, ...]
) -> AuthorizationRequest:
    """Prepare the browser's way to the authorization server, with fresh ``state`` and PKCE verifier.

    Raises:
        AuthError: see ``check_code_flow``.
    """
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415 - see the module's docstring
    from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415 - see the module's docstring

    endpoint = check_code_flow(server)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    url = prepare_grant_uri(
        endpoint,
        client.client_id,
        "code",
        redirect_uri,
        " ".join(scopes) or None,
        state,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
        resource=resource,
    )
    return AuthorizationRequest(str(url), redirect_uri, server.issuer, server.iss_promised, state, verifier)


def is_answer_to(request: AuthorizationRequest, query: Mapping[str, str]) -> bool:
    """Whether a callback belongs to this request: its ``state`` is ours."""
    return hmac.compare_digest(query.get("state", "").encode(), request.state.encode())


def code_from(request: AuthorizationRequest, query: Mapping[str, str]) -> str:
    """The authorization code of a callback whose ``state`` is right.

    Raises:
        AuthError: ``iss`` is missing though promised, or is another issuer's (RFC 9207 section 2.4).
        GrantRefused: the person or the server refused.
    """
    issuer = query.get("iss")
    if (issuer is None and request.iss_promised) or (issuer is not None and issuer != request.issuer):
        # Checked before anything else in the response is believed, its error included.
        raise AuthError(
            f"the answer to the sign-in did not come from the authorization server {request.issuer};"
            " it was not used, because it may be an attack"
        )
    if "error" in query:
        code = query["error"]
        if code == "access_denied":
            raise GrantRefused(code, "the sign-in was refused in the browser")
        raise GrantRefused(code, f"the authorization server refused the sign-in: {described(query)}")
    if not query.get("code"):
        raise AuthError("the authorization server's answer to the sign-in has no code")
    return query["code"]


def code_form(request: AuthorizationRequest, code: str, resource: str) -> dict[str, str]:
    """The token request for a code."""
    return _form(
        "authorization_code",
        code=code,
        redirect_uri=request.redirect_uri,
        code_verifier=request.verifier,
        resource=resource,
    )


def refresh_form(refresh_token: str, resource: str) -> dict[str, str]:
    """The token request for a refresh token. No scope: what was granted stays (RFC 6749 section 6)."""
    return _form("refresh_token", refresh_token=refresh_token, resource=resource)


def client_credentials_form(resource: str, scopes: tuple[str, ...]) -> dict[str, str]:
    """The token request of a client that acts on its own behalf."""
    return _form("client_credentials", resource=resource, scope=" ".join(scopes))


def authenticated(
    form: Mapping[str, str], client: Client, issuer: str, private_key: str | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """A token request's form and headers with the client's authentication added (RFC 6749 section 2.3).

    Args:
        form: the request.
        client: who asks.
        issuer: the authorization server, the audience of an assertion.
        private_key: PEM; needed for ``private_key_jwt``.

    Raises:
        AuthError: the method needs something the configuration lacks.
    """
    body = dict(form)
    if client.auth_method == "none":
        return body | {"client_id": client.client_id}, {}
    if client.auth_method == "private_key_jwt":
        assertion = _assertion(client.client_id, issuer, private_key)
        return body | {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}, {}
    if client.secret is None:
        raise AuthError(
            f"`oauth.client_secret` is missing in its configuration; {client.auth_method} needs it"
        )
    if client.auth_method == "client_secret_post":
        return body | {"client_id": client.client_id, "client_secret": client.secret}, {}
    # Both halves are form-encoded first, or a colon in the id would end it (RFC 6749 section 2.3.1).
    pair = f"{quote(client.client_id, safe='')}:{quote(client.secret, safe='')}"
    return body, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def scopes_for(
    configured: tuple[str, ...],
    challenged: tuple[str, ...],
    supported: tuple[str, ...],
    server: ServerMetadata,
) -> tuple[str, ...]:
    """What to ask for: the challenge's scopes with the configured ones, else all the server names, else none.

    ``offline_access`` is added where the authorization server offers it, for a refresh token
    (MCP 2026-07-28, "Refresh Tokens").
    """
    wanted = tuple(dict.fromkeys((*configured, *challenged))) or supported
    return (*wanted, _OFFLINE) if wanted and _OFFLINE in server.scopes and _OFFLINE not in wanted else wanted


def refusal(status: int, document: object, server_origin: str) -> GrantRefused:
    """The error for a token or registration request that was refused in words (RFC 6749 section 5.2)."""
    answer = {k: v for k, v in document.items() if isinstance(v, str)} if isinstance(document, dict) else {}
    code = answer.get("error", "")
    why = described(answer) if code else f"HTTP status {status}"
    return GrantRefused(code, f"the authorization server {server_origin} refused: {why}")


def described(answer: Mapping[str, str]) -> str:
    """An OAuth error in words; short, in one line, printable."""
    text = f"{answer.get('error', '')}: {answer.get('error_description', '')}".strip(": ")
    return "".join(c if c.isprintable() else " " for c in text)[:300]


def _form(grant: str, **values: str) -> dict[str, str]:
    from authlib.oauth2.rfc6749.parameters import prepare_token_request  # noqa: PLC0415 - see the module's docstring

    return dict(parse_qsl(prepare_token_request(grant, "", **values), keep_blank_values=True))


def _assertion(client_id: str, issuer: str, private_key: str | None) -> str:
    from authlib.oauth2.rfc7523 import private_key_jwt_sign  # noqa: PLC0415 - see the module's docstring

    if not private_key:
        raise AuthError("`oauth.private_key_file` is missing in its configuration; private_key_jwt needs it")
    key, algorithm = _signing_key(private_key)
    signed: str = private_key_jwt_sign(key, client_id, issuer, alg=algorithm, expires_in=_ASSERTION_LIFETIME)
    return signed


def _signing_key(pem: str) -> tuple[Key, str]:
    from joserfc.errors import JoseError  # noqa: PLC0415 - see the module's docstring; joserfc is Authlib's own
    from joserfc.jwk import ECKey, OKPKey, RSAKey  # noqa: PLC0415 - as above

    for kind, algorithms in ((RSAKey, _RSA), (ECKey, _EC), (OKPKey, _OKP)):
        try:
            key = kind.import_key(pem)
        except (ValueError, TypeError, JoseError):
            continue  # another kind of key, or none: the cause is not repeated, for it may quote the key
        algorithm = algorithms.get(str(key.as_dict().get("crv", "")))
        if key.is_private and algorithm:
            return key, algorithm
    raise AuthError(
        "`oauth.private_key_file` of its configuration is no unencrypted private key in PEM that can sign"
    )
