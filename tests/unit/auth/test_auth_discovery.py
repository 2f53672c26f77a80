from __future__ import annotations

from typing import Any

import pytest

from dmcp.auth import discovery
from dmcp.errors import AuthError

SERVER = "https://mcp.example.com/v1/mcp"
ISSUER = "https://auth.example.com/tenant"
GOOD = {"issuer": ISSUER, "token_endpoint": "https://auth.example.com/token"}


def test_resource_metadata_is_looked_for_at_the_path_and_then_at_the_root() -> None:
    root = "https://mcp.example.com/.well-known/oauth-protected-resource"
    assert discovery.resource_metadata_urls(SERVER, None) == (f"{root}/v1/mcp", root)
    assert discovery.resource_metadata_urls("https://mcp.example.com/", None) == (root,)


def test_the_address_a_challenge_names_is_the_only_one() -> None:
    assert discovery.resource_metadata_urls(SERVER, "https://x/y") == ("https://x/y",)


def test_an_issuer_with_a_path_is_looked_up_in_the_order_of_the_specification() -> None:
    assert discovery.server_metadata_urls(ISSUER) == (
        "https://auth.example.com/.well-known/oauth-authorization-server/tenant",
        "https://auth.example.com/.well-known/openid-configuration/tenant",
        "https://auth.example.com/tenant/.well-known/openid-configuration",
    )


def test_an_issuer_without_a_path_is_looked_up_in_the_order_of_the_specification() -> None:
    assert discovery.server_metadata_urls("https://auth.example.com:8443") == (
        "https://auth.example.com:8443/.well-known/oauth-authorization-server",
        "https://auth.example.com:8443/.well-known/openid-configuration",
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://MCP.Example.COM:443/Path#part", "https://mcp.example.com/Path"),
        ("https://mcp.example.com/", "https://mcp.example.com"),
        ("http://[::1]:8080/mcp", "http://[::1]:8080/mcp"),
    ],
)
def test_a_servers_identifier_is_canonical(url: str, expected: str) -> None:
    assert discovery.canonical(url) == expected


@pytest.mark.parametrize(
    "resource",
    [SERVER, "https://MCP.example.com/v1/mcp", "https://mcp.example.com", "https://mcp.example.com/v1"],
)
def test_metadata_for_the_server_or_for_what_contains_it_is_used(resource: str) -> None:
    about = discovery.read_resource_metadata(
        {"resource": resource, "authorization_servers": [ISSUER]}, SERVER
    )
    assert (about.resource, about.issuer) == (resource, ISSUER)


@pytest.mark.parametrize(
    "resource",
    [
        "https://evil.example.com/v1/mcp",
        "http://mcp.example.com/v1/mcp",
        "https://mcp.example.com:444/v1/mcp",
        "https://mcp.example.com/v1/mc",
        "https://mcp.example.com/v1/mcp/more",
        "https://mcp.example.com/v1/mcp?tenant=2",
        "https://[broken",
        "",
        None,
    ],
)
def test_metadata_for_another_server_is_rejected(resource: str | None) -> None:
    with pytest.raises(AuthError, match="protected resource metadata"):
        discovery.read_resource_metadata({"resource": resource}, SERVER)


@pytest.mark.parametrize(
    ("url", "server", "expected"),
    [
        ("https://auth.example.com", SERVER, True),
        ("http://auth.example.com", SERVER, False),
        ("http://127.0.0.1:9/x", SERVER, False),
        ("http://127.0.0.1:9/x", "http://localhost:8/mcp", True),
        ("file:///etc/passwd", SERVER, False),
        ("https://user:pw@auth.example.com", SERVER, False),
        ("https://auth.example.com/\nHost: x", SERVER, False),
        ("https://auth.example.com:99999/", SERVER, False),
        ("javascript:alert(1)", SERVER, False),
        ("https://\u0430uth.example.com", SERVER, False),  # a Cyrillic letter
        ("https://xn--uth-5cd.example.com", SERVER, True),  # the same, as it is shown then
        ("https://auth.example.com/\u202etxt", SERVER, False),
        ("https://b\u00fccher.example/token", "https://b\u00fccher.example/mcp", True),
        ("https://b\u00fccher.example/\u202etxt", "https://b\u00fccher.example/mcp", False),
    ],
)
def test_only_https_is_visited_or_this_machine_for_a_server_on_it(
    url: str, server: str, expected: bool
) -> None:
    assert discovery.is_allowed_url(url, server) is expected


@pytest.mark.parametrize(
    "issuer",
    [
        f"{ISSUER}/more",
        f"{ISSUER}//",
        "http://auth.example.com/tenant",
        "https://AUTH.example.com/tenant",
        "https://evil.example",
        7,
        None,
    ],
)
def test_metadata_whose_issuer_is_not_identical_is_rejected(issuer: Any) -> None:
    with pytest.raises(AuthError, match="authorization server"):
        discovery.read_server_metadata(GOOD | {"issuer": issuer}, ISSUER)


@pytest.mark.parametrize("key", ["token_endpoint", "authorization_endpoint", "registration_endpoint"])
def test_an_endpoint_that_is_not_https_is_rejected(key: str) -> None:
    with pytest.raises(AuthError, match=key):
        discovery.read_server_metadata(GOOD | {key: "http://auth.example.com/x"}, ISSUER)


def test_metadata_without_a_token_endpoint_is_rejected() -> None:
    with pytest.raises(AuthError, match="token_endpoint"):
        discovery.read_server_metadata({"issuer": ISSUER}, ISSUER)


def test_what_metadata_does_not_say_is_not_assumed() -> None:
    server = discovery.read_server_metadata(GOOD | {"code_challenge_methods_supported": "S256"}, ISSUER)
    assert not server.s256
    assert not server.documents
    assert not server.iss_promised
    assert server.auth_methods is None


def test_a_server_without_any_metadata_has_the_default_endpoints_at_its_root() -> None:
    server = discovery.default_server_metadata(SERVER)
    assert server.authorization_endpoint == "https://mcp.example.com/authorize"
    assert server.token_endpoint == "https://mcp.example.com/token"
    assert server.registration_endpoint == "https://mcp.example.com/register"
