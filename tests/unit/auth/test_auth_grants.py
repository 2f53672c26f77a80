from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from dmcp.auth import grants
from dmcp.auth.discovery import ServerMetadata
from dmcp.auth.registration import Client
from dmcp.errors import AuthError

SERVER = ServerMetadata("https://a", "https://a/token", "https://a/authorize?tenant=1", s256=True)
BACK = "http://127.0.0.1:5000/callback"
CLIENT = Client("id:1", "se cret", "client_secret_basic")


def _request(server: ServerMetadata = SERVER) -> grants.AuthorizationRequest:
    return grants.authorization_request(server, CLIENT, BACK, "https://mcp/x", ("a", "b"))


def test_the_authorization_address_carries_pkce_state_resource_and_scopes() -> None:
    request = _request()
    query = parse_qs(urlsplit(request.url).query)
    assert query == {
        "tenant": ["1"],
        "response_type": ["code"],
        "client_id": ["id:1"],
        "redirect_uri": [BACK],
        "scope": ["a b"],
        "state": [request.state],
        "code_challenge": [create_s256_code_challenge(request.verifier)],
        "code_challenge_method": ["S256"],
        "resource": ["https://mcp/x"],
    }


def test_no_two_requests_share_state_or_verifier() -> None:
    one, two = _request(), _request()
    assert one.state != two.state
    assert one.verifier != two.verifier


def test_a_server_that_does_not_promise_s256_is_refused() -> None:
    with pytest.raises(AuthError, match="PKCE"):
        _request(replace(SERVER, s256=False))


def test_only_an_answer_with_our_state_is_ours() -> None:
    request = _request()
    assert grants.is_answer_to(request, {"state": request.state})
    assert not grants.is_answer_to(request, {"state": request.state + "x"})
    assert not grants.is_answer_to(request, {})


@pytest.mark.parametrize(
    ("promised", "answer"),
    [
        (True, {"code": "c"}),
        (True, {"code": "c", "iss": "https://a/x"}),
        (True, {"code": "c", "iss": "https://a//"}),
        (False, {"code": "c", "iss": "https://A"}),
        (False, {"error": "access_denied", "iss": "https://evil"}),
    ],
)
def test_an_answer_from_another_issuer_is_not_used(promised: bool, answer: dict[str, str]) -> None:
    with pytest.raises(AuthError, match="may be an attack"):
        grants.code_from(_request(replace(SERVER, iss_promised=promised)), answer)


def test_an_answer_from_the_right_issuer_gives_its_code() -> None:
    assert (
        grants.code_from(_request(replace(SERVER, iss_promised=True)), {"code": "c", "iss": "https://a"})
        == "c"
    )
    assert grants.code_from(_request(), {"code": "c"}) == "c"


def test_a_refusal_in_the_browser_is_told_as_one() -> None:
    with pytest.raises(grants.GrantRefused, match="refused in the browser"):
        grants.code_from(_request(), {"error": "access_denied"})
    with pytest.raises(AuthError, match="no code"):
        grants.code_from(_request(), {})


def test_every_token_request_names_the_resource() -> None:
    request = _request()
    assert grants.code_form(request, "c", "https://r") == {
        "grant_type": "authorization_code",
        "code": "c",
        "redirect_uri": BACK,
        "code_verifier": request.verifier,
        "resource": "https://r",
    }
    assert grants.refresh_form("rt", "https://r") == {
        "grant_type": "refresh_token",
        "refresh_token": "rt",
        "resource": "https://r",
    }
    assert grants.client_credentials_form("https://r", ()) == {
        "grant_type": "client_credentials",
        "resource": "https://r",
    }


def test_basic_authentication_encodes_both_halves_before_joining_them() -> None:
    body, headers = grants.authenticated({"a": "b"}, CLIENT, "https://a")
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"id%3A1:se%20cret"
    assert body == {"a": "b"}


def test_post_and_public_clients_put_themselves_into_the_form() -> None:
    post, _ = grants.authenticated({}, replace(CLIENT, auth_method="client_secret_post"), "https://a")
    assert post == {"client_id": "id:1", "client_secret": "se cret"}
    public, headers = grants.authenticated({}, Client("c"), "https://a")
    assert (public, headers) == ({"client_id": "c"}, {})


def test_a_method_without_what_it_needs_is_the_configurations_fault() -> None:
    with pytest.raises(AuthError, match=r"oauth\.client_secret"):
        grants.authenticated({}, Client("c", None, "client_secret_basic"), "https://a")
    with pytest.raises(AuthError, match=r"oauth\.private_key_file"):
        grants.authenticated({}, Client("c", None, "private_key_jwt"), "https://a", None)
    with pytest.raises(AuthError, match="PEM") as caught:
        grants.authenticated({}, Client("c", None, "private_key_jwt"), "https://a", "MY KEY")
    assert "MY KEY" not in str(caught.value)


@pytest.mark.parametrize(
    ("configured", "challenged", "supported", "offered", "expected"),
    [
        ((), ("c",), ("s",), (), ("c",)),
        ((), (), ("s", "t"), (), ("s", "t")),
        ((), (), (), ("offline_access",), ()),
        (("mine",), ("c", "mine"), ("s",), (), ("mine", "c")),
        ((), ("c",), (), ("offline_access",), ("c", "offline_access")),
    ],
)
def test_scopes_come_from_the_challenge_then_from_the_metadata(
    configured: tuple[str, ...],
    challenged: tuple[str, ...],
    supported: tuple[str, ...],
    offered: tuple[str, ...],
    expected: tuple[str, ...],
) -> None:
    assert grants.scopes_for(configured, challenged, supported, replace(SERVER, scopes=offered)) == expected


def test_a_refusal_is_described_in_one_printable_line() -> None:
    refusal = grants.refusal(
        400, {"error": "invalid_grant", "error_description": "no\nsuch\x1b[31m token" * 50}, "https://a"
    )
    assert refusal.code == "invalid_grant"
    assert str(refusal).isprintable()
    assert len(str(refusal)) < 400
    assert grants.refusal(418, "<html>", "https://a").code == ""


def test_every_kind_of_key_that_signs_is_recognised() -> None:
    kinds = {
        "RS256": rsa.generate_private_key(65537, 2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    for algorithm, key in kinds.items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        body, _ = grants.authenticated({}, Client("c", None, "private_key_jwt"), "https://a", pem)
        header = body["client_assertion"].split(".")[0]
        assert f'"alg":"{algorithm}"' in base64.urlsafe_b64decode(header + "==").decode()


def test_a_public_key_is_no_private_key() -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).public_key()
    text = pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(AuthError, match="private key"):
        grants.authenticated({}, Client("c", None, "private_key_jwt"), "https://a", text)
