"""Sign-ins that are on the disk already: whole dmcp processes share them, and the predecessor's are good too."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from dmcp.auth.authorizer import Authorizer
from dmcp.auth.store import FileStore
from dmcp.config.model import RemoteServer
from harness import RawClient, dmcp_command, write_config
from integration.remote.guarded import SIGNED_IN, client_of, look, whoami
from servers.oauth_process import OAuthServer, Person

pytestmark = pytest.mark.anyio


async def signed_in(home: Path, guarded: OAuthServer) -> Path:
    """Sign in as ``dmcp auth login`` does. Returns the file that keeps it."""
    folder = home / ".dynamic-mcp" / "oauth-servers"
    authorizer, remote = (
        Authorizer(FileStore(folder), lambda: True, Person().show, 20),
        RemoteServer(guarded.url),
    )
    wanted = await authorizer.challenge_of(remote)
    await authorizer.sign_in("far", remote, wanted=wanted, rejected=None, announce=lambda _: None)
    return folder / "far.json"


async def answers(client: RawClient, calls: int) -> set[str]:
    """What that many calls at once are answered."""
    await client.initialize()
    return set(await asyncio.gather(*(whoami(client) for _ in range(calls))))


async def test_four_dmcps_with_fifty_calls_each_renew_an_expired_sign_in_once(
    guarded: OAuthServer, tmp_path: Path
) -> None:
    path = await signed_in(tmp_path, guarded)
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["entries"][0]["tokens"] |= {
        "obtained_at": "2026-01-01T00:00:00+00:00",
        "expires_at": "2026-01-01T01:00:00+00:00",
    }
    path.write_text(json.dumps(stored), encoding="utf-8")
    guarded.set(token_delay=1.0)  # so that nobody is done before the others have begun
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client_of(guarded, tmp_path)) for _ in range(4)]
        said = await asyncio.gather(*(answers(client, 50) for client in clients))
    assert said == [{SIGNED_IN}] * 4
    counts = guarded.report()["counts"]
    assert (counts["token:refresh_token"], counts.get("reuses", 0)) == (1, 0)


async def test_a_sign_in_the_predecessor_kept_is_used_once_it_is_adopted(
    guarded: OAuthServer, tmp_path: Path
) -> None:
    path = await signed_in(tmp_path, guarded)
    tokens = json.loads(path.read_text(encoding="utf-8"))["entries"][0]["tokens"]
    old = {name: tokens[name] for name in ("access_token", "refresh_token")}
    path.write_text(json.dumps({**old, "expires_at": "2126-01-01T00:00:00.5Z"}), encoding="utf-8")
    assert await Authorizer(FileStore(path.parent)).adopt("far", RemoteServer(guarded.url))
    async with client_of(guarded, tmp_path) as client:
        assert await answers(client, 1) == {SIGNED_IN}
    assert guarded.count("authorizations") == 1


async def test_a_sign_in_is_kept_in_the_keyring_where_the_configuration_says_so(
    guarded: OAuthServer, tmp_path: Path
) -> None:
    vault, far = tmp_path / "vault.json", {"description": "guarded", "url": guarded.url}
    config = write_config(tmp_path / "dmcp.json", {"far": far}, oauth_store="keyring")
    env = {
        "PYTHON_KEYRING_BACKEND": "servers.file_keyring.FileKeyring",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "KEYRING_FILE": str(vault),
    }
    async with RawClient(dmcp_command(config), env=env) as client:
        await client.initialize(capabilities={"elicitation": {"form": {}, "url": {}}})
        look(client)
        offered = await client.heard("elicitation/create")
        await asyncio.to_thread(Person().visit, offered["params"]["url"])
        assert (await client.call("far", "whoami"))["content"][0]["text"] == SIGNED_IN
    assert list(json.loads(vault.read_text(encoding="utf-8"))) == ["dmcp/far"]
    assert not (tmp_path / ".dynamic-mcp" / "oauth-servers" / "far.json").exists()
    async with RawClient(dmcp_command(config), env=env) as client:
        assert await answers(client, 1) == {SIGNED_IN}
    assert guarded.count("authorizations") == 1
