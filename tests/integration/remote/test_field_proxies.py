"""Proxies of the environment, as people met them: named when they fail, never used for this machine."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from harness import RawClient, RpcError, dmcp_command, write_config
from harness.cli import run_dmcp
from servers.raw_http import Peer, Request, offer_tool, raw_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def fine(peer: Peer, request: Request) -> None:
    await peer.result(request, {"content": []})


async def refusal_of_a_call(room: Path, url: str, **env: str) -> str:
    config = write_config(room / "dmcp.json", {"far": {"url": url}})
    async with RawClient(dmcp_command(config), env=env) as client:
        await client.initialize()
        with pytest.raises(RpcError) as refused:
            await client.call("far", "x")
    return refused.value.message


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_an_error_names_the_proxy_it_went_through(
    tmp_path: Path, closed_port: int, scheme: str
) -> None:
    proxy = f"127.0.0.1:{closed_port}"
    message = await refusal_of_a_call(
        tmp_path, f"{scheme}://far.test/mcp", ALL_PROXY=f"http://user:secret@{proxy}"
    )
    assert f"cannot be reached through the proxy http://{proxy}: the connection was refused" in message
    assert "secret" not in message


async def test_a_proxy_that_wants_credentials_is_not_taken_for_the_server(tmp_path: Path) -> None:
    async def denied(peer: Peer, request: Request) -> None:
        await peer.body(b"<title>ask the helpdesk</title>", 407, content_type="text/html")

    async with raw_server() as proxy:
        proxy.on("initialize", denied)
        address = proxy.url.removesuffix("/mcp")
        message = await refusal_of_a_call(tmp_path, "http://far.test/mcp", HTTP_PROXY=address)
    assert f"the proxy {address} wants credentials (HTTP 407)" in message
    assert "ask the helpdesk" in message


async def test_an_error_page_through_a_proxy_names_the_proxy(tmp_path: Path) -> None:
    async def unreachable(peer: Peer, request: Request) -> None:
        await peer.body(b"no such host", 502)

    async with raw_server() as proxy:
        proxy.on("initialize", unreachable)
        address = proxy.url.removesuffix("/mcp")
        message = await refusal_of_a_call(tmp_path, "http://far.test/mcp", http_proxy=address)
    assert f"answered HTTP 502 (through the proxy {address}): no such host" in message


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
async def test_a_kind_of_proxy_dmcp_does_not_speak_is_named(tmp_path: Path, scheme: str) -> None:
    message = await refusal_of_a_call(
        tmp_path, "http://far.test/mcp", ALL_PROXY=f"{scheme}://u:secret@p.test:1080"
    )
    assert f"the proxy {scheme}://p.test:1080 of the environment speaks {scheme}" in message
    assert "secret" not in message
    assert "report" not in message


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks_proxy_is_used_or_the_missing_package_named(
    tmp_path: Path, closed_port: int, scheme: str
) -> None:
    proxy = f"{scheme}://127.0.0.1:{closed_port}"
    message = await refusal_of_a_call(tmp_path, "https://far.test/mcp", ALL_PROXY=proxy)
    assert f"cannot be reached through the proxy {proxy}: " in message
    assert find_spec("socksio") or "dmcp[socks]" in message
    assert "please report" not in message


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks4://p.test", "nonsense://"])
async def test_this_machine_is_never_reached_through_a_proxy(tmp_path: Path, proxy: str) -> None:
    async with raw_server() as server:
        offer_tool(server, fine)
        config = write_config(tmp_path / "dmcp.json", {"far": {"url": server.url}})
        async with RawClient(dmcp_command(config), env={"ALL_PROXY": proxy, "HTTP_PROXY": proxy}) as client:
            await client.initialize()
            assert (await client.call("far", "x"))["content"] == []


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("socks4://u:secret@p.test:1080", "socks4://p.test:1080"),
        ("http://u:secret@127.0.0.1:1", "through the proxy http://127.0.0.1:1"),
        ("socks5://u:secret@127.0.0.1:1", "socks5://127.0.0.1:1"),
        ("http://[::1", "is no address"),
    ],
)
def test_signing_in_follows_the_same_rules(tmp_path: Path, proxy: str, says: str) -> None:
    config = write_config(tmp_path / "dmcp.json", {"far": {"url": "https://far.test/mcp"}})
    env = {"ALL_PROXY": proxy, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    ran = run_dmcp("auth", "login", "far", "--config", str(config), env=env)
    assert ran.returncode != 0
    assert says in ran.stderr
    assert "secret" not in ran.stderr
    assert "report" not in ran.stderr
    assert "Traceback" not in ran.stderr
