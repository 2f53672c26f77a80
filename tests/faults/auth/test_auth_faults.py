"""What can go wrong between dmcp, a person and an authorization server, and that it ends well each time."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from dmcp.auth import flow
from dmcp.auth.authorizer import Authorizer
from dmcp.auth.challenge import Challenge
from dmcp.auth.store import FileStore
from dmcp.config.model import OAuthSettings, RemoteServer
from dmcp.errors import AuthError, AuthUnavailable, SignInNeeded
from servers.oauth_process import OAuthServer, Person, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dmcp.auth.record import Entry
    from dmcp.auth.tokens import Tokens
    from dmcp.auth.web import AuthHttpClient

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with running() as server:
        yield server


class Home:
    def __init__(
        self, folder: Path, server: OAuthServer, wait_timeout: float = 20, **settings: object
    ) -> None:
        self.person = Person()
        self.store = FileStore(folder)
        self.remote = RemoteServer(server.url, oauth=OAuthSettings(**settings))  # type: ignore[arg-type]  # by name
        self._wait_timeout = wait_timeout
        self.request_within(20.0)  # seconds; far beyond what a busy machine needs

    def request_within(self, seconds: float) -> None:
        """Give each request from now on so many seconds, for a server that does not answer."""
        self.authorizer = Authorizer(
            self.store, lambda: True, self.person.show, self._wait_timeout, request_time=seconds
        )

    async def reauthorize(
        self, *, challenge: str = "", rejected: str | None = None, ask: bool = True
    ) -> Tokens:
        return await self.authorizer.reauthorize(
            "srv",
            self.remote,
            status=401,
            challenge=challenge,
            rejected=rejected,
            refresh=True,
            ask=ask,
            announce=lambda _: None,
        )

    async def kept(self) -> Tokens | None:
        return await self.authorizer.load("srv", self.remote)


@pytest.mark.parametrize("fault", ["500", "garbage", "slow", "html"])
async def test_a_token_endpoint_in_trouble_costs_no_tokens_and_mends_itself(
    tmp_path: Path, server: OAuthServer, fault: str
) -> None:
    home = Home(tmp_path, server)
    tokens = await home.reauthorize()
    server.set(token=fault)
    home.request_within(2.0)
    with pytest.raises(AuthUnavailable, match=server.base):
        await home.authorizer.refresh("srv", home.remote, tokens.authorization)
    kept = await home.kept()
    assert kept is not None
    assert kept.refresh == tokens.refresh
    server.set(token="")
    home.request_within(20.0)
    assert (await home.authorizer.refresh("srv", home.remote, tokens.authorization)).access != tokens.access
    assert server.count("reuses") == 0


@pytest.mark.parametrize(
    "code", ["invalid_request", "temporarily_unavailable", "unauthorized_client", "invalid_client"]
)
async def test_a_refused_refresh_keeps_the_tokens_whatever_the_code(
    tmp_path: Path, server: OAuthServer, code: str
) -> None:
    home = Home(tmp_path, server)
    tokens = await home.reauthorize()
    server.set(token=code)
    with pytest.raises(AuthError):
        await home.authorizer.refresh("srv", home.remote, tokens.authorization)
    assert await home.kept() is not None


async def test_a_revoked_refresh_token_is_dropped_and_a_sign_in_is_needed(
    tmp_path: Path, server: OAuthServer
) -> None:
    home = Home(tmp_path, server)
    tokens = await home.reauthorize()
    server.set(revoke=True)
    with pytest.raises(SignInNeeded, match="dmcp auth login srv"):
        await home.reauthorize(rejected=tokens.authorization, ask=False)
    assert await home.kept() is None
    assert (await home.reauthorize()).access != tokens.access
    assert server.count("registrations") == 1


async def test_an_authorization_server_that_forgot_the_client_gets_a_new_registration(
    tmp_path: Path, server: OAuthServer
) -> None:
    home = Home(tmp_path, server)
    tokens = await home.reauthorize()
    server.set(token="invalid_client")
    with pytest.raises(SignInNeeded):
        await home.authorizer.refresh("srv", home.remote, tokens.authorization)
    server.set(token="")
    await home.authorizer.sign_in(
        "srv", home.remote, wanted=Challenge(), rejected=tokens.authorization, announce=lambda _: None
    )
    assert server.count("registrations") == 2


async def test_without_a_person_the_error_names_the_command_and_no_browser_opens(
    tmp_path: Path, server: OAuthServer
) -> None:
    home = Home(tmp_path, server)
    with pytest.raises(SignInNeeded, match="run `dmcp auth login srv`"):
        await home.reauthorize(ask=False)
    assert home.person.shown == []


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"server_metadata": "500"}, "HTTP status 500"),
        ({"server_metadata": "slow"}, "did not answer"),
        ({"server_metadata": "huge"}, "more than"),
        ({"server_metadata": "garbage"}, "publishes no metadata"),
        ({"server_metadata": "absent"}, "publishes no metadata"),
        ({"server_metadata": "elsewhere"}, "publishes no metadata"),
        ({"claimed_issuer": "https://attacker.example"}, "is another one's"),
        ({"s256": False}, "PKCE"),
        ({"resource": "https://other.example/mcp"}, "for another server"),
        ({"resource": "/mcp/deeper"}, "for another server"),
        ({"iss": "wrong"}, "may be an attack"),
        ({"iss": "promised and absent"}, "may be an attack"),
        ({"refuse": "access_denied"}, "refused in the browser"),
        ({"refuse": "server_error"}, "because the test says so"),
        ({"token": "invalid_grant"}, "invalid_grant"),
        ({"token": "html"}, "no JSON"),
        ({"token_endpoint": "http://127.0.0.1:1/token"}, "127.0.0.1:1 cannot be reached"),
        ({"registration": False}, r"oauth\.client_id"),
    ],
)
async def test_a_sign_in_that_cannot_be_trusted_or_done_keeps_nothing_and_says_why(
    tmp_path: Path, server: OAuthServer, settings: dict[str, object], text: str
) -> None:
    server.set(**settings)
    home = Home(tmp_path, server)
    if "slow" in settings.values():
        home.request_within(2.0)
    with pytest.raises(AuthError, match=text):
        await home.reauthorize()
    assert await home.kept() is None


async def test_discovery_goes_on_after_a_place_that_does_not_answer(
    tmp_path: Path, server: OAuthServer
) -> None:
    server.set(metadata_slow=["/.well-known/oauth-authorization-server"])
    home = Home(tmp_path, server)
    home.request_within(3.0)
    assert (await home.reauthorize()).access


@pytest.mark.parametrize(
    "named", ["http://attacker.example/meta", "http://169.254.169.254/latest", "file:///etc/passwd"]
)
async def test_metadata_is_not_fetched_from_where_it_may_not_come(
    tmp_path: Path, server: OAuthServer, named: str
) -> None:
    with pytest.raises(AuthError, match="not HTTPS"):
        await Home(tmp_path, server).reauthorize(challenge=f'Bearer resource_metadata="{named}"')


async def test_metadata_on_another_origin_for_another_server_is_not_used(
    tmp_path: Path, server: OAuthServer
) -> None:
    with running() as other:
        named = f'Bearer resource_metadata="{other.base}/.well-known/oauth-protected-resource/mcp"'
        with pytest.raises(AuthError, match="for another server"):
            await Home(tmp_path, server).reauthorize(challenge=named)
        assert other.count("server_metadata") == 0


async def test_a_callback_with_a_wrong_state_is_turned_away_and_the_right_one_still_works(
    tmp_path: Path, server: OAuthServer
) -> None:
    server.set(stray_state=True)
    assert (await Home(tmp_path, server).reauthorize()).access
    assert " 400 " in server.report()["last"]["stray_answer"]


async def test_nobody_signing_in_ends_in_time_and_frees_the_port(tmp_path: Path, server: OAuthServer) -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = Home(tmp_path, server, wait_timeout=0.2, redirect_port=port)
    home.person.willing = False
    with pytest.raises(SignInNeeded, match="nobody signed in"):
        await home.reauthorize()
    again = Home(tmp_path, server, redirect_port=port)
    assert (await again.reauthorize()).access


async def test_a_configured_port_that_is_taken_is_named(tmp_path: Path, server: OAuthServer) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AuthError, match=rf"port {port} .*oauth\.redirect_port"):
            await Home(tmp_path, server, redirect_port=port).reauthorize()


async def test_a_registered_port_that_is_taken_leads_to_a_new_registration(
    tmp_path: Path, server: OAuthServer
) -> None:
    home = Home(tmp_path, server)
    tokens = await home.reauthorize()
    port = int(server.report()["last"]["authorization"]["redirect_uri"].split(":")[2].split("/")[0])
    server.set(revoke=True)
    with closing(socket.socket()) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        await home.reauthorize(rejected=tokens.authorization)
    assert server.count("registrations") == 2


async def test_a_server_that_is_down_is_told_and_no_browser_opens(tmp_path: Path) -> None:
    with running() as server:
        home = Home(tmp_path, server)
    with pytest.raises(AuthUnavailable, match="cannot be reached"):
        await home.reauthorize()
    assert home.person.shown == []


async def test_a_token_endpoint_that_is_down_costs_no_tokens(tmp_path: Path) -> None:
    with running() as server:
        home = Home(tmp_path, server)
        tokens = await home.reauthorize()
    with pytest.raises(AuthUnavailable, match=f"{server.base} cannot be reached"):
        await home.authorizer.refresh("srv", home.remote, tokens.authorization)
    kept = await home.kept()
    assert kept is not None
    assert kept.refresh == tokens.refresh


async def test_a_caller_cancelled_in_the_middle_of_a_rotation_loses_no_token(
    tmp_path: Path, server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path, server)
    tokens = await home.reauthorize()
    refresh = flow.refresh

    async def refresh_and_cancel_the_caller(
        web: AuthHttpClient, entry: Entry, settings: OAuthSettings
    ) -> Tokens:
        got = await refresh(web, entry, settings)
        rotating.cancel()  # the new refresh token is known to nobody but this frame now
        await asyncio.sleep(0)
        return got

    monkeypatch.setattr(flow, "refresh", refresh_and_cancel_the_caller)
    rotating = asyncio.create_task(home.authorizer.refresh("srv", home.remote, tokens.authorization))
    with pytest.raises(asyncio.CancelledError):
        await rotating
    monkeypatch.setattr(flow, "refresh", refresh)
    kept = await home.kept()
    assert kept is not None
    assert kept.access != tokens.access
    assert (await home.authorizer.refresh("srv", home.remote, kept.authorization)).access
    assert server.count("reuses") == 0


async def test_a_clock_that_was_wrong_when_tokens_came_makes_them_renewed(
    tmp_path: Path, server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, now = Home(tmp_path, server), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86400)
    tokens = await home.reauthorize()
    monkeypatch.setattr(time, "time", lambda: now)
    assert (await home.authorizer.refresh("srv", home.remote)).access != tokens.access
