"""Where a server's authorization server is and whether what it says of itself can be believed. Pure.

It names the documents to fetch, in order, and reads them; fetching them is ``dmcp.auth.flow``'s.
Source: MCP 2025-11-25 basic/authorization, 2026-07-28 basic/authorization/authorization-server-discovery,
RFC 8414, RFC 9728.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from dmcp.auth.addresses import Kind, kind_of_host, may_name
from dmcp.errors import AuthError
from dmcp.protocol.limits import MAX_AUTH_ADDRESS, MAX_AUTHORIZATION_SERVERS, MAX_SCOPE, MAX_SCOPES
from dmcp.text import printable

_DEFAULT_PORTS = {"http": 80, "https": 443}
_DELETE = 0x7F


@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """A server's word about itself (RFC 9728).

    Attributes:
        resource: the value for the ``resource`` parameter.
        issuer: its authorization server: the wanted one if it is among those named, else the first.
        scopes: ``scopes_supported``.
    """

    resource: str
    issuer: str | None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """An authorization server (RFC 8414 or OpenID Connect Discovery 1.0).

    Attributes:
        issuer: its identifier as it writes it; see ``is_same_issuer``.
        auth_methods: ``token_endpoint_auth_methods_supported``; ``None`` when it does not say.
        s256: whether it does PKCE with S256.
        silent_on_pkce: whether it says nothing of PKCE at all.
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
    silent_on_pkce: bool = False
    documents: bool = False
    iss_promised: bool = False


def canonical(url: str) -> str:
    """Return the identifier of an MCP server: scheme and host in lower case, no fragment, no lone slash.

    Source: MCP 2025-11-25, "Canonical Server URI".
    """
    parts = urlsplit(url)
    path = "" if parts.path == "/" else parts.path
    return urlunsplit((parts.scheme.lower(), _authority(parts), path, parts.query, ""))


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, comparable."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{_authority(parts)}"


def is_loopback(url: str) -> bool:
    """Return whether a URL names this machine."""
    return kind_of_host(urlsplit(url).hostname or "") == "loopback"


def is_same_issuer(one: str, other: str) -> bool:
    """Return whether two identifiers are of the same issuer: they differ by a final slash at most.

    Google, Auth0 and the Python SDK write it in one place and not in the other. Nothing else is normalised: another
    scheme, host, port or path is another issuer (RFC 8414 section 3.3).
    """
    return one.removesuffix("/") == other.removesuffix("/")


def is_allowed_url(url: str, server_url: str, home: Kind | None = None) -> bool:
    """Return whether a URL that a server gave may be fetched: HTTPS, or HTTP on this machine for a server on it.

    A remote server must not make dmcp speak to what listens on the user's own machine or in their network, by HTTPS
    either. What a name stands for is checked when it is connected to (``dmcp.auth.web``). ``home`` is what kind of
    address the server has, if its host is a name and that is known.
    """
    if len(url) > MAX_AUTH_ADDRESS or any(c.isspace() or ord(c) < ord(" ") or ord(c) == _DELETE for c in url):
        return False
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    if not has_host or parts.username is not None or parts.fragment:
        return False
    kind = kind_of_host(parts.hostname or "")
    near = home or kind_of_host(urlsplit(server_url).hostname or "") or "public"
    is_own = parts.hostname == urlsplit(server_url).hostname
    # RFC 3986: other scripts are written as escapes and punycode. A name that looks like another one would be shown.
    if not (urlunsplit(parts._replace(netloc="")) if is_own else url).isascii():
        return False
    if kind is not None and not is_own and not may_name(near, kind):
        return False
    return parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(url) and is_loopback(server_url)
    )


def resource_metadata_urls(server_url: str, named: str | None) -> tuple[str, ...]:
    """Return where to look for a server's protected resource metadata, in order (RFC 9728 section 3.1).

    What the challenge has named (``resource_metadata``) is the only place.
    """
    if named:
        return (named,)
    base, path = origin(server_url), urlsplit(server_url).path.rstrip("/")
    root = f"{base}/.well-known/oauth-protected-resource"
    return (root + path, root) if path else (root,)


def server_metadata_urls(issuer: str) -> tuple[str, ...]:
    """Return where to look for an authorization server's metadata, in order.

    Source: MCP 2025-11-25, "Authorization Server Metadata Discovery".
    """
    from authlib.oauth2 import rfc8414  # noqa: PLC0415 - see dmcp.auth.grants
    from authlib.oidc import discovery as oidc  # noqa: PLC0415 - see dmcp.auth.grants

    place = origin(issuer) + urlsplit(issuer).path.rstrip("/")
    inserted = (
        rfc8414.get_well_known_url(place, external=True, suffix=kind)
        for kind in ("oauth-authorization-server", "openid-configuration")
    )
    # Where the issuer has no path the last two are the same.
    return tuple(dict.fromkeys((*inserted, oidc.get_well_known_url(place, external=True))))


def read_resource_metadata(
    document: object, server_url: str, wanted: str | None = None, home: Kind | None = None
) -> ResourceMetadata:
    """Check protected resource metadata; ``wanted`` is the issuer to take if it is among those named.

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
    issuers = _strings(document.get("authorization_servers"))[:MAX_AUTHORIZATION_SERVERS]
    issuer = next((i for i in issuers if wanted and is_same_issuer(i, wanted)), next(iter(issuers), None))
    if issuer is not None and not is_allowed_url(issuer, server_url, home):
        raise AuthError(
            f"it names an authorization server ({origin_or(issuer)}) whose address is not HTTPS, or is one that a"
            " server elsewhere may not name; the server has to be mended"
        )
    return ResourceMetadata(resource, issuer, _scopes(document.get("scopes_supported")))


def read_server_metadata(document: object, issuer: str) -> ServerMetadata:
    """Check authorization server metadata, whose address was made from this issuer's identifier.

    Raises:
        AuthError: it is no such document, has endpoints that are not HTTPS, or is another issuer's
            (RFC 8414 section 3.3).
    """
    if not isinstance(document, dict) or not isinstance(document.get("issuer"), str):
        raise AuthError(f"the metadata of the authorization server {origin(issuer)} has no `issuer`")
    if not is_same_issuer(document["issuer"], issuer):
        raise AuthError(
            f"the metadata found for the authorization server {printable(issuer, 200)} is another one's"
            f" ({origin_or(document['issuer'])}), so it is not used"
        )
    token = _endpoint(document, "token_endpoint", issuer)
    if token is None:
        raise AuthError(f"the metadata of the authorization server {origin(issuer)} has no `token_endpoint`")
    methods = document.get("token_endpoint_auth_methods_supported")
    return ServerMetadata(
        issuer=document["issuer"],
        token_endpoint=token,
        authorization_endpoint=_endpoint(document, "authorization_endpoint", issuer),
        registration_endpoint=_endpoint(document, "registration_endpoint", issuer),
        scopes=_scopes(document.get("scopes_supported")),
        auth_methods=None if methods is None else _strings(methods),
        s256="S256" in _strings(document.get("code_challenge_methods_supported")),
        silent_on_pkce=document.get("code_challenge_methods_supported") is None,
        documents=document.get("client_id_metadata_document_supported") is True,
        iss_promised=document.get("authorization_response_iss_parameter_supported") is True,
    )


def default_server_metadata(server_url: str) -> ServerMetadata:
    """Return the endpoints of a server that publishes no metadata at all (MCP 2025-03-26, section 2.3.3)."""
    base = origin(server_url)
    return ServerMetadata(base, f"{base}/token", f"{base}/authorize", f"{base}/register", s256=True)


def origin_or(text: str) -> str:
    """Return a foreign identifier in a form that is safe to show: its origin, if it has one."""
    try:
        return printable(origin(text[:MAX_AUTH_ADDRESS]), 200)
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
    if not isinstance(url, str) or not is_allowed_url(url, issuer):
        raise AuthError(
            f"the authorization server {origin(issuer)} gives a `{key}` that is not an HTTPS address, or is one"
            " that a server elsewhere may not name"
        )
    return url


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(item for item in value[:MAX_SCOPES] if isinstance(item, str))


def _scopes(value: object) -> tuple[str, ...]:
    return usable_scopes(_strings(value))


def usable_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the scopes of a stranger that can be asked for: printable, of bearable length and number."""
    good = (s for s in scopes if 0 < len(s) <= MAX_SCOPE and s.isascii() and s.isprintable() and " " not in s)
    return tuple(dict.fromkeys(good))[:MAX_SCOPES]
