"""The requests and responses of the OAuth grants dmcp uses. Pure: forms go in and out, nothing is sent here.

Authlib does the well-known addresses (in ``discovery``), PKCE, the encoding of both requests and the signing; it is
imported at the first use, because most runs need none of it (``preload``).
Source: OAuth 2.1, RFC 7636 (PKCE), RFC 8707 (``resource``), RFC 9207 (``iss``), RFC 7523 (JWT assertions).
"""

from __future__ import annotations

import base64
import hmac
import importlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlsplit

from dmcp.auth.discovery import ServerMetadata, is_same_issuer, origin, usable_scopes
from dmcp.errors import AuthError
from dmcp.protocol.limits import MAX_SHOWN_REFUSAL
from dmcp.text import printable, word_set

if TYPE_CHECKING:
    from collections.abc import Mapping

    from joserfc.jwk import Key

    from dmcp.auth.registration import Client

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFETIME = 300  # seconds; it is used at once
OFFLINE: Final = "offline_access"
_OURS: Final = word_set(
    "client_id redirect_uri response_type scope state resource code_challenge code_challenge_method"
)
"""Parameters of an authorization request."""

_INSTEAD: Final = frozenset({"request", "request_uri", "response_mode"})
"""Parameters that would stand for those (RFC 9101), or change how the answer comes."""

_TARGET_SIGNS: Final = ("aadsts9010010", "aadsts901002", "resource' request parameter isn't supported")
_DEAD_SIGNS: Final = ("expired", "revoked", "invalid")
_PASSING_CODES: Final = word_set(
    "temporarily_unavailable server_error slow_down too_many_requests rate_limited ratelimited"
    " rate_limit_exceeded internal_error internal_server_error service_unavailable"
)
_READ = 4000  # characters of a refusal that are looked at
_FORM = 128 * 1024  # characters of an answer that is a form
_BAD_REQUEST, _UNAUTHORIZED = 400, 401
_PASSING_STATUSES: Final = frozenset({408, 425, 429})
# What a key of each kind signs with, by its curve (RFC 7518 section 3.1, RFC 9864).
_RSA: Final = {"": "RS256"}
_EC: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_OKP: Final = {"Ed25519": "Ed25519"}


class GrantRefused(AuthError):  # noqa: N818 - says what happened, as LinkRefused does
    """The authorization server said no.

    Attributes:
        code: its error code (RFC 6749 section 5.2), or what it has in that place; empty when it gives none.
        status: the HTTP status; 0 for an answer that came by the browser.
        words: what it said, in lower case, for telling one refusal from another.
    """

    def __init__(self, code: str, message: str, status: int = 0, words: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.words = words.lower()

    @property
    def is_of_target(self) -> bool:
        """Return whether the ``resource`` parameter is refused (RFC 8707 section 2; Entra's own codes for it)."""
        return self.code == "invalid_target" or any(sign in self.words for sign in _TARGET_SIGNS)

    @property
    def is_passing(self) -> bool:
        """Return whether it may go well later with the very same request."""
        return self.code in _PASSING_CODES or self.status in _PASSING_STATUSES

    @property
    def is_dead(self) -> bool:
        """Return whether a refused refresh token is worth nothing, in whatever words the server says so."""
        if self.is_passing or self.is_of_target:
            return False
        if self.code or self.status == _UNAUTHORIZED:
            return True
        return self.status == _BAD_REQUEST and any(sign in self.words for sign in _DEAD_SIGNS)


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What must be remembered between opening the browser and the callback.

    Attributes:
        url: where the user's browser goes.
        issuer: who may answer (MCP 2026-07-28, "Authorization Response Validation").
        iss_promised: whether an answer without ``iss`` is forged.
    """

    url: str
    redirect_uri: str
    issuer: str
    iss_promised: bool
    state: str = field(repr=False)
    verifier: str = field(repr=False)


def preload(*, signing: bool) -> None:
    """Import what a grant needs, and to sign assertions. Blocks for up to a tenth of a second: call it in a thread."""
    for module in (
        "authlib.oauth2.rfc6749",
        "authlib.oauth2.rfc7636",
        "authlib.oauth2.rfc8414",
        "authlib.oidc.discovery",
    ):
        importlib.import_module(module)
    if signing:
        importlib.import_module("authlib.oauth2.rfc7523")
        importlib.import_module("joserfc.jwk")


def check_code_flow(server: ServerMetadata, *, assume_pkce: bool = False) -> str:
    """Return the authorization endpoint of a server that can do the flow safely.

    With ``assume_pkce`` the user says that it does PKCE where it says nothing of it.

    Raises:
        AuthError: it has none, or does not say that it does PKCE with S256 (MCP 2025-11-25).
    """
    if server.authorization_endpoint is None:
        raise AuthError(f"the authorization server {origin(server.issuer)} has no `authorization_endpoint`")
    if server.silent_on_pkce and not server.s256:
        if assume_pkce:
            return server.authorization_endpoint
        raise AuthError(
            f"the authorization server {origin(server.issuer)} does not say that it does PKCE"
            " (`code_challenge_methods_supported`), so signing in there may not be safe. If you know that it does, as"
            " Microsoft's does, set `oauth.assume_pkce` to true in the configuration"
        )
    if not server.s256:
        raise AuthError(
            f"the authorization server {origin(server.issuer)} does not offer PKCE with S256"
            " (`code_challenge_methods_supported`), so signing in there is not safe; it has to be mended"
        )
    return server.authorization_endpoint


def authorization_request(
    server: ServerMetadata,
    client: Client,
    redirect_uri: str,
    resource: str,
    scopes: tuple[str, ...],
    *,
    assume_pkce: bool = False,
) -> AuthorizationRequest:
    """Prepare the browser's way to the authorization server, with fresh ``state`` and PKCE verifier.

    An empty ``resource`` is not sent. For ``assume_pkce`` see ``check_code_flow``.

    Raises:
        AuthError: see ``check_code_flow``; or its authorization endpoint is no address a query can be added to.
    """
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415 - see the module's docstring
    from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415 - see the module's docstring

    endpoint = check_code_flow(server, assume_pkce=assume_pkce)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    target = {"resource": resource} if resource else {}
    try:
        url = prepare_grant_uri(
            endpoint,
            client.client_id,
            "code",
            redirect_uri,
            " ".join(scopes) or None,
            state,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **target,
        )
    except ValueError as error:
        raise AuthError(
            f"the authorization server {origin(server.issuer)} gives an `authorization_endpoint` whose query cannot be"
            " read; it has to be mended"
        ) from error
    _refuse_others(str(url), server)
    return AuthorizationRequest(str(url), redirect_uri, server.issuer, server.iss_promised, state, verifier)


def _refuse_others(url: str, server: ServerMetadata) -> None:
    """Raise if the endpoint brought along parameters that are dmcp's to give (RFC 6749 section 3.1: once each).

    A stranger could name the page of a good authorization server so, for a client and a way back of its own.
    """
    names = [name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    twice = {name for name in names if name in _OURS and names.count(name) > 1} | (_INSTEAD & set(names))
    if twice:
        raise AuthError(
            f"the authorization server {origin(server.issuer)} gives an `authorization_endpoint` that holds parameters"
            f" of the request itself ({', '.join(sorted(twice))}); it has to be mended"
        )


def is_answer_to(request: AuthorizationRequest, query: Mapping[str, str]) -> bool:
    """Return whether a callback belongs to this request: its ``state`` is ours."""
    return hmac.compare_digest(query.get("state", "").encode(), request.state.encode())


def code_from(request: AuthorizationRequest, query: Mapping[str, str], *, vouched: bool = True) -> str:
    """Return the authorization code of a callback whose ``state`` is right.

    ``vouched`` says that an answer without ``iss`` can only be the issuer's.

    Raises:
        AuthError: ``iss`` is missing though promised or needed, or is another issuer's (RFC 9207 section 2.4).
        GrantRefused: the user or the server refused.
    """
    issuer = query.get("iss")
    if (issuer is None and request.iss_promised) or (
        issuer is not None and not is_same_issuer(issuer, request.issuer)
    ):
        # Checked before anything else in the response is believed, its error included.
        raise AuthError(
            f"the answer to the sign-in did not come from the authorization server {printable(request.issuer, 200)};"
            " it was not used, because it may be an attack"
        )
    if issuer is None and not vouched:
        raise AuthError(
            f"the page of the sign-in ({origin(request.url)}) is not at the authorization server"
            f" {printable(request.issuer, 200)}, and the answer does not say whose it is (`iss`); it was not used,"
            " because it may be an attack. If you trust that server, put its address into `oauth.issuer` of the"
            " configuration"
        )
    if "error" in query:
        code = query["error"]
        if code == "access_denied":
            raise GrantRefused(code, "the sign-in was refused in the browser")
        said = described(query)
        raise GrantRefused(code, f"the authorization server refused the sign-in: {said}", words=said)
    if not query.get("code"):
        raise AuthError("the authorization server's answer to the sign-in has no code")
    return query["code"]


def code_form(request: AuthorizationRequest, code: str, resource: str) -> dict[str, str]:
    """Return the token request for a code."""
    return _form(
        "authorization_code",
        code=code,
        redirect_uri=request.redirect_uri,
        code_verifier=request.verifier,
        **_target(resource),
    )


def refresh_form(refresh_token: str, resource: str) -> dict[str, str]:
    """Return the token request for a refresh token. No scope: what was granted stays (RFC 6749 section 6)."""
    return _form("refresh_token", refresh_token=refresh_token, **_target(resource))


def client_credentials_form(resource: str, scopes: tuple[str, ...]) -> dict[str, str]:
    """Return the token request of a client that acts on its own behalf."""
    return _form("client_credentials", **_target(resource), scope=" ".join(scopes))


def authenticated(
    form: Mapping[str, str], client: Client, issuer: str, private_key: str | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return a token request's form and headers with the client's authentication added (RFC 6749 section 2.3).

    The issuer is the audience of an assertion. The key (PEM) is needed for ``private_key_jwt``.

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
    """Return what to ask for: the challenge's scopes with the configured ones, else all the server names, else none.

    ``offline_access`` is added where the authorization server offers it, for a refresh token
    (MCP 2026-07-28, "Refresh Tokens"); not to scopes the user configured, which are sent as they are.
    """
    challenged = usable_scopes(challenged)
    wanted = tuple(dict.fromkeys((*configured, *challenged))) or supported
    adds = bool(wanted) and not configured and OFFLINE in server.scopes and OFFLINE not in wanted
    return (*wanted, OFFLINE) if adds else wanted


def answer_of(document: object, text: str) -> object:
    """Return the answer to a token request: JSON, or a form, as GitHub may send it; ``None`` if neither."""
    if document is not None:
        return document
    start = text[:_READ].lstrip()
    if start.startswith(("<", "{", "[")) or not any(f"{key}=" in start for key in ("access_token", "error")):
        return None
    try:
        return dict(parse_qsl(text[:_FORM].strip(), max_num_fields=100))
    except ValueError:
        return None


def is_refusal(document: object) -> bool:
    """Return whether an answer with a status of success is a refusal all the same (GitHub, Slack)."""
    if not isinstance(document, dict):
        return False
    return bool(document.get("error")) or document.get("ok") is False


def refusal(status: int, document: object, server_origin: str, text: str = "") -> GrantRefused:
    """Return the error for a token or registration request that was refused in words (RFC 6749 section 5.2).

    The document is the parsed answer, whatever it is; the text the answer as it came, for one that is no JSON.
    """
    code, said = _said(document)
    why = described({"error": code, "error_description": said})
    return GrantRefused(
        code,
        f"the authorization server {server_origin} refused: {why or f'HTTP status {status}'}",
        status,
        f"{code} {said} {text[:_READ]}",
    )


def described(answer: Mapping[str, str]) -> str:
    """Return an OAuth error in words; short, in one line, printable."""
    said = (answer.get("error", ""), answer.get("error_description", ""))
    return printable(": ".join(filter(None, said)), MAX_SHOWN_REFUSAL)[:MAX_SHOWN_REFUSAL]


def _said(document: object) -> tuple[str, str]:
    """Return the error code of an answer and what it says besides, in the shapes servers give it."""
    if not isinstance(document, dict):
        return "", ""
    error = document.get("error")
    if isinstance(error, dict):  # as the APIs of large vendors have it
        return _said({"error": error.get("code") or error.get("status"), "message": error.get("message")})
    texts = (document.get(key) for key in ("error_description", "message", "detail", "title", "errors"))
    said = next((text for text in texts if isinstance(text, str) and text), "")
    return error if isinstance(error, str) else "", said[:_READ]


def _target(resource: str) -> dict[str, str]:
    return {"resource": resource} if resource else {}


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
