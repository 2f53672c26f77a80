"""Every member of every document of an authorization server as something else: an error in words, or a value to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from dmcp.auth import challenge, discovery, grants, registration, tokens
from dmcp.config.model import OAuthSettings
from dmcp.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Callable

URL, ISSUER, BACK = "https://mcp.example/v1", "https://as.example", "http://127.0.0.1:1/callback"
METADATA: Final[dict[str, Any]] = {
    "issuer": ISSUER,
    "token_endpoint": f"{ISSUER}/t",
    "authorization_endpoint": f"{ISSUER}/a",
    "registration_endpoint": f"{ISSUER}/r",
    "code_challenge_methods_supported": ["S256"],
}
SERVER: Final = discovery.read_server_metadata(METADATA, ISSUER)
ODD: Final[list[Any]] = [
    *(
        None,
        True,
        -1,
        1e308,
        float("inf"),
        float("nan"),
        "",
        "x" * 1_000_000,
        [],
        {},
        [[]],
        {"a": {}},
        [None],
    ),
    ["a"] * 100_000,
    *("https://[::1", "https://a:99999/", "https://u:p@h/", "javascript:x", "//x", "file:///etc/passwd"),
    *(
        "https://as.example/\r\nX: y",
        "https://169.254.169.254/",
        "https://[::ffff:127.0.0.1]/",
        "https://0x7f.1/",
    ),
]


def said(work: Callable[..., Any], *given: Any) -> Any:
    """Return what the work returns; ``None`` where it refuses, in a sentence that is not long."""
    try:
        return work(*given)
    except AuthError as error:
        refusal = str(error)
    assert len(refusal) < 1500
    return None


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:30])
def test_a_document_with_an_odd_member_is_refused_in_words_or_used(odd: Any) -> None:
    for key in (*METADATA, "scopes_supported", "token_endpoint_auth_methods_supported"):
        server = said(discovery.read_server_metadata, {**METADATA, key: odd}, ISSUER)
        if server is not None:
            said(grants.authorization_request, server, registration.Client("id"), BACK, URL, ("a",))
            said(registration.choose, OAuthSettings(), server, None, BACK)
    for key in ("resource", "authorization_servers", "scopes_supported"):
        document = {"resource": URL, "authorization_servers": [ISSUER], key: odd}
        said(discovery.read_resource_metadata, document, URL)
    said(discovery.read_resource_metadata, {"resource": URL, "authorization_servers": [odd]}, URL)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:30])
def test_a_response_with_an_odd_member_is_refused_in_words_or_used(odd: Any) -> None:
    register = registration.choose(OAuthSettings(), SERVER, None, BACK)
    assert isinstance(register, registration.Register)
    for key in ("client_id", "client_secret", "token_endpoint_auth_method", "client_secret_expires_at"):
        document = {"client_id": "x", "client_secret": "s", key: odd}
        client = said(registration.read_registration, document, register, SERVER, BACK)
        if client is not None:
            assert isinstance(client.is_usable(1e9), bool)
            said(grants.authenticated, {}, client, ISSUER)
    for key in ("access_token", "token_type", "expires_in", "refresh_token", "scope", "authed_user"):
        got = said(tokens.read_token_response, {"access_token": "at", key: odd}, 1e9, ("a",))
        if got is not None:
            assert got.is_valid(1e9)
            assert not got.needs_refresh(1e9)
    for key in ("error", "error_description", "message", "detail", "errors"):
        assert len(str(grants.refusal(400, {key: odd}, ISSUER, str(odd)))) < 1500
        assert isinstance(grants.is_refusal({key: odd}), bool)
    said(tokens.read_token_response, odd, 1e9, ())
    said(registration.read_registration, odd, register, SERVER, BACK)
    if isinstance(odd, str):
        grants.answer_of(None, f"access_token={odd}")
        challenge.parse(f'Bearer resource_metadata="{odd}"')
        discovery.is_allowed_url(odd, URL)
