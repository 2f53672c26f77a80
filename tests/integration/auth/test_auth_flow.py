"""Signing in, renewing and stepping up against a real authorization server process."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from dmcp.auth.authorizer import Authorizer
from dmcp.auth.challenge import Challenge
from dmcp.auth.store import FileStore
from dmcp.config.model import OAuthSettings, RemoteServer
from dmcp.errors import AuthError, SignInNeeded
from servers.oauth_process import OAuthServer, Person, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dmcp.auth.tokens import Tokens

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with running() as server:
        yield server


class Home:
    """One dmcp process's auth room, with a person at hand."""

    def __init__(self, folder: Path, server: OAuthServer, settings: OAuthSettings | None = None) -> None:
        self.person = Person()
        self.store = FileStore(folder)
        self.remote = RemoteServer(server.url, oauth=settings or OAuthSettings())
        self.authorizer = Authorizer(self.store, lambda: True, self.person.show, wait_timeout=20)

    async def sign_in(self, challenge: str = "", status: int = 401, rejected: str | None = None) -> Tokens:
        return await self.authorizer.reauthorize(
            "srv",
            self.remote,
            status=status,
            challenge=challenge,
            rejected=rejected,
            refresh=True,
            ask=True,
            announce=lambda _: None,
        )


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_sign_in_registers_asks_for_the_resource_and_keeps_the_tokens(
    tmp_path: Path, server: OAuthServer
) -> None:
    home = Home(tmp_path, server)
    tokens = await home.sign_in()
    last = server.report()["last"]
    assert last["registration"]["application_type"] == "native"
    assert last["authorization"]["resource"] == last["token"]["resource"] == server.url
    assert last["authorization"]["code_challenge_method"] == "S256"
    kept = await Home(tmp_path, server).authorizer.load("srv", home.remote)
    assert kept is not None
    assert (kept.access, kept.refresh) == (tokens.access, tokens.refresh)


async def test_a_second_sign_in_uses_the_registration_again(tmp_path: Path, server: OAuthServer) -> None:
    home = Home(tmp_path, server)
    tokens = await home.sign_in()
    server.set(revoke=True)
    again = await home.sign_in(rejected=tokens.authorization)
    assert again.access != tokens.access
    assert server.count("registrations") == 1
    assert server.count("token:authorization_code") == 2


async def test_a_refresh_rotates_and_keeps_the_new_refresh_token(tmp_path: Path, server: OAuthServer) -> None:
    home = Home(tmp_path, server)
    tokens = await home.sign_in()
    for _ in range(3):
        tokens = await home.authorizer.refresh("srv", home.remote, tokens.authorization)
    report = server.report()
    assert report["counts"]["token:refresh_token"] == 3
    assert report["last"]["token"]["resource"] == server.url
    assert "reuses" not in report["counts"]


async def test_tokens_that_are_good_are_not_renewed(tmp_path: Path, server: OAuthServer) -> None:
    home = Home(tmp_path, server)
    tokens = await home.sign_in()
    assert (await home.authorizer.refresh("srv", home.remote)).access == tokens.access
    assert server.count("token:refresh_token") == 0


async def test_a_client_id_metadata_document_is_used_where_it_is_accepted(
    tmp_path: Path, server: OAuthServer
) -> None:
    server.set(documents=True)
    url = "https://dmcp.example/client.json"
    await Home(tmp_path, server, OAuthSettings(client_metadata_url=url)).sign_in()
    report = server.report()
    assert report["last"]["token"]["client"] == url
    assert "registrations" not in report["counts"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
async def test_a_registered_client_authenticates_as_the_server_wants(
    tmp_path: Path, server: OAuthServer, method: str
) -> None:
    server.set(methods=[method])
    home = Home(tmp_path, server)
    tokens = await home.sign_in()
    assert server.report()["last"]["token"]["method"] == method
    await home.authorizer.refresh("srv", home.remote, tokens.authorization)
    assert server.report()["last"]["token"]["method"] == method


async def test_a_configured_client_is_used_and_its_secret_stays_out_of_the_store(
    tmp_path: Path, server: OAuthServer
) -> None:
    server.set(registration=False)
    home = Home(
        tmp_path,
        server,
        OAuthSettings(client_id="mine", client_secret="hush-hush", redirect_port=_free_port()),
    )
    tokens = await home.sign_in()
    await home.authorizer.refresh("srv", home.remote, tokens.authorization)
    token = server.report()["last"]["token"]
    assert (token["client"], token["method"]) == ("mine", "client_secret_basic")
    assert "hush-hush" not in (tmp_path / "srv.json").read_text()


async def test_a_machine_client_with_a_secret_needs_no_person(tmp_path: Path, server: OAuthServer) -> None:
    settings = OAuthSettings(client_id="m", client_secret="s", scopes=("a",), grant="client_credentials")
    home = Home(tmp_path, server, settings)
    tokens = await home.sign_in()
    again = await home.authorizer.refresh("srv", home.remote, tokens.authorization)
    assert again.access != tokens.access
    assert home.person.shown == []
    assert server.report()["last"]["token"]["scope"] == "a"
    assert server.count("token:client_credentials") == 2


async def test_a_machine_client_with_a_key_signs_for_the_issuer(tmp_path: Path, server: OAuthServer) -> None:
    from cryptography.hazmat.primitives import serialization as s  # noqa: PLC0415 - this test's own need
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - this test's own need

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()
    )
    key = tmp_path / "key.pem"
    key.write_bytes(pem)
    settings = OAuthSettings(client_id="m", private_key_file=str(key), grant="client_credentials")
    await Home(tmp_path, server, settings).sign_in()
    report = server.report()["last"]
    assert report["token"]["method"] == "private_key_jwt"
    assert (report["assertion"]["iss"], report["assertion"]["aud"]) == ("m", server.base)


async def test_scopes_come_from_the_challenge(tmp_path: Path, server: OAuthServer) -> None:
    server.set(scopes_supported=["all", "of", "it"])
    await Home(tmp_path, server).sign_in('Bearer scope="read"')
    assert server.report()["last"]["authorization"]["scope"] == "read"


async def test_without_a_challenge_scopes_come_from_the_metadata(tmp_path: Path, server: OAuthServer) -> None:
    server.set(scopes_supported=["all", "of"], server_scopes=["offline_access"])
    await Home(tmp_path, server).sign_in()
    assert server.report()["last"]["authorization"]["scope"] == "all of offline_access"


async def test_a_step_up_asks_for_the_union_of_scopes(tmp_path: Path, server: OAuthServer) -> None:
    home = Home(tmp_path, server)
    tokens = await home.sign_in('Bearer scope="read"')
    more = await home.sign_in('Bearer error="insufficient_scope", scope="write"', 403, tokens.authorization)
    assert set(more.scopes) == {"read", "write"}
    assert server.count("token:refresh_token") == 0


async def test_a_later_sign_in_asks_for_what_was_allowed_before_too(
    tmp_path: Path, server: OAuthServer
) -> None:
    home = Home(tmp_path, server)
    tokens = await home.sign_in('Bearer scope="read"')
    server.set(revoke=True)
    again = await home.sign_in('Bearer scope="write"', rejected=tokens.authorization)
    assert set(again.scopes) == {"read", "write"}


async def test_a_forbidden_request_without_a_scope_challenge_opens_no_browser(
    tmp_path: Path, server: OAuthServer
) -> None:
    home = Home(tmp_path, server)
    with pytest.raises(AuthError, match="403"):
        await home.sign_in("Bearer", 403)
    assert home.person.shown == []


async def test_an_issuer_with_a_path_is_found(tmp_path: Path, server: OAuthServer) -> None:
    server.set(issuer_path="/tenant")
    await Home(tmp_path, server).sign_in()
    assert json.loads((tmp_path / "srv.json").read_text())["entries"][0]["issuer"] == f"{server.base}/tenant"


async def test_a_server_of_2025_03_without_any_metadata_is_signed_in_to(
    tmp_path: Path, server: OAuthServer
) -> None:
    server.set(protected_metadata=False, server_metadata="absent")
    tokens = await Home(tmp_path, server).sign_in()
    assert tokens.refresh is not None


async def test_a_new_issuer_gets_a_registration_of_its_own(tmp_path: Path, server: OAuthServer) -> None:
    home = Home(tmp_path, server)
    tokens = await home.sign_in()
    server.set(issuer_path="/moved", revoke=True)
    await home.sign_in(rejected=tokens.authorization)
    assert server.count("registrations") == 2


async def test_a_configured_client_is_never_shown_to_another_issuer(
    tmp_path: Path, server: OAuthServer
) -> None:
    home = Home(tmp_path, server, OAuthSettings(client_id="mine"))
    tokens = await home.sign_in()
    server.set(issuer_path="/moved", revoke=True)
    with pytest.raises(AuthError, match="dmcp auth logout srv"):
        await home.sign_in(rejected=tokens.authorization)
    assert len(home.person.shown) == 1


async def test_tokens_of_another_address_are_not_used_for_this_one(
    tmp_path: Path, server: OAuthServer
) -> None:
    home = Home(tmp_path, server)
    await home.sign_in()
    assert (
        await home.authorizer.load("srv", RemoteServer(server.url.replace("127.0.0.1", "localhost"))) is None
    )


async def test_the_predecessors_sign_in_is_renewed_with_the_configured_client(
    tmp_path: Path, server: OAuthServer
) -> None:
    settings = OAuthSettings(client_id="mine")
    first = await Home(tmp_path / "a", server, settings).sign_in()
    old = {
        "access_token": first.access,
        "refresh_token": first.refresh,
        "expires_at": "2026-01-01T00:00:00.5Z",
    }
    (tmp_path / "srv.json").write_text(json.dumps(old))
    home = Home(tmp_path, server, settings)
    assert await home.authorizer.adopt("srv", home.remote)
    assert (await home.authorizer.refresh("srv", home.remote)).access != first.access
    assert json.loads((tmp_path / "srv.json").read_text())["version"] == 1


async def test_the_predecessors_sign_in_without_a_client_id_needs_a_new_one(
    tmp_path: Path, server: OAuthServer
) -> None:
    old = {"access_token": "at", "refresh_token": "rt", "expires_at": "2026-01-01T00:00:00Z"}
    (tmp_path / "srv.json").write_text(json.dumps(old))
    home = Home(tmp_path, server)
    with pytest.raises(SignInNeeded):
        await home.authorizer.refresh("srv", home.remote)


async def test_a_sign_in_made_elsewhere_meanwhile_is_used(tmp_path: Path, server: OAuthServer) -> None:
    one, two = Home(tmp_path, server), Home(tmp_path, server)
    tokens = await one.sign_in()
    assert (await two.sign_in()).access == tokens.access
    assert two.person.shown == []


async def test_a_knock_without_credentials_hears_the_challenge(tmp_path: Path, server: OAuthServer) -> None:
    server.set(challenge_scope="read")
    challenge = await Home(tmp_path, server).authorizer.challenge_of(RemoteServer(server.url))
    assert challenge == Challenge(f"{server.base}/.well-known/oauth-protected-resource/mcp", ("read",), None)


async def test_signing_out_forgets_everything(tmp_path: Path, server: OAuthServer) -> None:
    home = Home(tmp_path, server)
    await home.sign_in()
    assert await home.authorizer.sign_out("srv")
    assert not await home.authorizer.sign_out("srv")
    assert await home.authorizer.load("srv", home.remote) is None
