"""Many servers that each answer oddly, behind one watched dmcp: what their calls come to, and that nobody else notices.

The second attack: redirects that lead nowhere, waiting without end, handshakes that fail, and answers that httpx parses
(of authorization servers, and of all that comes through a proxy).
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from harness import RawClient, write_config
from harness.watched import LoopWatch
from security.http_stage import fine
from servers.raw_http import Peer, RawServer, Request, offer_tool, raw_server

if TYPE_CHECKING:
    from pathlib import Path

    from servers.raw_http import Reaction

pytestmark = pytest.mark.anyio


def redirect(location: bytes, status: int = 307) -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        await peer.raw(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nlocation: %b\r\n\r\n" % (status, location))

    return react


def status(code: int, **headers: str) -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        await peer.body(b"", code, **headers)

    return react


def page(location: str) -> Reaction:
    async def react(peer: Peer, request: Request) -> None:
        body = f'<meta http-equiv="refresh" content="0;url={location}">'
        await peer.body(body.encode(), content_type="text/html")

    return react


ELSEWHERE = "points to another origin"
NO_URL = "gave an address that is no URL"
CALLS: dict[str, tuple[Reaction, str]] = {
    "punycode": (redirect(b"http://xn--zz--zzz/"), ELSEWHERE),
    "punycode-empty": (redirect(b"http://xn--/"), ELSEWHERE),
    "file": (redirect(b"file:///etc/passwd"), "(file:///etc/passwd), which is no address of HTTP"),
    "script": (redirect(b"javascript:alert(1)"), "which is no address of HTTP"),
    "own-name-elsewhere": (redirect(b"http://127.0.0.1.evil.test/"), ELSEWHERE),
    "decimal": (redirect(b"http://2130706433/"), ELSEWHERE),
    "mapped": (redirect(b"http://[::ffff:127.0.0.1]/"), ELSEWHERE),
    "zone": (redirect(b"http://[fe80::1%25eth0]/"), ELSEWHERE),
    "dot": (redirect(b"http://127.0.0.1./"), ELSEWHERE),
    "user": (redirect(b"http://me:pw@evil.test/"), f"{ELSEWHERE} (http://evil.test/)"),
    "two-slashes": (redirect(b"//evil.test/x"), ELSEWHERE),
    "half-address": (redirect(b"http://[::1/"), NO_URL),
    "port": (redirect(b"http://127.0.0.1:x/"), NO_URL),
    "surrogates": (redirect(b"/\xff\xfe"), NO_URL),
    "tab": (redirect(b"/a\tb"), NO_URL),
    "direction": (redirect("http://\u202eevil.test/".encode()), NO_URL),
    "longest": (redirect(b"/" + b"a" * 60_000), "redirects more than 5 times"),
    "empty": (redirect(b""), "redirects more than 5 times"),
    "other": (redirect(b"/x", 303), "answered HTTP 303"),
    "refresh": (page("http://127.0.0.1:1/"), "a web page instead of MCP"),
    "wait-0": (status(429, retry_after="0"), "within 2 s"),
    "wait-past": (status(503, retry_after="Thu, 01 Jan 1970 00:00:00 GMT"), "within 2 s"),
    "wait-years": (status(429, retry_after="1000000000"), "within 2 s"),
    "wait-less": (status(429, retry_after="-5"), "answered HTTP 429"),
    "no-status": (status(999), "answered HTTP 999"),
    "denied": (status(401), "sign-in"),
    "more-scope": (
        status(403, www_authenticate='Bearer error="insufficient_scope", scope="x"'),
        "sign-in",
    ),
}


def entry(url: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "timeout": {"tools": "2s", "connect": "2s"}, **more}


def ask(client: RawClient, group: str) -> int | str:
    arguments = {"group": group, "name": "x", "args": {}}
    return client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})


async def test_odd_answers_fail_their_own_calls_in_words(tmp_path: Path) -> None:
    raws: dict[str, RawServer] = {}
    async with AsyncExitStack() as stack:
        for name, (reaction, _) in CALLS.items():
            raws[name] = await stack.enter_async_context(raw_server())
            offer_tool(raws[name], reaction)
        good = await stack.enter_async_context(raw_server())
        offer_tool(good, fine)
        good.on("GET", status(503, retry_after="0"))  # its own stream is asked for all the time
        servers = {name: entry(raw.url) for name, raw in {**raws, "good": good}.items()}
        watch, config = LoopWatch(tmp_path), write_config(tmp_path / "dmcp.json", servers)
        client = await stack.enter_async_context(RawClient(LoopWatch.command(config), env=watch.env))
        await client.initialize()
        for name in servers:
            await client.tools(name)
        watch.start_watching()
        calls = {name: ask(client, name) for name in CALLS}
        for name, call in calls.items():
            message = (await client.answer(call))["error"]["message"]
            assert message.startswith(f"{name}: "), message
            assert CALLS[name][1] in message, message
            assert "dmcp itself" not in message
        assert (await client.call("good", "x"))["content"] == []
        assert watch.held().cpu < 50
        asked = {
            name: len([r for r in raw.requests if r.message.get("method") == "tools/call"])
            for name, raw in raws.items()
        }
        assert all(count <= 8 for count in asked.values()), asked
        assert len([r for r in good.requests if r.method == "GET"]) < 15


async def test_a_stream_that_names_an_odd_address_is_told_as_such(tmp_path: Path) -> None:
    def named(address: bytes) -> Reaction:
        async def react(peer: Peer, request: Request) -> None:
            await peer.stream()
            await peer.chunk(b"event: endpoint\ndata: " + address + b"\n\n")
            await peer.closed()

        return react

    addresses = {
        "punycode": (b"http://xn--zz--zzz/", ELSEWHERE),
        "file": (b"file:///x", "no address of HTTP"),
        "half": (b"http://[::1", NO_URL),
        "long": (b"/" + b"a" * 70_000, NO_URL),
        "nul": (b"/a\0b", NO_URL),
    }
    async with AsyncExitStack() as stack:
        servers = {}
        for name, (address, _) in addresses.items():
            raw = await stack.enter_async_context(raw_server())
            raw.on("GET", named(address))
            servers[name] = entry(raw.url, type="sse")
        # The same names in the configuration are merely unknown.
        for name, host in (("own-punycode", "xn--zz--zzz"), ("dots", "a..b"), ("label", "a" * 70 + ".test")):
            servers[name] = entry(f"http://{host}/mcp")
        config = write_config(tmp_path / "dmcp.json", servers)
        client = await stack.enter_async_context(
            RawClient(LoopWatch.command(config), env=LoopWatch(tmp_path).env)
        )
        await client.initialize()
        for name, call in {name: ask(client, name) for name in servers}.items():
            message = (await client.answer(call))["error"]["message"]
            expected = addresses[name][1] if name in addresses else "its host name is not known"
            assert f"{name} is unavailable" in message
            assert expected in message, message


async def test_a_handshake_that_fails_says_how(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    certificates = {
        "expired": (
            authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)),
            "has expired",
        ),
        "wrong-host": (authority.issue_cert("other.test"), "whoever runs it has to mend that"),
        "stranger": (stranger.issue_cert("127.0.0.1"), "SSL_CERT_FILE"),
    }
    speech = {
        "no-tls": (b"HTTP/1.1 400 Bad\r\n\r\n", "begins with http://"),
        "refused": (b"\x15\x03\x03\x00\x02\x02\x28", "the TLS handshake failed"),
        "silent": (b"", "does not finish the TLS handshake in time"),
        "slow": (b"\x16", "does not finish the TLS handshake in time"),
    }
    async with AsyncExitStack() as stack:
        servers, expected = {}, {}
        for name, (certificate, says) in certificates.items():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            raw = await stack.enter_async_context(raw_server(context))
            servers[name], expected[name] = entry(raw.url), says
        for name, (said, says) in speech.items():
            listening = await _listening(said)
            stack.callback(listening.close)
            port = listening.sockets[0].getsockname()[1]
            servers[name], expected[name] = entry(f"https://127.0.0.1:{port}/mcp"), says
        bundle = tmp_path / "authority.pem"
        authority.cert_pem.write_to_path(str(bundle))
        watch, config = LoopWatch(tmp_path), write_config(tmp_path / "dmcp.json", servers)
        env = {**watch.env, "SSL_CERT_FILE": str(bundle)}
        client = await stack.enter_async_context(RawClient(LoopWatch.command(config), env=env))
        await client.initialize()
        for name, call in {name: ask(client, name) for name in servers}.items():
            message = (await client.answer(call))["error"]["message"]
            assert expected[name] in message, message
            assert ("SSL_CERT_FILE" in message) is (name == "stranger")
        assert "never retrieved" not in client.stderr


async def _listening(said: bytes) -> asyncio.Server:
    """Return a server that says this to whoever connects, and then nothing; it waits for them to leave."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        while await reader.read(65536):
            pass
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def small_chunks(peer: Peer, request: Request) -> None:
    await peer.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    await peer.raw(b"1\r\n \r\n" * 20_000)
    await peer.raw(b"2\r\n{}\r\n0\r\n\r\n")


async def interim_answers(peer: Peer, request: Request) -> None:
    while True:
        await peer.raw(b"HTTP/1.1 103 Hints\r\n\r\n" * 5000)


@pytest.mark.parametrize("flood", [small_chunks, interim_answers])
async def test_what_httpx_parses_holds_nothing_up(tmp_path: Path, flood: Reaction) -> None:
    async with raw_server() as near, raw_server() as far, raw_server() as good:
        offer_tool(near, status(401))  # and then its documents
        near.on("GET", flood)
        offer_tool(far, flood)  # through a proxy, which it is itself
        offer_tool(good, fine)
        servers = {"near": entry(near.url), "far": entry("http://far.test/mcp"), "good": entry(good.url)}
        watch, config = LoopWatch(tmp_path), write_config(tmp_path / "dmcp.json", servers)
        env = {**watch.env, "http_proxy": far.url.removesuffix("/mcp"), "no_proxy": "", "NO_PROXY": ""}
        async with RawClient(LoopWatch.command(config), env=env) as client:
            await client.initialize(capabilities={"elicitation": {"url": {}}})
            for name in servers:
                await client.tools(name)
            watch.start_watching()
            calls = [ask(client, "far"), ask(client, "near")]
            await near.arrived("GET", times=2)
            assert (await client.call("good", "x"))["content"] == []
            messages = [(await client.answer(call))["error"]["message"] for call in calls]
            if flood is interim_answers:
                assert "sent more than 200 header lines or 64 KiB of them" in messages[0]
            assert watch.held().cpu < 50
