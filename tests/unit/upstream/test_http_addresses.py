"""What a person is told of a server that points to an address which is not its own."""

from __future__ import annotations

import pytest

from dmcp.upstream.faults import is_private_host, other_origin


@pytest.mark.parametrize(
    ("own", "target", "advice"),
    [
        # http behind a proxy that ends TLS, and the final slash its framework wants
        (
            "https://mcp.test.example/mcp",
            "http://mcp.test.example/mcp/?token=x",
            "put https://mcp.test.example/mcp/ into",
        ),
        ("https://mcp.test.example/mcp", "http://app:8000/mcp/", "put https://mcp.test.example/mcp/ into"),
        ("https://h.example:8443/a", "http://10.0.0.3/b/c", "put https://h.example:8443/b/c into"),
        ("https://h.example/a", "http://mcp.prod.svc.cluster.local/b", "put https://h.example/b into"),
        ("https://h.example/a", "http://localhost:8000/b", "put https://h.example/b into"),
        # nothing in the configuration would help
        ("https://h.example/mcp", "http://h.example/mcp", "must be told that it is https://h.example/mcp"),
        # it has moved
        ("http://h.example/mcp", "https://h.example/mcp", "put https://h.example/mcp into"),
        ("http://h.example/mcp", "https://h.example/v2/mcp", "put https://h.example/v2/mcp into"),
        ("https://a.example/mcp", "https://b.example/x", "lives now, put https://b.example/x into"),
        ("http://127.0.0.1:1/mcp", "http://127.0.0.1:2/mcp", "lives now, put http://127.0.0.1:2/mcp into"),
        ("https://a.example/mcp", "https://u:p@b.example/x?key=1#f", "put https://b.example/x into"),
    ],
)
def test_a_redirect_elsewhere_names_the_right_configuration(own: str, target: str, advice: str) -> None:
    reason = other_origin(own, target, redirected=True)
    assert reason.startswith("points to another origin (")
    assert advice in reason
    assert "token" not in reason
    assert "u:p" not in reason
    assert "key=1" not in reason


def test_an_address_for_messages_that_is_inside_names_what_it_should_be() -> None:
    reason = other_origin("https://h.example/sse", "http://app:8000/messages/?session_id=1", redirected=False)
    assert "messages go to https://h.example/messages/" in reason
    assert "session_id" not in reason


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("app", True),
        ("localhost", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("fd00::1", True),
        ("fe80::1%eth0", True),
        ("server.local", True),
        ("SERVER.INTERNAL.", True),
        ("h.example", False),
        ("1.1.1.1", False),
        ("2606:4700::1", False),
    ],
)
def test_an_inside_host_is_recognised(host: str, *, inside: bool) -> None:
    assert is_private_host(host) is inside
