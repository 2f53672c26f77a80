"""A refresh token that rotates is used once, however many requests and processes want a new access token."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from dmcp.actors.auth import AuthActor
from dmcp.actors.credentials import ActorCredentials
from dmcp.auth.authorizer import Authorizer
from dmcp.auth.store import FileStore
from dmcp.config.model import RemoteServer
from dmcp.messages.auth import Configured
from servers.oauth_process import OAuthServer, Person, running

pytestmark = pytest.mark.anyio
_ROOT = Path(__file__).parents[3]
_WAIT = 60.0


async def _signed_in(folder: Path, server: OAuthServer) -> None:
    authorizer = Authorizer(FileStore(folder), lambda: True, Person().show, wait_timeout=20)
    await authorizer.reauthorize(
        "srv",
        RemoteServer(server.url),
        status=401,
        challenge="",
        rejected=None,
        refresh=True,
        ask=True,
        announce=lambda _: None,
    )


def _age(folder: Path, expires: str = "2026-01-01T01:00:00+00:00") -> None:
    """Make the stored tokens look as if they came long ago."""
    path = folder / "srv.json"
    record = json.loads(path.read_text())
    record["entries"][0]["tokens"] |= {
        "obtained_at": "2026-01-01T00:00:00+00:00",
        "expires_at": expires,
    }
    path.write_text(json.dumps(record))


async def test_fifty_concurrent_calls_with_an_expired_token_refresh_once_and_all_succeed(
    tmp_path: Path,
) -> None:
    with running() as server:
        await _signed_in(tmp_path, server)
        _age(tmp_path)
        actor = AuthActor.start(Authorizer(FileStore(tmp_path), lambda: False))
        actor.tell(Configured("srv", RemoteServer(server.url)))
        credentials = ActorCredentials(actor, "srv", RemoteServer(server.url))

        async def call(client: httpx.AsyncClient) -> int:
            header = await credentials.authorization()
            return (await client.post(server.url, headers={"Authorization": header or ""})).status_code

        async with httpx.AsyncClient(timeout=_WAIT) as client:
            statuses = await asyncio.gather(*(call(client) for _ in range(50)))
        actor.stop(block=False)
        assert set(statuses) == {200}
        counts = server.report()["counts"]
        assert (counts["token:refresh_token"], counts.get("reuses", 0)) == (1, 0)


async def test_fifty_calls_refused_at_once_refresh_once_and_all_succeed(tmp_path: Path) -> None:
    with running() as server:
        await _signed_in(tmp_path, server)
        server.set(expire_access=True)  # they look good to us and are not
        _age(tmp_path, expires="2126-01-01T00:00:00+00:00")
        actor = AuthActor.start(Authorizer(FileStore(tmp_path), lambda: False))
        actor.tell(Configured("srv", RemoteServer(server.url)))
        credentials = ActorCredentials(actor, "srv", RemoteServer(server.url))

        async def call(client: httpx.AsyncClient) -> int:
            header = await credentials.authorization()
            answer = await client.post(server.url, headers={"Authorization": header or ""})
            if answer.status_code == 401:
                header = await credentials.challenged(401, answer.headers["WWW-Authenticate"], header)
                answer = await client.post(server.url, headers={"Authorization": header})
            return answer.status_code

        async with httpx.AsyncClient(timeout=_WAIT) as client:
            statuses = await asyncio.gather(*(call(client) for _ in range(50)))
        actor.stop(block=False)
        assert set(statuses) == {200}
        assert server.count("token:refresh_token") == 1


async def test_four_processes_with_the_same_expired_token_refresh_once(tmp_path: Path) -> None:
    with running() as server:
        await _signed_in(tmp_path, server)
        for turn in range(2):
            _age(tmp_path)
            processes = [_process(tmp_path, server) for _ in range(4)]
            try:
                for process in processes:
                    assert process.stdout is not None
                    assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
                answers = await asyncio.gather(*(asyncio.to_thread(_go, process) for process in processes))
            finally:
                for process in processes:
                    process.kill()
                    process.communicate(timeout=_WAIT)
            assert len({header for answer in answers for header in answer}) == 1
            assert answers[0][0].startswith("Bearer at-")
            counts = server.report()["counts"]
            assert (counts["token:refresh_token"], counts.get("reuses", 0)) == (turn + 1, 0)


def _process(folder: Path, server: OAuthServer) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("renew_once.py")
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), server.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
    )


def _go(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    headers: list[str] = json.loads(process.stdout.readline())
    return headers
