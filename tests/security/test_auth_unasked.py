"""Nobody is asked to sign in because a program was started: a browser opens for a use, and when nothing else helps.

The server keeps count of the pages it was asked for: the browser here opens every address it is given.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness import RawClient, RpcError, dmcp_command, sdk_server, write_config
from servers.oauth_process import OAuthServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio
_BROWSER = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=20).close()"
SIGNED_IN = "somebody who signed in"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, with a browser that signs in."""
    script = tmp_path / "browser.py"
    script.write_text(_BROWSER)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("BROWSER", f"{sys.executable} {script}")
    return tmp_path


@pytest.fixture
def guarded(home: Path, no_process_is_left_behind: None) -> Iterator[OAuthServer]:
    with running() as server:
        yield server


def config_of(guarded: OAuthServer, home: Path, **far: Any) -> Path:
    entry = {"description": "guarded", "url": guarded.url, "timeout": {"tools": "20s"}, **far}
    return write_config(home / "dmcp.json", {"far": entry, "near": sdk_server()})


def client_of(guarded: OAuthServer, home: Path, **far: Any) -> RawClient:
    return RawClient(dmcp_command(config_of(guarded, home, **far)))


async def refused(client: RawClient, times: int = 1) -> None:
    """Wait until dmcp has heard that the server wants a sign-in, and lets it be."""
    await client.until(
        lambda: client.stderr.count("tried again when it is used") >= times, "the end of the attempt", 20
    )


async def whoami(client: RawClient) -> str:
    text: str = (await client.call("far", "whoami"))["content"][0]["text"]
    return text


async def test_a_start_opens_no_browser_and_says_that_a_sign_in_is_needed(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize()
        await refused(client)
        assert (await client.call("near", "echo", {"text": "near"}))["content"][0]["text"] == "near"
        await client.request("tools/list")
        await client.request("resources/list")
        await client.request("prompts/list")
        assert "needs a sign-in" in client.stderr
        assert guarded.count("authorizations") == 0
        assert await whoami(client) == SIGNED_IN
        assert "to sign in to far, open" in client.stderr
    assert guarded.count("authorizations") == 1


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "get_dynamic_tools", "arguments": {"group": "far"}}),
        (
            "tools/call",
            {"name": "call_dynamic_tool", "arguments": {"group": "far", "name": "whoami", "args": {}}},
        ),
        ("prompts/get", {"name": "far/any"}),
        ("resources/read", {"uri": "dmcp://far/note://any"}),
    ],
)
@pytest.mark.parametrize("when", ["at once", "later"])
async def test_every_use_of_the_group_opens_the_browser_once(
    guarded: OAuthServer, home: Path, method: str, params: dict[str, Any], when: str
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize()
        if when == "later":
            await refused(client)
        await client.answer(client.ask(method, params))
        assert guarded.count("authorizations") == 1
        assert await whoami(client) == SIGNED_IN
    assert guarded.count("authorizations") == 1


async def test_a_lazy_server_is_not_connected_to_for_lists_and_signed_in_to_when_it_is_used(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home, startup="lazy") as client:
        await client.initialize()
        await client.request("resources/list")
        await client.call("near", "echo", {"text": "near"})
        assert guarded.count("mcp") == 0
        assert await whoami(client) == SIGNED_IN


async def test_a_sign_in_that_ended_while_nobody_used_the_server_opens_no_browser_on_a_reload(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize()
        assert await whoami(client) == SIGNED_IN
        guarded.set(revoke=True)
        config_of(guarded, home, headers={"X-Tag": "another"})
        await refused(client)
        assert guarded.count("authorizations") == 1
        assert await whoami(client) == SIGNED_IN
    assert guarded.count("authorizations") == 2


async def test_a_second_client_that_is_only_started_asks_nobody_and_uses_the_sign_in_of_the_first(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as first, client_of(guarded, home) as second:
        await second.initialize()
        await refused(second)
        await first.initialize()
        assert await whoami(first) == SIGNED_IN
        assert await whoami(second) == SIGNED_IN
    assert guarded.count("authorizations") == 1


async def test_a_renewal_that_fails_for_now_is_told_and_opens_no_browser(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize()
        assert await whoami(client) == SIGNED_IN
        guarded.set(expire_access=True, token="500")
        failed = 0
        while (
            guarded.count("token:refresh_token") < 3
        ):  # the first fails at once, the others have their backoff
            with pytest.raises(RpcError, match="HTTP status 500"):
                await whoami(client)
            failed += 1
            await asyncio.sleep(0.05)
        assert failed >= 3
        assert guarded.count("authorizations") == 1
        guarded.set(token="")
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await whoami(client) == SIGNED_IN
                    break
                except RpcError:
                    await asyncio.sleep(0.05)
    assert guarded.count("authorizations") == 1


async def test_a_token_that_worked_since_it_was_renewed_is_renewed_again_when_it_is_refused(
    guarded: OAuthServer, home: Path
) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize()
        assert await whoami(client) == SIGNED_IN
        for _ in range(4):
            guarded.set(expire_access=True)
            assert await whoami(client) == SIGNED_IN
    counts = guarded.report()["counts"]
    assert (counts["authorizations"], counts["token:refresh_token"]) == (1, 4)


async def test_the_offer_names_the_group_and_the_origin_of_the_page(guarded: OAuthServer, home: Path) -> None:
    async with client_of(guarded, home) as client:
        await client.initialize(capabilities={"elicitation": {"form": {}, "url": {}}})
        use = client.ask("tools/call", {"name": "get_dynamic_tools", "arguments": {"group": "far"}})
        message = (await client.heard("elicitation/create"))["params"]["message"]
        assert message.startswith("dmcp: far: ")
        assert guarded.base in message
        await client.answer(use)
