"""Whatever an authorization server answers is its own fault, told in words: no traceback, no bug of dmcp's, no hang."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from security.auth_home import Home, told
from servers.oauth_process import OAuthServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server() -> Iterator[OAuthServer]:
    with running() as server:
        yield server


_PLAIN: dict[str, Any] = {
    "metadata": {},
    "metadata_text": None,
    "protected": {},
    "granted": {},
    "token_answers": {},
}
_DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize(
    "settings",
    [
        {"metadata": {"token_endpoint": "https://auth.example:99999/token"}},
        {"metadata": {"token_endpoint": "https://[::1/token"}},
        {"metadata": {"token_endpoint": "https://auth.example:port/"}},
        {"metadata": {"token_endpoint": ["https://auth.example/"]}},
        {"metadata": {"token_endpoint": 7}},
        {"metadata": {"authorization_endpoint": "https://[broken"}},
        {"metadata": {"authorization_endpoint": "http://127.0.0.1:1/authorize?a b=\u00e9%zz;"}},
        {"metadata": {"registration_endpoint": "https://x:-1/"}},
        {"metadata": {"issuer": "https://[broken"}},
        {"metadata": {"issuer": {"deep": []}}},
        {"metadata": {"registration_endpoint": "http://127.0.0.1:1/" + "x" * 1_000_000}},
        {"metadata_text": _DEEP},
        {"metadata_text": '{"issuer": "BASE", "token_endpoint": "\\ud800"}'},
        {"metadata_text": '{"issuer": "BASE", "x": ' + "9" * 100_000 + "}"},
        {"metadata_text": '{"issuer": "BASE", "token_endpoint": "BASE/token", "deep": ' + _DEEP + "}"},
        {"protected": {"authorization_servers": ["https://x:99999"]}},
        {"protected": {"authorization_servers": ["https://[x"]}},
        {"protected": {"resource": "https://[x"}},
        {"granted": {"access_token": "a\r\nX-Evil: 1"}},
        {"granted": {"access_token": "a" * 900_000}},
        {"granted": {"access_token": ["at"]}},
        {"granted": {"token_type": "DPoP"}},
        {"token_answers": {"authorization_code": {"status": 200, "body": _DEEP}}},
        {
            "token_answers": {
                "authorization_code": {"status": 200, "body": "\u0000\u0001", "type": "text/plain"}
            }
        },
    ],
)
def test_an_answer_that_makes_no_sense_is_told_as_the_servers_fault(
    server: OAuthServer, tmp_path: Path, settings: dict[str, Any]
) -> None:
    server.set(**{**_PLAIN, **settings})
    done = Home(tmp_path, server).run("auth", "login", "far")
    text = told(done)
    assert done.returncode == 1, text
    assert "Error: far: " in text
    assert len(text) < 4000


@pytest.mark.parametrize(
    "settings",
    [
        {"granted": {"expires_in": "soon"}},
        {"granted": {"scope": "x" * 500_000 + " read", "expires_in": [1]}},
        {"granted": {"scope": ["a", 7, "b"], "refresh_token": {"a": 1}}},
        {"protected": {"scopes_supported": ["x" * 300_000, "read", 7, "a b", "\u202eevil"]}},
        {"metadata": {"scopes_supported": "read", "token_endpoint_auth_methods_supported": "none"}},
        {"metadata": {"token_endpoint_auth_methods_supported": [["none"], {}, 7]}},
        {
            "token_answers": {
                "authorization_code": {
                    "status": 200,
                    "body": '{"access_token": "at", "expires_in": 1e400, "scope": null, "token_type": null}',
                }
            }
        },
        {
            "token_answers": {
                "authorization_code": {
                    "status": 200,
                    "body": '{"access_token": "at", "expires_in": ' + "9" * 400 + "}",
                }
            }
        },
    ],
)
def test_an_answer_that_is_odd_and_harmless_is_used(
    server: OAuthServer, tmp_path: Path, settings: dict[str, Any]
) -> None:
    server.set(**{**_PLAIN, **settings})
    home = Home(tmp_path, server)
    done = home.run("auth", "login", "far")
    assert done.returncode == 0, told(done)
    kept = json.loads(home.kept.read_text())
    assert len(home.kept.read_text()) < 10_000
    assert kept["entries"][0]["tokens"]["access_token"]
    assert len(server.report()["last"]["authorization"].get("scope", "")) < 1000


@pytest.mark.parametrize(
    "query",
    [
        "client_id=others",
        "x=1&redirect_uri=https%3A%2F%2Fevil.example%2F",
        "Client_ID=others",
        "state=known&code_challenge=known",
        "request_uri=https://evil.example/r",
        "response_mode=form_post",
    ],
)
def test_a_page_to_sign_in_at_brings_no_parameters_of_the_request_along(
    server: OAuthServer, tmp_path: Path, query: str
) -> None:
    page = f"{server.base}/authorize?{query}"
    server.set(**{**_PLAIN, "metadata": {"authorization_endpoint": page, "scopes_supported": ["read"]}})
    done = Home(tmp_path, server).run("auth", "login", "far")
    assert done.returncode == 1
    assert "holds parameters of the request itself" in told(done)
    assert "open\n" not in told(done)


def test_a_page_to_sign_in_at_may_have_a_query_of_its_own(server: OAuthServer, tmp_path: Path) -> None:
    page = f"{server.base}/authorize?p=policy&prompt=consent"
    server.set(**{**_PLAIN, "metadata": {"authorization_endpoint": page}})
    done = Home(tmp_path, server).run("auth", "login", "far")
    assert done.returncode == 0, told(done)


def test_what_the_server_says_is_shown_printable_and_short(server: OAuthServer, tmp_path: Path) -> None:
    words = "go \u001b[31maway\u202e" + "y" * 5000
    body = json.dumps({"error": "invalid_grant", "error_description": words})
    server.set(**{**_PLAIN, "token_answers": {"authorization_code": {"status": 400, "body": body}}})
    text = told(Home(tmp_path, server).run("auth", "login", "far"))
    assert "invalid_grant: go \\x1b[31maway\\u202e" in text
    assert "\u001b[31maway" not in text
    assert "y" * 400 not in text
