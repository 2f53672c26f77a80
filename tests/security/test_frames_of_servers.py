"""However large and odd a message of a server is, it arrives as sent or fails its own call, and holds nobody up."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from harness import LongLineClient, RawClient, dmcp_command, write_config
from harness.configs import TESTS, python_server
from harness.watched import LoopWatch
from servers.large_frames import UNITS, body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

MIB = 1024 * 1024
LONG = 120.0  # seconds: most of it is the test's machine
HELD = 50  # ms of processor time
HELD_BY_16_MIB = 100  # likewise, for a message of that size and more


@asynccontextmanager
async def large(
    tmp_path: Path, *options: str, **more: Any
) -> AsyncIterator[tuple[LongLineClient, LoopWatch]]:
    script = TESTS / "servers" / "large_frames.py"
    servers = {"g": python_server(script, *options, **more), "other": python_server(script)}
    config = write_config(tmp_path / "dmcp.json", servers)
    watch = LoopWatch(tmp_path)
    async with LongLineClient(LoopWatch.command(config), env=watch.env, strict=False) as client:
        await client.initialize("2025-03-26", capabilities={"sampling": {}, "roots": {}})
        for group in servers:
            await client.call(group, "echo")
        watch.start_watching()
        await asyncio.sleep(0.1)
        yield client, watch
        await client.call("g", "echo")  # it is served all the same
        await client.call("other", "echo")


def ask(client: RawClient, place: str, shape: str, size: int) -> int | str:
    args = {"place": place, "shape": shape, "size": size}
    arguments = {"group": "g", "name": "send", "args": args}
    return client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})


@pytest.mark.parametrize("shape", UNITS)
async def test_a_large_result_of_any_shape_arrives_as_it_was_sent_and_holds_nobody_up(
    shape: str, tmp_path: Path
) -> None:
    async with large(tmp_path) as (client, watch):
        for size, budget in ((3 * MIB, HELD), (16 * MIB, HELD_BY_16_MIB)):
            number = ask(client, "result", shape, size)
            await client.until(lambda: bool(client.long), "the result", LONG)
            sent = body(shape, size)
            line = client.long.pop()
            head, tail = b'{"result":{"x":', b'},"jsonrpc":"2.0","id":%d}' % int(number)
            assert line.startswith(head)
            assert line[len(head) :].startswith(sent)
            assert line.endswith(tail)
            assert len(line) == len(head) + len(sent) + len(tail)
            assert watch.held().cpu < budget


@pytest.mark.parametrize(
    ("shapes", "size", "budget"),
    [
        (["text", "escapes", "unicode", "space", "objects"], 17 * MIB, HELD_BY_16_MIB),
        (["lists"], 6 * MIB, HELD),
        (["objects"], 60_000_000, HELD_BY_16_MIB),
    ],
    ids=["17 MiB", "lists", "60 MB"],
)
async def test_a_result_that_comes_first_arrives_while_others_are_served(
    shapes: list[str], size: int, budget: int, tmp_path: Path
) -> None:
    async with large(tmp_path, timeout={"tools": "5m"}) as (client, watch):
        for shape in shapes:
            ask(client, "result first", shape, size)
            while not client.long:
                await client.call("other", "echo")
            assert body(shape, size) in client.long.pop()
            assert watch.held().cpu < budget, shape


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no object", "the result must be an object"),
        ("unfinished", "Parse error"),
        ("no utf-8", "not valid UTF-8"),
        ("two values", "something follows"),
        ("version", '"jsonrpc" must be "2.0"'),
    ],
)
async def test_a_large_answer_that_is_none_fails_its_own_call_at_once_and_says_why(
    place: str, said: str, tmp_path: Path
) -> None:
    sizes = [
        ("digits", 2 * MIB, HELD),
        ("text", 17 * MIB, HELD_BY_16_MIB),
        ("objects", 17 * MIB, HELD_BY_16_MIB),
    ]
    if place == "unfinished":
        sizes.append(("objects", 60_000_000, HELD_BY_16_MIB))
    async with large(tmp_path, timeout={"tools": "5m"}) as (client, watch):
        for shape, size, budget in sizes:
            answer = await client.answer(ask(client, place, shape, size), LONG)
            if (
                place != "version"
            ):  # what is no JSON-RPC 2.0 is no answer either; then the server's own one comes
                assert said in answer["error"]["message"]
                assert len(json.dumps(answer)) < 1000
            assert watch.held().cpu < budget, (shape, size)


@pytest.mark.parametrize(
    ("shapes", "size", "budget"),
    [(["objects", "text", "escapes"], 17 * MIB, HELD_BY_16_MIB), (["text"], 60_000_000, HELD_BY_16_MIB)],
    ids=["17 MiB", "60 MB"],
)
async def test_the_error_of_a_server_keeps_its_code_and_data_however_large(
    shapes: list[str], size: int, budget: int, tmp_path: Path
) -> None:
    async with large(tmp_path, timeout={"tools": "5m"}) as (client, watch):
        for shape in shapes:
            sent = body(shape, size)
            ask(client, "error", shape, size)
            await client.until(lambda: bool(client.long), "the error", LONG)
            assert client.long.pop().startswith(b'{"error":{"code":-5,"message":"g: no","data":' + sent)
            if shape != "objects":
                ask(client, "message", shape, size)
                await client.until(lambda: bool(client.long), "the error", LONG)
                assert client.long.pop().startswith(b'{"error":{"code":-5,"message":"g: ' + sent[1:])
            assert watch.held().cpu < budget, shape


@pytest.mark.parametrize(("place", "said"), [("error", "g: no"), ("no message", "g: {")])
async def test_a_large_error_holds_nobody_up_whatever_it_has_and_lacks(
    place: str, said: str, tmp_path: Path
) -> None:
    async with large(tmp_path, timeout={"tools": "5m"}) as (client, watch):
        for size in (3_900_000, 20_000_000):
            number = ask(client, place, "objects", size)
            if place == "error":
                await client.until(lambda: bool(client.long), "the error", LONG)
                assert client.long.pop().startswith(b'{"error":{"code":-5,"message":"%b' % said.encode())
            else:  # what has no message is no error object, and a client may drop it
                error = (await client.answer(number, LONG))["error"]
                assert error["code"] == -5
                assert error["message"].startswith(said)
            assert watch.held().cpu < HELD


@pytest.mark.parametrize("place", ["batch", "request", "notification", "odd", "method", "id"])
async def test_whatever_else_a_server_sends_in_one_message_holds_nobody_up(
    place: str, tmp_path: Path
) -> None:
    sizes = [(shape, 3 * MIB) for shape in ("objects", "text", "digits", "deep")]
    sizes += [("digits", 12 * MIB), ("objects", 20_000_000), ("text", 20_000_000)]
    client: LongLineClient
    async with large(tmp_path, timeout={"tools": "5m"}) as (client, watch):
        client.answers["sampling/createMessage"] = lambda _: {}
        for shape, size in sizes:
            answer = await client.answer(ask(client, place, shape, size), LONG)
            assert "result" in answer
            assert watch.held().cpu < HELD, (shape, size)
        assert len(client.stderr) < 10_000


async def test_a_batch_with_a_warning_for_each_message_warns_once(tmp_path: Path) -> None:
    async with large(tmp_path) as (client, watch):
        answer = await client.answer(ask(client, "many", "numbers", 1000))  # as many as a batch may have
        assert answer["result"] == {}
        await client.logged("more like it")
        assert client.stderr.count("no message") == 1
        assert watch.held().cpu < HELD


async def test_a_batch_of_more_than_a_thousand_is_one_error(tmp_path: Path) -> None:
    async with large(tmp_path, timeout={"tools": "2s"}) as (client, watch):
        answer = await client.answer(ask(client, "many", "objects", 10 * MIB), LONG)
        assert "no answer" in answer["error"]["message"]
        await client.logged("more than 1,000 messages in a batch")
        assert watch.held().cpu < HELD


async def test_a_listing_as_large_as_the_limit_is_read_in_slices(tmp_path: Path) -> None:
    script = TESTS / "servers" / "large_frames.py"
    config = write_config(
        tmp_path / "dmcp.json", {"g": python_server(script, "1000", "1500"), "o": python_server(script)}
    )
    watch = LoopWatch(tmp_path)
    async with LongLineClient(LoopWatch.command(config), env=watch.env, strict=False) as client:
        await client.initialize()
        await client.call("o", "echo")
        watch.start_watching()
        await client.call("g", "echo")
        assert watch.held().cpu < HELD


async def test_an_entry_of_a_listing_with_too_many_values_fails_the_listing_in_words(tmp_path: Path) -> None:
    script = TESTS / "servers" / "large_frames.py"
    config = write_config(tmp_path / "dmcp.json", {"g": python_server(script, "1", "150000")})
    async with LongLineClient(dmcp_command(config), strict=False) as client:
        await client.initialize()
        await client.logged("more than 100,000 values")
