from __future__ import annotations

from dataclasses import replace

import pytest

from dmcp.auth.discovery import ServerMetadata
from dmcp.auth.registration import Client, Register, choose, read_registration
from dmcp.config.model import OAuthSettings
from dmcp.errors import AuthError

BACK = "http://127.0.0.1:5000/callback"
SERVER = ServerMetadata(
    "https://a", "https://a/token", registration_endpoint="https://a/register", documents=True
)
DOCUMENT = "https://dmcp.example/client.json"


def test_a_configured_client_comes_before_everything_else() -> None:
    client = choose(OAuthSettings(client_id="mine", client_metadata_url=DOCUMENT), SERVER, None, BACK)
    assert client == Client("mine", None, "none", "configured")


def test_a_metadata_document_comes_before_registration_where_it_is_accepted() -> None:
    settings = OAuthSettings(client_metadata_url=DOCUMENT)
    assert choose(settings, SERVER, None, BACK) == Client(DOCUMENT, None, "none", "document")
    assert isinstance(choose(settings, replace(SERVER, documents=False), None, BACK), Register)


def test_a_metadata_document_without_https_is_the_persons_mistake() -> None:
    with pytest.raises(AuthError, match="client_metadata_url"):
        choose(OAuthSettings(client_metadata_url="http://x/y"), SERVER, None, BACK)


def test_a_registered_client_is_used_again_for_the_same_address_only() -> None:
    known = Client("known", redirect_uri=BACK)
    assert choose(OAuthSettings(), SERVER, known, BACK) is known
    assert isinstance(choose(OAuthSettings(), SERVER, known, BACK.replace("5000", "5001")), Register)


def test_registration_says_that_dmcp_is_a_native_application() -> None:
    register = choose(OAuthSettings(), SERVER, None, BACK)
    assert isinstance(register, Register)
    assert register.body["application_type"] == "native"
    assert register.body["redirect_uris"] == [BACK]
    assert "refresh_token" in register.body["grant_types"]


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (None, "none"),
        (("client_secret_post", "none"), "none"),
        (("client_secret_post", "client_secret_basic"), "client_secret_basic"),
        (("client_secret_post",), "client_secret_post"),
    ],
)
def test_registration_asks_for_an_authentication_the_server_accepts(
    accepted: tuple[str, ...], expected: str
) -> None:
    register = choose(OAuthSettings(), replace(SERVER, auth_methods=accepted), None, BACK)
    assert isinstance(register, Register)
    assert register.body["token_endpoint_auth_method"] == expected


def test_without_any_way_the_person_is_asked_for_a_client_id() -> None:
    with pytest.raises(AuthError, match=r"oauth\.client_id"):
        choose(OAuthSettings(), replace(SERVER, registration_endpoint=None), None, BACK)


def test_the_answer_to_a_registration_decides_how_to_authenticate() -> None:
    asked = Register("https://a/register", {"token_endpoint_auth_method": "none"})
    answer = {"client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "client_secret_post"}
    client = read_registration(answer, asked, SERVER, BACK)
    assert (client.secret, client.auth_method, client.redirect_uri) == ("s", "client_secret_post", BACK)
    public = read_registration(
        {"client_id": "c", "token_endpoint_auth_method": "client_secret_basic"}, asked, SERVER, BACK
    )
    assert public.auth_method == "none"


@pytest.mark.parametrize("answer", [None, [], {}, {"client_id": ""}, {"client_id": 5}])
def test_an_answer_without_a_client_id_is_the_servers_fault(answer: object) -> None:
    with pytest.raises(AuthError, match="without a client id"):
        read_registration(answer, Register("", {"token_endpoint_auth_method": "none"}), SERVER, BACK)


def test_a_client_whose_secret_has_expired_is_not_usable() -> None:
    assert not Client("c", secret_expires_at=100.0).is_usable(100.0)
    assert Client("c", secret_expires_at=100.0).is_usable(99.0)
    assert Client("c").is_usable(1e12)
