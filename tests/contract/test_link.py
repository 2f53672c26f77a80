"""What every link does, whatever moves its frames: the same outcomes over each transport, in front of a real server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contract.function import serve
from contract.owner import PATIENCE, Owner
from dmcp.config.model import RemoteServer, StdioServer
from dmcp.protocol.link import FaultKind
from dmcp.upstream.remote import remote_opener
from dmcp.upstream.stdio import stdio_opener
from harness.memory import memory_opener
from harness.processes import MARK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Literal

    from dmcp.protocol.link import OpenLink

pytestmark = pytest.mark.anyio

SERVER = str(Path(__file__).parent.parent / "servers" / "remote_sdk.py")
# name -> mode of the server, kind in the configuration
TRANSPORTS: dict[str, tuple[str, Literal["http", "sse", "auto"]]] = {
    "http-stateful": ("stateful", "http"),
    "http-stateless": ("stateless", "http"),
    "http-json": ("json", "http"),
    "http-resumable": ("resumable", "http"),
    "http-found-by-auto": ("stateful", "auto"),
    "sse": ("sse", "sse"),
    "sse-found-by-auto": ("sse", "auto"),
    "stdio": ("stdio", "auto"),
    "memory": ("memory", "auto"),
}
# Progress is told on the stream of the answer, which an answer as JSON does not have.
WITH_PROGRESS = sorted(TRANSPORTS.keys() - {"http-json"})


Url = Callable[[str], str]


@pytest.fixture(scope="module")
def url() -> Iterator[Url]:
    """Where the server runs in a mode: one process for each, for all tests, because the SDK starts slowly."""
    running: dict[str, tuple[subprocess.Popen[bytes], str]] = {}

    def started(mode: str) -> str:
        if mode not in running:
            process = subprocess.Popen(
                [sys.executable, SERVER, mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # It outlives the test it is started in, and this fixture ends it.
                env={name: value for name, value in os.environ.items() if name != MARK},
            )
            assert process.stdout is not None
            running[mode] = process, process.stdout.readline().decode().strip()
        return running[mode][1]

    yield started
    for process, _ in running.values():
        process.communicate(timeout=PATIENCE)


def _opener(name: str, url: Url) -> OpenLink:
    mode, kind = TRANSPORTS[name]
    match mode:
        case "stdio":
            return stdio_opener(StdioServer(sys.executable, (SERVER, mode)))
        case "memory":
            return memory_opener(serve)
        case _:
            return remote_opener(RemoteServer(url(mode), kind))


@asynccontextmanager
async def _session(name: str, url: Url) -> AsyncIterator[Owner]:
    owner = Owner()
    link = await owner.open(_opener(name, url))
    try:
        await owner.establish()
        yield owner
    finally:
        await link.aclose(2.0)


def _text(result: dict[str, list[dict[str, str]]]) -> str:
    return result["content"][0]["text"]


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_a_session_is_established_and_a_call_answered(name: str, url: Url) -> None:
    async with _session(name, url) as owner:
        assert _text(await owner.answer(owner.call("echo", text="grüße \U0001f600"))) == "grüße \U0001f600"


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_many_calls_at_once_are_each_answered_with_their_own_result(name: str, url: Url) -> None:
    async with _session(name, url) as owner:
        asked = {owner.call("echo", text=f"text {number}"): f"text {number}" for number in range(50)}
        for _ in range(50):
            _, message = await owner.hear()
            assert _text(message["result"]) == asked.pop(message["id"])
        assert not asked


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_a_megabyte_arrives_whole(name: str, url: Url) -> None:
    async with _session(name, url) as owner:
        assert _text(await owner.answer(owner.call("large", size=1_000_000))) == "x" * 1_000_000


@pytest.mark.parametrize("name", WITH_PROGRESS)
async def test_progress_arrives_in_order_before_the_answer(name: str, url: Url) -> None:
    async with _session(name, url) as owner:
        call = owner.call("count", steps=3)
        told = [(await owner.hear())[1] for _ in range(3)]
        assert [message["params"]["progress"] for message in told] == [1, 2, 3]
        assert {message["params"]["progressToken"] for message in told} == {call}
        assert _text(await owner.answer(call)) == "3 steps"


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_an_abandoned_call_is_heard_of_no_more_and_harms_no_other(name: str, url: Url) -> None:
    async with _session(name, url) as owner:
        assert owner.link is not None
        owner.link.abandon(owner.call("hang"))
        await owner.answer(owner.call("echo", text="next"))
        assert owner.unheard == []


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_a_paused_link_tells_its_answer_once_it_is_resumed(name: str, url: Url) -> None:
    async with _session(name, url) as owner:
        assert owner.link is not None
        owner.link.pause()
        call = owner.call("large", size=300_000)
        owner.link.resume()
        assert len(_text(await owner.answer(call))) == 300_000


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_a_closed_link_says_nothing_and_closes_twice(name: str, url: Url) -> None:
    async with _session(name, url) as owner:
        assert owner.link is not None
        owner.call("hang")
        await owner.link.aclose(2.0)
        await owner.link.aclose(2.0)
        owner.call("echo", text="too late")
        told = [what for what, _ in owner.unheard]
        assert "frame" not in told
        assert "failed" not in told


async def test_the_stream_of_a_session_brings_what_the_server_says_of_its_own_accord(url: Url) -> None:
    async with _session("http-stateful", url) as owner:
        heard = set()
        async with asyncio.timeout(PATIENCE):
            # Again and again: what is said before the stream is open, no stream brings.
            while "notifications/resources/list_changed" not in heard:
                owner.call("announce")
                heard.add((await owner.hear())[1].get("method"))


async def test_an_answer_whose_stream_the_server_closed_is_fetched_by_its_event_id(url: Url) -> None:
    async with _session("http-resumable", url) as owner:
        assert _text(await owner.answer(owner.call("cut"))) == "after the cut"


async def test_a_session_the_server_has_ended_closes_the_link_for_a_new_one(url: Url) -> None:
    async with _session("http-stateful", url) as owner, asyncio.timeout(PATIENCE):
        assert owner.link is not None
        link = owner.link
        await link._endpoint.open("DELETE", link._headers())  # type: ignore[attr-defined]  # the server's side of it
        call = owner.call("echo", text="gone")
        fault = await owner.failure(call)
        assert (fault.kind, fault.may_have_run) == (FaultKind.SESSION_LOST, False)
        assert (await owner.closing()).kind is FaultKind.SESSION_LOST
