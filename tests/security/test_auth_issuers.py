"""Tokens, codes and client secrets go to the server they are for, whatever its documents say later."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.auth.authorizer import Authorizer
from dmcp.auth.store import FileStore
from dmcp.auth.web import AuthHttpClient, Reach
from dmcp.config.model import RemoteServer
from dmcp.errors import AuthError, AuthUnavailable
from harness import RpcError
from harness.cli import run_dmcp
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


@pytest.fixture
def other(no_process_is_left_behind: None) -> Iterator[OAuthServer]:
    with running() as server:
        yield server


def left(server: OAuthServer, home: Home) -> dict[str, Any]:
    """Sign in, and make of it what the predecessor would have left."""
    assert home.run("auth", "login", "far").returncode == 0
    tokens = json.loads(home.kept.read_text())["entries"][0]["tokens"]
    old = {name: tokens[name] for name in ("access_token", "refresh_token")}
    home.leave(json.dumps({**old, "expires_at": "2126-01-01T00:00:00.5Z"}))
    return old


# The predecessor's tokens ---------------------------------------------------------------------------------------------


async def test_the_predecessors_tokens_go_nowhere_before_they_are_adopted(
    server: OAuthServer, other: OAuthServer, tmp_path: Path
) -> None:
    home = Home(tmp_path, server)
    old = left(server, home)
    home.configure(other)  # a stranger bears the name
    home.env["DMCP_SIGN_IN"] = "never"
    async with home.client() as client:
        await client.initialize()
        with pytest.raises(RpcError, match=r"dmcp auth adopt \S+ far"):
            await whoami(client)
    assert other.count("mcp") > 0
    assert other.report()["last"]["header"] == ""
    assert json.loads(home.kept.read_text())["access_token"] == old["access_token"]


async def test_adopted_tokens_are_bound_to_the_address_of_the_configuration(
    server: OAuthServer, other: OAuthServer, tmp_path: Path
) -> None:
    home = Home(tmp_path, server)
    left(server, home)
    assert "dmcp auth adopt far" in home.run("auth", "status").stdout
    assert "dmcp auth adopt far" in told(home.run("check"))
    asked = home.run("auth", "adopt", "far")
    assert asked.returncode == 2
    assert server.url in asked.stderr
    assert "--yes" in asked.stderr
    adopted = home.run("auth", "adopt", "far", "--yes")
    assert adopted.returncode == 0
    assert server.url in told(adopted)
    async with home.client() as client:
        await client.initialize()
        assert await whoami(client) == SIGNED_IN
    assert server.count("authorizations") == 1
    home.configure(other)
    assert "not signed in" in home.run("auth", "status").stdout
    again = home.run("auth", "adopt", "far", "--yes")
    assert again.returncode == 1
    assert "left no sign-in" in told(again)


@pytest.mark.skipif(os.name != "posix", reason="a terminal of the test's own is POSIX's")
@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)])
def test_on_a_terminal_the_person_is_asked_and_shown_the_address(
    server: OAuthServer, tmp_path: Path, answer: str, status: int
) -> None:
    home = Home(tmp_path, server)
    home.leave(json.dumps({"access_token": "at", "refresh_token": "rt"}))
    ours, theirs = os.openpty()
    try:
        command = [sys.executable, "-m", "dmcp", "auth", "adopt", str(home.config), "far"]
        env = {**os.environ, **home.env}
        child = subprocess.Popen(command, env=env, stdin=theirs, stderr=subprocess.PIPE, text=True)
        os.write(ours, f"{answer}\n".encode())
        _, said = child.communicate(timeout=30)
    finally:
        os.close(ours)
        os.close(theirs)
    assert child.returncode == status
    assert server.url in said
    assert "Is this the server it is for?" in said
    assert ("access_token" in json.loads(home.kept.read_text())) == (status == 1)


def test_a_check_opens_no_browser(server: OAuthServer, tmp_path: Path) -> None:
    home = Home(tmp_path, server)
    done = home.run("check")
    assert done.returncode == 1
    assert "dmcp auth login far" in told(done)
    assert server.count("authorizations") == 0


# The client of the configuration --------------------------------------------------------------------------------------


def test_a_client_secret_never_goes_to_another_issuer_than_the_first_one_seen(
    server: OAuthServer, other: OAuthServer, tmp_path: Path
) -> None:
    home = Home(tmp_path, server, client_id="mine", client_secret="hush-hush")
    server.set(refuse="access_denied")
    assert (
        home.run("auth", "login", "far").returncode == 1
    )  # nothing came of it, and yet it was the first one
    server.set(refuse=None, authorization_server=other.base)
    done = home.run("auth", "login", "far")
    assert done.returncode == 1
    assert "dmcp auth logout far" in told(done)
    counts = other.report()["counts"]
    assert not {"authorizations", "token:authorization_code"} & set(counts)
    home.run("auth", "logout", "far")
    assert home.run("auth", "login", "far").returncode == 0  # the person says that it is right


async def test_what_was_adopted_is_renewed_at_the_issuer_of_the_client_only(
    server: OAuthServer, other: OAuthServer, tmp_path: Path
) -> None:
    home = Home(tmp_path, server, client_id="mine", client_secret="hush-hush", issuer=server.base)
    left(server, home)
    assert home.run("auth", "adopt", "far", "--yes").returncode == 0
    server.set(expire_access=True, authorization_server=other.base)
    home.env["DMCP_SIGN_IN"] = "never"
    async with home.client() as client:
        await client.initialize()
        with pytest.raises(RpcError, match=r"oauth\.issuer"):
            await whoami(client)
    assert not [what for what in other.report()["counts"] if what.startswith("token:")]


def test_a_machine_clients_secret_is_bound_as_well(
    server: OAuthServer, other: OAuthServer, tmp_path: Path
) -> None:
    home = Home(tmp_path, server, client_id="m", client_secret="s", grant="client_credentials")
    assert home.run("auth", "login", "far").returncode == 0
    server.set(authorization_server=other.base)
    assert home.run("auth", "login", "far").returncode == 1
    assert other.count("token:client_credentials") == 0


def test_a_configured_issuer_is_the_only_one_that_is_spoken_to(
    server: OAuthServer, other: OAuthServer, tmp_path: Path
) -> None:
    home = Home(tmp_path, server, client_id="mine", client_secret="hush-hush", issuer=server.base)
    server.set(authorization_server=other.base)
    done = home.run("auth", "login", "far")
    assert done.returncode == 1
    assert "oauth.issuer" in told(done)
    assert other.report()["counts"] == {}
    server.set(protected={"authorization_servers": [other.base, f"{server.base}/"]})  # it is among several
    assert home.run("auth", "login", "far").returncode == 0
    assert other.report()["counts"] == {}


# Codes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iss", ["absent", "right"])
def test_a_code_made_for_another_server_is_not_given_to_the_one_that_sent_the_person_there(
    server: OAuthServer, other: OAuthServer, tmp_path: Path, iss: str
) -> None:
    home = Home(tmp_path, server)
    server.set(metadata={"authorization_endpoint": f"{other.base}/authorize"})
    other.set(iss=iss)
    done = home.run("auth", "login", "far")
    assert done.returncode == 1
    assert "may be an attack" in told(done)
    assert other.count("authorizations") == 1
    assert server.count("token:authorization_code") == 0


def test_metadata_that_changes_while_the_person_signs_in_changes_nothing(
    server: OAuthServer, other: OAuthServer, tmp_path: Path
) -> None:
    home = Home(tmp_path, server)
    (tmp_path / "browser.py").write_text(
        "import json, sys, urllib.request as u\n"
        f"body = json.dumps({{'token_endpoint': '{other.base}/token'}}).encode()\n"
        f"u.urlopen(u.Request('{server.base}/control', body), timeout=20).close()\n"
        "u.urlopen(sys.argv[1], timeout=20).close()\n"
    )
    assert home.run("auth", "login", "far").returncode == 0
    assert other.report()["counts"] == {}


# Inside addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost.", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0", "a.localhost"],
)
async def test_a_server_elsewhere_gets_nothing_connected_to_on_this_machine(
    tmp_path: Path, host: str
) -> None:
    with closing(socket.create_server(("0.0.0.0", 0))) as inside:
        inside.settimeout(0)
        named = f"https://{host}:{inside.getsockname()[1]}/.well-known/oauth-protected-resource"
        authorizer = Authorizer(FileStore(tmp_path), lambda: True, lambda *_: None, wait_timeout=1)
        with pytest.raises(AuthError, match="server elsewhere may not"):
            await authorizer.reauthorize(
                "far",
                RemoteServer("https://mcp.example.invalid/mcp"),
                status=401,
                challenge=f'Bearer resource_metadata="{named}"',
                rejected=None,
                refresh=True,
                ask=True,
                announce=lambda _: None,
            )
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            inside.accept()


def test_a_configuration_that_came_with_a_folder_adopts_nothing_before_it_is_trusted(
    server: OAuthServer, tmp_path: Path
) -> None:
    home = Home(tmp_path, server)
    home.leave(json.dumps({"access_token": "at", "refresh_token": "rt"}))
    home.config.rename(tmp_path / "dynamic-mcp.json")
    done = run_dmcp("auth", "adopt", "far", "--yes", env=home.env, cwd=tmp_path)
    assert done.returncode == 2
    assert "trust" in told(done)
    assert json.loads(home.kept.read_text())["access_token"] == "at"


async def test_a_name_that_stands_for_this_machine_by_the_time_it_is_connected_to_gets_no_byte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(100))
        writer.close()

    async def looked_up_before(*_: object) -> None:
        """At that time the name stood for an address elsewhere."""

    monkeypatch.setattr(Reach, "check", looked_up_before)
    inside = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with inside, AuthHttpClient(5.0, "https://mcp.example.com/mcp") as web:
        port = inside.sockets[0].getsockname()[1]
        with pytest.raises(AuthError, match="this machine"):
            await web.get(f"https://127.0.0.1:{port}/x")
        with pytest.raises(AuthError, match="this machine"):
            await web.post(f"http://127.0.0.1:{port}/x", form={"secret": "hush"})
        async with AuthHttpClient(5.0, "https://10.0.0.1/mcp", f"http://127.0.0.1:{port}") as named:
            with pytest.raises(AuthUnavailable):
                await named.get(
                    f"http://127.0.0.1:{port}/x"
                )  # the person named it: it is asked, and hangs up
    assert [text.partition(b" ")[0] for text in seen if text] == [b"GET"]
