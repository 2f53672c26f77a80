"""What every request carries, and the answers that mean "not so": sessions, credentials, redirects, waiting."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
import trustme

from contract.owner import Owner
from dmcp.config.model import RemoteServer
from dmcp.errors import AuthError, LinkRefused
from dmcp.protocol.link import FaultKind
from dmcp.upstream.remote import remote_opener
from servers.raw_http import SESSION, Peer, RawServer, Request, raw_server

if TYPE_CHECKING:
    from pathlib import Path

    from faults.http.conftest import Connect, Session
    from servers.raw_http import Reaction

pytestmark = pytest.mark.anyio


def status(code: int, body: bytes = b"", **headers: str) -> Reaction:
    """A reaction with this status."""

    async def react(peer: Peer, request: Request) -> None:
        await peer.body(body, code, **headers)

    return react


async def well(peer: Peer, request: Request) -> None:
    """A reaction with an answer."""
    await peer.result(request, "well")


class Tokens:
    """Credentials that hand out one token after the other."""

    needed = True

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.challenges: list[tuple[int, str, str | None]] = []

    async def authorization(self) -> str | None:
        return f"Bearer {self._tokens[0]}" if self._tokens[0] else None

    async def challenged(self, status: int, challenge: str, rejected: str | None) -> str:
        self.challenges.append((status, challenge, rejected))
        if len(self._tokens) == 1:
            raise AuthError("sign in with `dmcp auth login x`")
        self._tokens.pop(0)
        return f"Bearer {self._tokens[0]}"

    def accepted(self, authorization: str) -> None:
        self.taken = authorization


async def test_session_revision_and_configured_headers_go_with_every_request(
    server: RawServer, connect: Connect
) -> None:
    owner = await connect(server.url, X_Team="blue", MCP_Session_Id="not to be set")
    await owner.establish("2025-06-18")
    await owner.answer(owner.ask("ping"))
    await server.arrived("GET")
    assert owner.link is not None
    await owner.link.aclose(2.0)
    first, *later = server.requests
    assert "mcp-session-id" not in first.headers
    assert "mcp-protocol-version" not in first.headers
    assert {request.headers["mcp-session-id"] for request in later} == {SESSION}
    assert {request.headers["mcp-protocol-version"] for request in later} == {"2025-06-18"}
    assert {request.headers["x-team"] for request in server.requests} == {"blue"}
    assert later[-1].method == "DELETE"
    assert all("text/event-stream" in request.headers["accept"] for request in server.requests)


async def test_no_request_overtakes_what_ends_the_opening(server: RawServer, connect: Connect) -> None:
    gate = asyncio.Event()

    async def slow(peer: Peer, request: Request) -> None:
        await gate.wait()
        await peer.body(b"", 202)

    server.on("notifications/initialized", slow)
    owner, other = await connect(server.url), await connect(server.url)
    await owner.establish()
    calls = {owner.call("x") for _ in range(3)}
    await server.arrived("notifications/initialized")
    # By the time another link has had ten answers, these calls would long have arrived.
    for _ in range(10):
        await other.answer(other.ask("ping"))
    assert "tools/call" not in {request.message.get("method") for request in server.requests}
    gate.set()
    assert {(await owner.hear())[1]["id"] for _ in range(3)} == calls


async def test_notifications_arrive_in_order(server: RawServer, connect: Connect) -> None:
    owner = await connect(server.url)
    await owner.establish()
    names = [f"notifications/{number}" for number in range(20)]
    for name in names:
        owner.notify(name)
    await server.arrived(names[-1])
    arrived = [request.message.get("method") for request in server.requests]
    assert [name for name in arrived if name in names] == names


async def test_what_is_not_sent_yet_counts_as_backlog(session: Session) -> None:
    gate = asyncio.Event()

    async def slow(peer: Peer, request: Request) -> None:
        await gate.wait()
        await peer.result(request, "done")

    owner = await session(slow)
    await owner.answer(owner.ask("ping"))
    assert owner.link is not None
    assert owner.link.backlog == 0
    call = owner.call("x", text="y" * 1000)
    assert owner.link.backlog > 1000
    gate.set()
    await owner.answer(call)
    assert owner.link.backlog == 0


async def test_connections_are_used_again(server: RawServer, connect: Connect) -> None:
    owner = await connect(server.url)
    await owner.establish()
    for _ in range(20):
        await owner.answer(owner.ask("ping"))
    assert server.connections <= 3  # the opening notification, the GET and the calls may go side by side


async def test_two_links_to_one_origin_share_its_connections(server: RawServer, connect: Connect) -> None:
    for _ in range(2):
        owner = await connect(server.url)
        for _ in range(5):
            await owner.answer(owner.ask("ping"))
    assert server.connections == 1


async def test_a_forgotten_session_fails_calls_as_not_run_and_closes_the_link_once(
    server: RawServer, connect: Connect
) -> None:
    owner = await connect(server.url)
    await owner.establish()
    server.on("tools/call", status(404))
    calls = {owner.call("x") for _ in range(5)}
    said = [await owner.hear() for _ in range(6)]
    assert {content[0] for what, content in said[:5] if what == "failed"} == calls
    assert {(c[1].kind, c[1].may_have_run) for _, c in said[:5]} == {(FaultKind.SESSION_LOST, False)}
    assert said[5][0] == "closed"
    assert said[5][1].kind is FaultKind.SESSION_LOST
    assert owner.link is not None
    await owner.link.aclose(2.0)
    assert owner.unheard == []
    assert "DELETE" not in {request.method for request in server.requests}


async def test_calls_of_a_forgotten_session_may_hear_so_themselves_before_the_link_closes(
    server: RawServer, connect: Connect
) -> None:
    gate = asyncio.Event()

    async def late(peer: Peer, request: Request) -> None:
        await gate.wait()
        await peer.body(b"", 404)

    owner = await connect(server.url)
    await owner.establish()
    server.on("tools/call", late)
    slow = owner.call("x")
    await server.arrived("tools/call")
    server.on("tools/call", status(404))
    await owner.failure(owner.call("x"))
    gate.set()
    fault = await owner.failure(slow)
    assert (fault.kind, fault.may_have_run) == (FaultKind.SESSION_LOST, False)
    await owner.closing()


async def test_a_call_that_hangs_does_not_keep_a_link_without_session_open(
    server: RawServer, connect: Connect
) -> None:
    async def hang(peer: Peer, request: Request) -> None:
        await peer.closed()

    owner = await connect(server.url)
    await owner.establish()
    server.on("tools/call", hang)
    owner.call("x")
    await server.arrived("tools/call")
    server.on("tools/call", status(404))
    await owner.failure(owner.call("x"))
    fault = await owner.closing()
    assert (fault.kind, fault.may_have_run) == (FaultKind.SESSION_LOST, True)


async def test_256_calls_at_once_are_all_answered(server: RawServer, connect: Connect) -> None:
    owner = await connect(server.url)
    await owner.establish()
    calls = {owner.call("x", number=number) for number in range(256)}
    answered = {(await owner.hear())[1]["id"] for _ in range(256)}
    assert answered == calls


async def test_a_404_without_a_session_refuses_the_request_only(server: RawServer, connect: Connect) -> None:
    server.on("initialize", status(404, b'{"error":"no such page"}', content_type="application/json"))
    owner = await connect(server.url)
    fault = await owner.failure(owner.ask("initialize"))
    assert (fault.kind, fault.may_have_run) == (FaultKind.REJECTED, False)
    assert "no such page" in fault.reason


async def test_an_error_answer_with_a_status_of_refusal_is_still_the_answer(
    server: RawServer, connect: Connect
) -> None:
    async def refuse(peer: Peer, request: Request) -> None:
        body = b'{"jsonrpc":"2.0","id":%d,"error":{"code":-32602,"message":"no"}}' % request.message["id"]
        await peer.body(body, 400, content_type="application/json")

    owner = await connect(server.url)
    await owner.establish()
    server.on("tools/call", refuse)
    owner.call("x")
    assert (await owner.hear())[1]["error"]["code"] == -32602


@pytest.mark.parametrize(
    ("code", "kind", "may_have_run"),
    [
        (400, FaultKind.REJECTED, False),
        (429, FaultKind.REJECTED, False),
        (500, FaultKind.UNREACHABLE, True),
        (503, FaultKind.UNREACHABLE, True),
    ],
)
async def test_a_status_of_failure_says_whether_the_call_may_have_run(
    server: RawServer, connect: Connect, code: int, kind: FaultKind, may_have_run: bool
) -> None:
    owner = await connect(server.url)
    await owner.establish()
    server.on("tools/call", status(code, b"<html>secret</html>", content_type="text/html"))
    fault = await owner.failure(owner.call("x"))
    assert (fault.kind, fault.may_have_run) == (kind, may_have_run)
    assert fault.reason == f"answered HTTP {code}"


@pytest.mark.parametrize("code", [429, 503])
async def test_a_busy_server_is_asked_again_when_it_says_so(
    server: RawServer, connect: Connect, code: int
) -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    server.on("tools/call", status(code, retry_after="0"), status(code, retry_after=past), well)
    owner = await connect(server.url)
    await owner.establish()
    assert await owner.answer(owner.call("x")) == "well"


async def test_waiting_for_a_busy_server_ends_when_the_owner_abandons_the_call(
    server: RawServer, connect: Connect
) -> None:
    server.on("tools/call", status(429, retry_after="3600"), well)
    owner = await connect(server.url)
    await owner.establish()
    call = owner.call("x")
    await server.arrived("tools/call")
    assert owner.link is not None
    owner.link.abandon(call)
    assert await owner.answer(owner.call("x")) == "well"
    assert owner.unheard == []


async def test_refused_credentials_are_renewed_once_and_the_call_repeated(
    server: RawServer, connect: Connect
) -> None:
    challenge = 'Bearer error="invalid_token"'
    server.on("tools/call", status(401, www_authenticate=challenge), well)
    tokens = Tokens("old", "new")
    owner = await connect(server.url, credentials=tokens)
    await owner.establish()
    assert await owner.answer(owner.call("x")) == "well"
    assert tokens.challenges == [(401, challenge, "Bearer old")]
    sent = [r.headers["authorization"] for r in server.requests if r.message.get("method") == "tools/call"]
    assert sent == ["Bearer old", "Bearer new"]


async def test_credentials_refused_again_fail_the_call_and_never_loop(
    server: RawServer, connect: Connect
) -> None:
    server.on("tools/call", status(401))
    tokens = Tokens("a", "b", "c", "d")
    owner = await connect(server.url, credentials=tokens)
    await owner.establish()
    fault = await owner.failure(owner.call("x"))
    assert (fault.kind, fault.may_have_run) == (FaultKind.UNAUTHORIZED, False)
    assert len(tokens.challenges) == 1
    assert len([r for r in server.requests if r.message.get("method") == "tools/call"]) == 2


async def test_credentials_that_cannot_be_had_tell_the_person_what_to_do(
    server: RawServer, connect: Connect
) -> None:
    server.on("initialize", status(401))
    owner = await connect(server.url, credentials=Tokens(""))
    fault = await owner.failure(owner.ask("initialize"))
    assert fault.kind is FaultKind.UNAUTHORIZED
    assert "dmcp auth login" in fault.reason


async def test_a_403_asks_for_more_scope_only_if_the_server_says_that_this_is_missing(
    server: RawServer, connect: Connect
) -> None:
    server.on(
        "tools/call", status(403), status(403, www_authenticate='Bearer error="insufficient_scope"'), well
    )
    tokens = Tokens("small", "large")
    owner = await connect(server.url, credentials=tokens)
    await owner.establish()
    assert (await owner.failure(owner.call("x"))).kind is FaultKind.UNAUTHORIZED
    assert tokens.challenges == []
    assert await owner.answer(owner.call("x")) == "well"
    assert [code for code, _, _ in tokens.challenges] == [403]


async def test_a_redirect_within_the_origin_is_followed_with_body_and_credentials(
    server: RawServer, connect: Connect
) -> None:
    server.on("initialize", status(307, location="/mcp/"), well)
    owner = await connect(server.url, credentials=Tokens("token"))
    assert await owner.answer(owner.ask("initialize")) == "well"
    assert [(r.path, r.headers["authorization"]) for r in server.requests] == [
        ("/mcp", "Bearer token"),
        ("/mcp/", "Bearer token"),
    ]


async def test_a_lasting_redirect_is_remembered(server: RawServer, connect: Connect) -> None:
    server.on("initialize", status(308, location="/moved"), well)
    owner = await connect(server.url)
    await owner.answer(owner.ask("initialize"))
    await owner.answer(owner.ask("ping"))
    assert [request.path for request in server.requests] == ["/mcp", "/moved", "/moved"]


async def test_a_redirect_to_another_origin_is_refused_and_nothing_is_sent_there(
    server: RawServer, connect: Connect
) -> None:
    async with raw_server() as other:
        server.on("initialize", status(307, location=f"{other.url}?token=x"))
        owner = await connect(server.url, Authorization="Bearer secret")
        fault = await owner.failure(owner.ask("initialize"))
        assert (fault.kind, fault.may_have_run) == (FaultKind.REJECTED, False)
        assert f"put {other.url} into the configuration" in fault.reason
        assert "token" not in fault.reason
        assert other.connections == 0


async def test_a_redirect_to_what_is_no_url_is_the_servers_fault(server: RawServer, connect: Connect) -> None:
    server.on("initialize", status(307, location="http://where to:x/"))
    owner = await connect(server.url)
    fault = await owner.failure(owner.ask("initialize"))
    assert fault.reason == "gave an address that is no URL"
    assert (fault.kind, fault.may_have_run) == (FaultKind.PROTOCOL, False)


async def test_redirects_in_a_circle_end(server: RawServer, connect: Connect) -> None:
    server.on("initialize", status(307, location="/mcp"))
    owner = await connect(server.url)
    fault = await owner.failure(owner.ask("initialize"))
    assert "HTTP 307" in fault.reason
    assert len(server.requests) == 6


@pytest.mark.parametrize("cookie", ["node=7", "node=größte"])
async def test_a_cookie_is_sent_back_byte_by_byte(server: RawServer, connect: Connect, cookie: str) -> None:
    async def sticky(peer: Peer, request: Request) -> None:
        await peer.result(request, {}, set_cookie=f"{cookie}; Path=/")

    server.on("initialize", sticky)
    owner = await connect(server.url)
    await owner.establish()
    await owner.answer(owner.ask("ping"))
    assert server.requests[-1].headers["cookie"].encode("latin-1").decode() == cookie


async def test_the_standalone_stream_is_taken_up_where_it_broke(server: RawServer, connect: Connect) -> None:
    def note(number: int) -> dict[str, object]:
        return {"jsonrpc": "2.0", "method": "notifications/message", "params": {"n": number}}

    async def first(peer: Peer, request: Request) -> None:
        assert "last-event-id" not in request.headers
        await peer.stream()
        await peer.event(note(1), event_id="one", retry=10)
        await peer.cut()

    async def second(peer: Peer, request: Request) -> None:
        assert request.headers["last-event-id"] == "one"
        await peer.stream()
        await peer.event(note(2), event_id="two")
        await peer.closed()

    server.on("GET", first, second)
    owner = await connect(server.url)
    await owner.establish()
    assert [(await owner.hear())[1]["params"]["n"] for _ in range(2)] == [1, 2]


async def test_a_standalone_stream_of_a_forgotten_session_closes_the_link(
    server: RawServer, connect: Connect
) -> None:
    async def first(peer: Peer, request: Request) -> None:
        await peer.stream()
        await peer.event(None, event_id="one", retry=10)
        await peer.cut()

    server.on("GET", first, status(404))
    owner = await connect(server.url)
    await owner.establish()
    assert (await owner.closing()).kind is FaultKind.SESSION_LOST


async def test_a_trusted_certificate_is_accepted_and_an_unknown_one_named_as_the_reason(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    async with raw_server(context) as secure:
        owner = await connect(secure.url)
        fault = await owner.failure(owner.ask("initialize"))
        assert (fault.kind, fault.may_have_run) == (FaultKind.UNREACHABLE, False)
        assert "SSL_CERT_FILE" in fault.reason
        assert owner.link is not None
        await owner.link.aclose(2.0)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        owner = await connect(secure.url)
        assert (await owner.establish())["serverInfo"]["name"] == "raw"


async def test_the_proxy_of_the_environment_is_used(
    server: RawServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url.removesuffix("/mcp"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("http_proxy", raising=False)
    owner = await connect("http://upstream.test/mcp")
    await owner.establish()
    assert server.requests[0].path == "http://upstream.test/mcp"
    assert server.requests[0].headers["host"] == "upstream.test"


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://example.test/", {}),
        ("http://", {}),
        ("http://host:port/", {}),
        ("http://x.test/", {"A": "b\r\nC: d"}),
    ],
)
async def test_what_cannot_be_sent_is_refused_at_once(url: str, headers: dict[str, str]) -> None:
    with pytest.raises(LinkRefused, match="configured"):
        await remote_opener(RemoteServer(url, "http", headers))(Owner())
