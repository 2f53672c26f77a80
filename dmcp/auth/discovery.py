"""Where a server's authorization server is and whether what it says of itself can be believed. Pure.

It names the documents to fetch, in order, and reads them; fetching them is ``dmcp.auth.flow``'s.
Source: MCP 2025-11-25 basic/authorization, 2026-07-28 basic/authorization/authorization-server-discovery,
RFC 8414, RFC 9728.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from dmcp.errors import AuthError

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_DELETE = 0x7F


@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """A server's word about itself (RFC 9728). ``resource`` is the value for the ``resource`` parameter."""

    resource: str
    issuer: str | None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """An authorization server (RFC 8414 or OpenID Connect Discovery 1.0).

    Attributes:
        issuer: its identifier, compared character by character and never normalised.
        auth_methods: ``token_endpoint_auth_methods_supported``; ``None`` when it does not say.
        s256: whether it does PKCE with S256.
        documents: whether a URL of a client id metadata document is accepted as client id.
        iss_promised: whether each authorization response carries ``iss`` (RFC 9207).
    """

    issuer: str
    token_endpoint: str
    authorization_endpoint: str | None = None
    registration_endpoint: str | None = None
    scopes: tuple[str, ...] = ()
    auth_methods: tuple[str, ...] | None = None
    s256: bool = False
    documents: bool = False
    iss_promised: bool = False


def canonical(url: str) -> str:
    """The identifier of an MCP server: scheme and host in lower case, no fragment, no lone slash.

    Source: MCP 2025-11-25, "Canonical Server URI".
    """
    parts = urlsplit(url)
    path = "" if parts.path == "/" else parts.path
    return urlunsplit((parts.scheme.lower(), _authority(parts), path, parts.query, ""))


def origin(url: str) -> str:
    """Scheme, host and port of a URL, comparable."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{_authority(parts)}"


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def may_visit(url: str, server_url: str) -> bool:
    """Whether a URL that a server gave may be fetched: HTTPS, or HTTP on this machine for a server on it.

    A remote server must not make dmcp speak to what listens on the person's own machine.
    """
    if any(c.isspace() or ord(c) < ord(" ") or ord(c) == _DELETE for c in url):
        return False
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    if not has_host or parts.username is not None or parts.fragment:
        return False
    return parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(url) and is_loopback(server_url)
    )


def resource_metadata_urls(server_url: str, named: str | None) -> tuple[str, ...]:
    """Where to look for a server's protected resource metadata, in order (RFC 9728 section 3.1).

    Args:
        server_url: the server's configured address.
        named: ``resource_metadata`` of the challenge; if there is one, it is the only place.
    """
    if named:
        return (named,)
    base, path = origin(server_url), urlsplit(server_url).path.rstrip("/")
    root = f"{base}/.well-known/oauth-protected-resource"
    return (root + path, root) if path else (root,)


def server_metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where to look for an authorization server's metadata, in order.

    Source: MCP 2025-11-25, "Authorization Server Metadata Discovery".
    """
    base, path = origin(issuer), urlsplit(issuer).path.rstrip("/")
    oauth, oidc = f"{base}/.well-known/oauth-authorization-server", f"{base}/.well-known/openid-configuration"
    if not path:
        return (oauth, oidc)
    return (oauth + path, oidc + path, f"{base}{path}/.well-known/openid-configuration")


def read_resource_metadata(document: object, server_url: str) -> ResourceMetadata:
    """Check protected resource metadata.

    Raises:
        AuthError: it is no such document, or it describes another server (RFC 9728 section 3.3).
    """
    if not isinstance(document, dict) or not isinstance(resource := document.get("resource"), str):
        raise AuthError("its protected resource metadata has no `resource`; the server has to be mended")
    if not _covers(resource, server_url):
        raise AuthError(
            f"its protected resource metadata is for another server ({origin_or(resource)}), so it is not"
            " used; the server has to be mended"
        )
    issuers = _strings(document.get("authorization_servers"))
    if issuers and not may_visit(issuers[0], server_url):
        raise AuthError(
            "it names an authorization server whose address is not HTTPS; the server has to be mended"
        )
    return ResourceMetadata(
        resource, issuers[0] if issuers else None, _strings(document.get("scopes_supported"))
    )


def read_server_metadata(document: object, issuer: str) -> ServerMetadata:
    """Check authorization server metadata.

    Args:
        document: what was fetched.
        issuer: the identifier its address was made from.

    Raises:
        AuthError: it is no such document, has endpoints that are not HTTPS, or is another issuer's
            (RFC 8414 section 3.3).
    """
    if not isinstance(document, dict) or not isinstance(document.get("issuer"), str):
        raise AuthError(f"the metadata of the authorization server {origin(issuer)} has no `issuer`")
    if document["issuer"] != issuer:
        raise AuthError(
            f"the metadata found for the authorization server {issuer} is another one's"
            f" ({origin_or(document['issuer'])}), so it is not used"
        )
    token = _endpoint(document, "token_endpoint", issuer)
    if token is None:
        raise AuthError(f"the metadata of the authorization server {origin(issuer)} has no `token_endpoint`")
    methods = document.get("token_endpoint_auth_methods_supported")
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=token,
        authorization_endpoint=_endpoint(document, "authorization_endpoint", issuer),
        registration_endpoint=_endpoint(document, "registration_endpoint", issuer),
        scopes=_strings(document.get("scopes_supported")),
        auth_methods=None if methods is None else _strings(methods),
        s256="S256" in _strings(document.get("code_challenge_methods_supported")),
        documents=document.get("client_id_metadata_document_supported") is True,
        iss_promised=document.get("authorization_response_iss_parameter_supported") is True,
    )


def default_server_metadata(server_url: str) -> ServerMetadata:
    """The endpoints of a server that publishes no metadata at all (MCP 2025-03-26, section 2.3.3)."""
    base = origin(server_url)
    return ServerMetadata(base, f"{base}/token", f"{base}/authorize", f"{base}/register", s256=True)


def origin_or(text: str) -> str:
    """A foreign identifier in a form that is safe to show: its origin, if it has one."""
    try:
        return origin(text)
    except ValueError:
        return "an address that cannot be read"


def _authority(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme.lower())} else f"{host}:{parts.port}"


def _covers(resource: str, server_url: str) -> bool:
    # The root document may stand for the whole origin, and a document for all that lies below its path.
    try:
        claimed, actual = urlsplit(canonical(resource)), urlsplit(canonical(server_url))
    except ValueError:
        return False
    if (claimed.scheme, claimed.netloc) != (actual.scheme, actual.netloc):
        return False
    if claimed.query and claimed.query != actual.query:
        return False
    prefix = claimed.path.rstrip("/") + "/"
    return (actual.path.rstrip("/") + "/").startswith(prefix)


def _endpoint(document: dict[str, Any], key: str, issuer: str) -> str | None:
    url = document.get(key)
    if url is None:
        return None
    if not isinstance(url, str) or not may_visit(url, issuer):
        raise AuthError(
            f"the authorization server {origin(issuer)} gives a `{key}` that is not an HTTPS address"
        )
    return url


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
