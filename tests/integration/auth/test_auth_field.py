"""Authorization servers as people met them: odd in ways that harm nobody, which a whole dmcp puts up with."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from harness import RpcError
from security.auth_home import SIGNED_IN, Home, told, whoami
from servers.oauth_process import OAuthServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(no_process_is_left_behind: None) -> Iterator[OAuthServer]:
    with running() as server:
        yield server


def signs_in(home: Home) -> str:
    """Sign in with the command; what it said."""
    done = home.run("auth", "login", "far")
    assert done.returncode == 0, told(done)
    return told(done)


def fails(home: Home) -> str:
    """Fail to sign in with the command; what it said."""
    done = home.run("auth", "login", "far")
    assert done.returncode == 1, told(done)
    return told(done)


def asked(server: OAuthServer) -> dict[str, str]:
    """The last authorization request."""
    query: dict[str, str] = server.report()["last"]["authorization"]
    return query


# Issuers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["metadata", "protected metadata", "iss", "configuration"])
def test_a_final_slash_makes_no_other_issuer(server: OAuthServer, tmp_path: Path, place: str) -> None:
    oauth: dict[str, Any] = {}
    if place == "metadata":
        server.set(metadata={"issuer": f"{server.base}/"})
    elif place == "protected metadata":
        server.set(protected={"authorization_servers": [f"{server.base}/"]})
    elif place == "iss":
        server.set(iss="slash")
    else:
        oauth = {"issuer": f"{server.base}/", "client_id": "mine"}
    home = Home(tmp_path, server, **oauth)
    signs_in(home)
    server.set(metadata={"issuer": server.base}, iss="right")
    signs_in(home)
    assert server.count("registrations") == (0 if oauth else 1)


@pytest.mark.parametrize("claimed", ["BASE/tenant", "BASE//", "https://127.0.0.1", "http://localhost"])
def test_anything_else_is_another_issuer(server: OAuthServer, tmp_path: Path, claimed: str) -> None:
    server.set(metadata={"issuer": claimed.replace("BASE", server.base)})
    assert "is another one's" in fails(Home(tmp_path, server))
    assert server.count("authorizations") == 0


# Where the browser returns to -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_address_the_browser_returns_to_can_be_fixed(
    server: OAuthServer, tmp_path: Path, host: str
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    home = Home(
        tmp_path,
        server,
        client_id="mine",
        redirect_host=host,
        redirect_port=port,
        redirect_path="/slack/done",
    )
    signs_in(home)
    assert asked(server)["redirect_uri"] == f"http://{host}:{port}/slack/done"


# `resource` -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("setting", "sent"), [(False, None), ("api://mine", "api://mine"), (True, "URL")])
def test_the_resource_parameter_is_as_configured(
    server: OAuthServer, tmp_path: Path, setting: bool | str, sent: str | None
) -> None:
    signs_in(Home(tmp_path, server, resource=setting))
    expected = server.url if sent == "URL" else sent
    assert asked(server).get("resource") == expected
    assert server.report()["last"]["token"].get("resource") == expected


_ENTRA = (
    "AADSTS9010010: The resource parameter provided in the request doesn't match with the requested scopes."
)


@pytest.mark.parametrize(
    "refusal",
    [
        {"error": "invalid_target"},
        {"error": "invalid_target", "at_page": True},
        {"error": "invalid_request", "error_description": _ENTRA},
        {"error": "invalid_request", "error_description": "AADSTS901002: not supported.", "at_page": True},
    ],
)
def test_a_server_that_does_not_want_the_resource_is_asked_once_more_without_and_that_is_remembered(
    server: OAuthServer, tmp_path: Path, refusal: dict[str, Any]
) -> None:
    home = Home(tmp_path, server)
    server.set(unwanted=["resource"], unwanted_error=refusal)
    assert "without `resource`" in signs_in(home)
    assert "resource" not in asked(server)
    assert server.count("authorizations") == 2
    assert "without `resource`" not in signs_in(home)
    assert server.count("authorizations") == 3
    assert server.count("registrations") == 1


def test_a_resource_the_person_insists_on_is_not_left_out(server: OAuthServer, tmp_path: Path) -> None:
    server.set(unwanted=["resource"])
    assert "invalid_target" in fails(Home(tmp_path, server, resource=True))
    assert server.count("authorizations") == 1


async def test_a_renewal_without_the_resource_works_as_well(server: OAuthServer, tmp_path: Path) -> None:
    home = Home(tmp_path, server)
    signs_in(home)
    server.set(unwanted=["resource"], expire_access=True)
    async with home.client() as client:
        await client.initialize()
        assert await whoami(client) == SIGNED_IN
    assert server.count("authorizations") == 1
    assert json.loads(home.kept.read_text())["entries"][0]["audience"] == ""


# Discovery ------------------------------------------------------------------------------------------------------------

_OAUTH, _OIDC = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 429, 500, 502, 503])
def test_discovery_goes_on_whatever_the_status(server: OAuthServer, tmp_path: Path, status: int) -> None:
    server.set(metadata_status={_OAUTH: status})
    signs_in(Home(tmp_path, server))


def test_discovery_goes_on_after_a_page_that_is_no_metadata(server: OAuthServer, tmp_path: Path) -> None:
    server.set(metadata_pages=[_OAUTH])
    signs_in(Home(tmp_path, server))


def test_only_when_all_fail_it_is_an_error_that_names_each(server: OAuthServer, tmp_path: Path) -> None:
    server.set(metadata_status={_OAUTH: 500}, metadata_pages=[_OIDC])
    text = fails(Home(tmp_path, server))
    assert f"{server.base}{_OAUTH}: {server.base} answered with HTTP status 500" in text
    assert f"{server.base}{_OIDC}: what is there is no metadata" in text


# Dead refresh tokens --------------------------------------------------------------------------------------------------


def _answer(body: str, status: int = 400, kind: str = "application/json") -> dict[str, Any]:
    return {"refresh_token": {"body": body, "status": status, "type": kind}}


@pytest.mark.parametrize(
    "answer",
    [
        _answer('{"error": "invalid_grant"}'),
        _answer('{"error": "invalid_request"}'),
        _answer('{"error": "bad_refresh_token"}', 200),
        _answer("error=bad_refresh_token&error_description=x", 200, "application/x-www-form-urlencoded"),
        _answer('{"ok": false, "error": "token_revoked"}', 200),
        _answer("", 401),
        _answer('{"message": "Refresh token has EXPIRED"}'),
        _answer('{"error": {"code": "x", "message": "revoked"}}'),
        _answer("the refresh token is invalid", 400, "text/plain"),
    ],
)
async def test_a_refresh_token_that_is_dead_in_other_words_leads_to_a_sign_in_at_the_next_use(
    server: OAuthServer, tmp_path: Path, answer: dict[str, Any]
) -> None:
    home = Home(tmp_path, server)
    signs_in(home)
    server.set(expire_access=True, token_answers=answer)
    async with home.client() as client:
        await client.initialize()
        assert await whoami(client) == SIGNED_IN
        assert await whoami(client) == SIGNED_IN
    assert server.count("authorizations") == 2


@pytest.mark.parametrize(
    "answer",
    [
        _answer('{"error": "temporarily_unavailable"}'),
        _answer('{"error": "slow_down"}', 200),
        _answer("", 429),
        _answer("", 502),
        _answer("", 404),
        _answer("<html>the hotel's page</html>", 403, "text/html"),
    ],
)
async def test_a_failure_that_may_pass_is_not_taken_for_a_dead_refresh_token(
    server: OAuthServer, tmp_path: Path, answer: dict[str, Any]
) -> None:
    home = Home(tmp_path, server)
    signs_in(home)
    before = home.kept.read_text()
    server.set(expire_access=True, token_answers=answer)
    async with home.client() as client:
        await client.initialize()
        with pytest.raises(RpcError, match=server.base):
            await whoami(client)
    assert server.count("authorizations") == 1
    assert home.kept.read_text() == before


# Token answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"granted": {"token_type": None}},
        {"granted": {"token_type": "user"}},
        {"granted": {"token_type": "BEARER"}},
        {"token_shape": "form"},
        {"token_shape": "authed_user"},
        {"granted": {"expires_in": "3600"}},
        {"granted": {"expires_in": 0}},
        {"granted": {"expires_in": -1}},
        {"granted": {"expires_in": "-3600"}},
        {"granted": {"scope": "a,b"}},
    ],
)
async def test_token_answers_are_taken_as_they_come_and_no_lifetime_is_a_loop(
    server: OAuthServer, tmp_path: Path, settings: dict[str, Any]
) -> None:
    server.set(**settings)
    home = Home(tmp_path, server)
    async with home.client() as client:
        await client.initialize()
        for _ in range(10):
            assert await whoami(client) == SIGNED_IN
        server.set(expire_access=True)
        assert await whoami(client) == SIGNED_IN
    counts = server.report()["counts"]
    assert (counts["authorizations"], counts["token:refresh_token"]) == (1, 1)


def test_an_error_with_a_status_of_success_is_an_error(server: OAuthServer, tmp_path: Path) -> None:
    body = '{"error": "incorrect_client_credentials", "error_description": "The client_id is wrong"}'
    server.set(token_answers={"authorization_code": {"body": body, "status": 200}})
    assert "incorrect_client_credentials: The client_id is wrong" in fails(Home(tmp_path, server))


# Challenges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "challenge",
    [
        ["Bearer resource_metadata=ADDRESS"],
        ["Bearer resource_metadata='ADDRESS', error='invalid_token'"],
        ['Negotiate YWJj==, Basic realm="x, y", Bearer resource_metadata="ADDRESS"'],
        ['Basic realm="x"', 'Bearer error="invalid_token", resource_metadata="ADDRESS"'],
        ["Bearer", "bearer RESOURCE_METADATA=ADDRESS"],
    ],
)
async def test_challenges_are_read_as_they_come(
    server: OAuthServer, tmp_path: Path, challenge: list[str]
) -> None:
    server.set(challenge=challenge)
    home = Home(tmp_path, server)
    async with home.client() as client:
        await client.initialize()
        assert await whoami(client) == SIGNED_IN


# Scopes ---------------------------------------------------------------------------------------------------------------


def test_offline_access_that_is_offered_and_refused_is_left_out(server: OAuthServer, tmp_path: Path) -> None:
    server.set(server_scopes=["offline_access"], scopes_supported=["read"], unwanted=["offline_access"])
    assert "without the scope offline_access" in signs_in(Home(tmp_path, server))
    assert asked(server)["scope"] == "read"
    assert server.count("authorizations") == 2
    signs_in(Home(tmp_path, server))  # which is remembered
    assert server.count("authorizations") == 3


def test_scopes_the_person_configured_are_sent_as_they_are(server: OAuthServer, tmp_path: Path) -> None:
    server.set(server_scopes=["offline_access"], scopes_supported=["read"])
    signs_in(Home(tmp_path, server, scopes=["mine", "yours"]))
    assert asked(server)["scope"] == "mine yours"
    server.set(unwanted=["offline_access"])
    home = Home(tmp_path, server, scopes=["mine", "offline_access"])
    assert "invalid_scope" in fails(home)
    assert server.count("authorizations") == 2


# Registrations the server has forgotten -------------------------------------------------------------------------------


def test_a_registration_the_page_does_not_know_any_more_is_made_anew_by_another_process(
    server: OAuthServer, tmp_path: Path
) -> None:
    home = Home(tmp_path, server)
    signs_in(home)
    server.set(forget_clients=True, pruned=True)
    login = subprocess.Popen(
        [sys.executable, "-m", "dmcp", "auth", "login", str(home.config), "far"],
        env={**home.env, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while server.count("authorizations") < 2 and time.monotonic() < deadline:
            assert login.poll() is None
        login.send_signal(signal.SIGINT)  # the person sees an error page, and gives up
        login.wait(20)
    finally:
        login.kill()
        login.wait(20)
    signs_in(home)
    assert server.count("registrations") == 2


@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client"])
async def test_a_registration_the_token_endpoint_does_not_know_any_more_is_made_anew(
    server: OAuthServer, tmp_path: Path, code: str
) -> None:
    home = Home(tmp_path, server)
    signs_in(home)
    server.set(expire_access=True, token_answers=_answer(json.dumps({"error": code}), 401))
    async with home.client() as client:
        await client.initialize()
        assert await whoami(client) == SIGNED_IN
    assert (server.count("registrations"), server.count("authorizations")) == (2, 2)


def test_a_person_who_says_no_costs_no_registration(server: OAuthServer, tmp_path: Path) -> None:
    home = Home(tmp_path, server)
    signs_in(home)
    server.set(refuse="access_denied")
    assert "refused in the browser" in fails(home)
    server.set(refuse=None)
    signs_in(home)
    assert server.count("registrations") == 1


# PKCE -----------------------------------------------------------------------------------------------------------------


def test_a_server_that_says_nothing_of_pkce_is_signed_in_to_when_the_person_says_so(
    server: OAuthServer, tmp_path: Path
) -> None:
    server.set(s256=False)
    assert "`oauth.assume_pkce`" in fails(Home(tmp_path, server))
    assert server.count("authorizations") == 0
    signs_in(Home(tmp_path, server, assume_pkce=True))
    assert asked(server)["code_challenge_method"] == "S256"
    server.set(metadata={"code_challenge_methods_supported": ["plain"]})
    assert "does not offer PKCE with S256" in fails(Home(tmp_path, server, assume_pkce=True))


# A configured key -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
async def test_a_configured_key_that_is_refused_is_said_as_such_and_never_replaced(
    server: OAuthServer, tmp_path: Path, name: str
) -> None:
    home = Home(tmp_path, server)
    signs_in(home)  # there is a token, which is not what the person configured
    before = server.report()["counts"]
    home.configure(server, headers={name: "Bearer stale-key"})
    async with home.client() as client:
        await client.initialize()
        with pytest.raises(
            RpcError, match="refuses the Authorization header of its configuration \\(HTTP 401\\)"
        ):
            await whoami(client)
        assert server.report()["last"]["header"] == "Bearer stale-key"
        assert "stale-key" not in client.stderr
    counts = server.report()["counts"]
    for what in ("authorizations", "registrations", "protected_metadata", "server_metadata"):
        assert counts.get(what) == before.get(what)
    login = home.run("auth", "login", "far")
    assert login.returncode == 2
    assert "Authorization header" in told(login)
