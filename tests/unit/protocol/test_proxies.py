"""Which proxy a request goes through."""

from __future__ import annotations

import pytest

from dmcp.protocol.proxies import ProxyError, choose, shown

HTTP = {"http": "http://proxy.test:3128"}


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("http://localhost:8000/mcp", ""),
        ("http://app.localhost/mcp", ""),
        ("http://127.0.0.1/mcp", ""),
        ("http://127.1.2.3/mcp", ""),
        ("http://[::1]:8000/mcp", ""),
        ("http://[::ffff:127.0.0.1]/mcp", ""),
        ("http://0.0.0.0/mcp", ""),
        ("http://h.test/mcp", "*"),
        ("http://h.test/mcp", "h.test"),
        ("http://H.TEST./mcp", "h.Test"),
        ("http://a.h.test/mcp", "h.test"),
        ("http://a.h.test/mcp", ".h.test"),
        ("http://h.test/mcp", ".h.test"),
        ("http://a.h.test/mcp", "*.h.test"),
        ("http://h.test/mcp", "other.test, h.test"),
        ("http://h.test/mcp", "other.test h.test"),
        ("http://h.test/mcp", "h.test:80"),
        ("http://h.test:8080/mcp", "h.test:8080"),
        ("http://h.test/mcp", "http://h.test"),
        ("http://10.1.2.3/mcp", "10.0.0.0/8"),
        ("http://10.1.2.3/mcp", "10.1.2.3"),
        ("http://10.1.2.3:81/mcp", "10.1.2.3:81"),
        ("http://[fd00::7]/mcp", "fd00::/8"),
        ("http://[fd00::7]/mcp", "fd00::7"),
        ("http://[fd00::7]/mcp", "[fd00::7]"),
        ("http://[fd00:0::7]:81/mcp", "[fd00::7]:81"),
        ("ftp://h.test/mcp", ""),
    ],
)
def test_these_have_none(url: str, no_proxy: str) -> None:
    assert choose(url, {**HTTP, "no": no_proxy}) is None


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("http://h.test/mcp", ""),
        ("http://h.test/mcp", "test.h"),
        ("http://ah.test/mcp", "h.test"),
        ("http://h.test/mcp", "h.test:81"),
        ("http://h.test:81/mcp", "h.test:80"),
        ("http://localhost.test/mcp", ""),
        ("http://10.1.2.3/mcp", "10.2.0.0/16"),
        ("http://10.1.2.3/mcp", "2.3"),
        ("http://10.1.2.3/mcp", "fd00::/8"),
        ("http://10.1.2.30/mcp", "10.1.2.3"),
        ("http://[fd00::7]/mcp", "fd00::8"),
        ("http://[fd00::7]/mcp", "[fd00::7]:81"),
        ("http://h.test/mcp", "///,[,]:,:,10.0.0.0/99"),
    ],
)
def test_these_have_one(url: str, no_proxy: str) -> None:
    assert choose(url, {**HTTP, "no": no_proxy}) == "http://proxy.test:3128"


def test_the_proxy_is_that_of_the_scheme_else_that_for_all() -> None:
    proxies = {"https": "https://s.test", "all": "socks5h://a.test:1080"}
    assert choose("https://h.test/", proxies) == "https://s.test"
    assert choose("http://h.test/", proxies) == "socks5h://a.test:1080"
    assert choose("http://h.test/", {"http": "proxy.test:3128"}) == "http://proxy.test:3128"
    assert choose("http://h.test/", {"http": "  "}) is None


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("socks4://user:secret@p.test:1080", "socks4://p.test:1080 of the environment speaks socks4"),
        ("socks4a://p.test", "use socks5"),
        ("quic://p.test", "speaks quic"),
        ("http://", "is no address"),
        ("http://p.test:port", "is no address"),
        ("http://[::1", "is no address"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(proxy: str, says: str) -> None:
    with pytest.raises(ProxyError) as raised:
        choose("http://h.test/", {"all": proxy})
    assert says in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_proxy_is_shown_without_user_and_password() -> None:
    assert shown("http://user:p@ss@p.test:1") == "http://p.test:1"
