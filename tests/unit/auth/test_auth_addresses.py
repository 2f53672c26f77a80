"""Every spelling of an inside address, and who may name it."""

from __future__ import annotations

from typing import Any

import pytest

from dmcp.auth import discovery
from dmcp.auth.addresses import kind_of_host, may_name
from dmcp.auth.web import Reach
from dmcp.errors import AuthError

LOOPBACK = (
    "127.0.0.1 127.8.9.10 127.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.0.0.1. localhost LOCALHOST"
    " localhost. a.localhost a.localhost. localhost.localdomain ip6-localhost ::1 [::1] 0:0:0:0:0:0:0:1"
    " ::ffff:127.0.0.1 ::ffff:7f00:1 ::127.0.0.1 64:ff9b::127.0.0.1 2002:7f00:1:: 12%37.0.0.1"
    " \uff11\uff12\uff17.0.0.1 127\u30020\u30020\u30021"
)
PRIVATE = (
    "10.0.0.1 10.1 167772161 172.16.0.1 172.31.255.255 192.168.1.1 192.168.257 0xc0a80101 100.64.0.1 100.127.255.254"
    " fd00::1 fc00::1 ::ffff:10.0.0.1 64:ff9b::a00:1"
)
LINK_LOCAL = "169.254.169.254 0xa9fea9fe 2852039166 ::ffff:169.254.169.254 fe80::1 fe80::1%25eth0"
UNUSABLE = "0.0.0.0 0 :: 255.255.255.255 224.0.0.1 ff02::1 240.0.0.1 256.1.1.1 1.2.3.4.5 08.1 2001:0::1 1..2"
PUBLIC = "8.8.8.8 134744072 1.1 2001:4860:4860::8888 ::ffff:8.8.8.8 203.0.113.5"


@pytest.mark.parametrize(
    ("hosts", "kind"),
    [
        (LOOPBACK, "loopback"),
        (PRIVATE, "private"),
        (LINK_LOCAL, "link-local"),
        (UNUSABLE, "unusable"),
        (PUBLIC, "public"),
        ("example.com 127.0.0.1.example.com localhost.example.com x--127 intranet", None),
    ],
)
def test_an_address_is_known_in_every_spelling(hosts: str, kind: str | None) -> None:
    assert {host: kind_of_host(host) for host in hosts.split(" ") if host} == dict.fromkeys(
        [host for host in hosts.split(" ") if host], kind
    )


@pytest.mark.parametrize("host", ["", "x" * 300, "a b", "127.0.0.1\n", "a/b", "user@host"])
def test_what_can_be_no_host_is_unusable(host: str) -> None:
    assert kind_of_host(host) == "unusable"


def test_a_server_may_name_what_is_public_or_of_its_own_kind() -> None:
    table = {
        "public": {"public"},
        "private": {"public", "private"},
        "link-local": {"public", "link-local"},
        "loopback": {"public", "private", "loopback"},
    }
    kinds: list[Any] = [*table, "unusable"]
    assert {home: {k for k in kinds if may_name(home, k)} for home in kinds if home in table} == table


@pytest.mark.parametrize("host", [*LOOPBACK.split(), *PRIVATE.split(), *LINK_LOCAL.split(), "0.0.0.0"])
def test_metadata_of_a_server_elsewhere_names_no_inside_address_by_https_either(host: str) -> None:
    host = f"[{host.strip('[]')}]" if ":" in host else host
    url = f"https://{host}/token"
    assert not discovery.is_allowed_url(url, "https://mcp.example.com/mcp")
    server = "https://auth.example.com"
    document = {"issuer": server, "token_endpoint": url}
    with pytest.raises(AuthError, match="token_endpoint"):
        discovery.read_server_metadata(document, server)
    about = {"resource": "https://mcp.example.com/mcp", "authorization_servers": [f"https://{host}"]}
    with pytest.raises(AuthError, match="authorization server"):
        discovery.read_resource_metadata(about, "https://mcp.example.com/mcp")


def test_a_company_server_may_name_addresses_of_its_network_but_not_this_machine() -> None:
    server = "https://10.1.2.3/mcp"
    assert discovery.is_allowed_url("https://10.9.9.9/token", server)
    assert discovery.is_allowed_url("https://auth.example.com", server)
    assert not discovery.is_allowed_url("https://127.0.0.1/token", server)
    assert not discovery.is_allowed_url("https://169.254.169.254/token", server)


class Names:
    """A resolver that knows these names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **known: str) -> None:
        self.known = {name.replace("_", "."): address for name, address in known.items()}
        monkeypatch.setattr("asyncio.BaseEventLoop.getaddrinfo", self.look_up)

    async def look_up(self, host: str, port: Any, **_: Any) -> list[tuple[Any, ...]]:
        if host not in self.known:
            raise OSError(-2, "Name or service not known")
        return [(2, 1, 6, "", (address, 0)) for address in self.known[host].split()]


@pytest.mark.anyio
async def test_what_a_name_stands_for_is_looked_at_before_it_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Names(monkeypatch, inside_example="10.0.0.7", half_example="8.8.8.8 127.0.0.1", out_example="8.8.8.8")
    reach = Reach("https://mcp.example.com/mcp")
    for bad in ("https://inside.example/x", "https://half.example/x"):
        with pytest.raises(AuthError, match=r"private network|this machine"):
            await reach.check(bad)
    await reach.check("https://out.example/x")
    await reach.check("https://unknown.example/x")  # the connection will say
    await Reach("https://192.168.1.9/mcp").check("https://inside.example/x")
    await Reach("https://mcp.example.com/mcp", "https://inside.example").check("https://inside.example/x")


class Stream:
    def __init__(self, address: str) -> None:
        self.address, self.closed = address, False

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return (self.address, 443)

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.anyio
async def test_a_connection_to_an_inside_address_ends_before_anything_is_sent() -> None:
    reach = Reach("https://mcp.example.com/mcp")
    stream = Stream("127.0.0.1")  # what the name stands for by the time it is connected to
    trace = reach.tracer("https://rebound.example/x")
    with pytest.raises(AuthError, match="this machine"):
        await trace("connection.connect_tcp.complete", {"return_value": stream})
    assert stream.closed


@pytest.mark.anyio
async def test_a_servers_own_kind_of_address_counts_once_its_certificate_has_shown_that_it_is_the_server() -> (
    None
):
    reach = Reach("https://mcp.company.example/mcp")
    trace = reach.tracer("https://mcp.company.example/.well-known/x")
    await trace("connection.connect_tcp.complete", {"return_value": Stream("10.0.0.5")})
    assert reach.home is None
    await trace("connection.start_tls.complete", {"return_value": object()})
    assert reach.home == "private"
    other = reach.tracer("https://auth.company.example/x")
    await other("connection.connect_tcp.complete", {"return_value": Stream("10.0.0.6")})
    with pytest.raises(AuthError):
        await other("connection.connect_tcp.complete", {"return_value": Stream("::1")})
