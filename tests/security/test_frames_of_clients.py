"""The client is a stranger too: what it sends, however large, odd or much, is answered and holds nobody up."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from faults.front_door import call_of, dmcp, rogue
from harness import RawClient, write_config
from harness.configs import TESTS, python_server
from harness.watched import LoopWatch
from servers.large_frames import body

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

MIB = 1024 * 1024
LONG = 120.0
HELD = 50


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        (["text", "escapes", "surrogates", "numbers"], 17 * MIB),
        (["objects"], 20_000_000),
        (["text"], 60_000_000),
    ],
    ids=["17 MiB", "20 MB", "60 MB"],
)
async def test_large_arguments_reach_the_tool_as_they_were_sent(
    shapes: list[str], size: int, tmp_path: Path
) -> None:
    config = write_config(
        tmp_path / "dmcp.json",
        {"g": python_server(TESTS / "servers" / "argument_bytes.py", timeout={"tools": "5m"})},
    )
    watch = LoopWatch(tmp_path)
    async with RawClient(LoopWatch.command(config), env=watch.env, strict=False) as client:
        await client.initialize()
        await client.tools("g")
        watch.start_watching()
        for shape in shapes:
            text = body(shape, size)
            head = b'{"jsonrpc":"2.0","id":"big","method":"tools/call","params":{"name":"call_dynamic_tool",'
            client.write(head + b'"arguments":{"group":"g","name":"count","args":{"x":' + text + b"}}}}\n")
            client.ask("ping", identifier=f"after {shape}")
            answer = await client.answer("big", LONG)
            assert answer["result"]["content"][0]["text"] == str(len(b'{"x":}') + len(text))
            assert (await client.answer(f"after {shape}"))["result"] == {}
            assert watch.held().cpu < HELD, shape


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "long method": (
        lambda: b'{"jsonrpc":"2.0","id":"a","method":%b}' % body("text", 30 * MIB),
        "must be a string of at most",
    ),
    "params of many values": (
        lambda: b'{"jsonrpc":"2.0","id":"a","method":"prompts/get","params":{"x":%b}}' % body("objects", MIB),
        "100,000 values",
    ),
    "long params": (
        lambda: (
            b'{"jsonrpc":"2.0","id":"a","method":"prompts/list","params":{"x":%b}}' % body("text", 30 * MIB)
        ),
        "longer than 16 MiB",
    ),
    "long id": (
        lambda: b'{"jsonrpc":"2.0","id":%b,"method":"ping"}' % body("text", 10 * MIB),
        "the id is longer than",
    ),
    "id of many digits": (
        lambda: b'{"jsonrpc":"2.0","id":%b,"method":"ping"}' % body("digits", 10 * MIB),
        "the id is longer than",
    ),
    "a second value": (
        lambda: b'{"jsonrpc":"2.0","id":"a","method":"ping"}%b' % (b"{}" * 10 * MIB),
        "something follows",
    ),
    "objects": (lambda: body("objects", 30 * MIB), "more than 1,000 messages"),
    "deep": (lambda: body("deep", 30 * MIB), "more than 1,000 messages"),
    "lists": (lambda: body("lists", 30 * MIB), "more than 1,000 messages"),
    "open brackets": (lambda: b"[" * 30 * MIB, "nested too deeply"),
    "open objects": (lambda: b'{"a":' * 5 * MIB, "nested too deeply"),
    "no utf-8": (
        lambda: b'{"jsonrpc":"2.0","id":"a","method":"x' + b"\xff" * MIB + b'"}',
        "not valid UTF-8",
    ),
    "a number": (lambda: b"7" * 10 * MIB, "must be a JSON object"),
    "spaces": (lambda: b" " * 10 * MIB, "too early"),
}
"""A line of each kind, made when it is needed: they are a quarter of a gigabyte. And the error it is answered with."""


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_large_line_that_is_no_request_is_one_short_error(kind: str, tmp_path: Path) -> None:
    make, said = REFUSED[kind]
    config = write_config(tmp_path / "dmcp.json", {})
    watch = LoopWatch(tmp_path)
    async with RawClient(LoopWatch.command(config), env=watch.env, strict=False) as client:
        await client.initialize("2025-03-26")
        await client.request("tools/list")  # the start is over
        await asyncio.sleep(0.2)
        watch.start_watching()
        client.write(make() + b"\n")
        client.ask("ping", identifier="after")
        assert (await client.answer("after", LONG))["result"] == {}
        (refused,) = [each for each in map(json.loads, client.lines) if "error" in each]
        assert said in refused["error"]["message"]
        assert len(json.dumps(refused)) < 500
        assert watch.held().cpu < HELD


async def test_what_the_client_calls_things_is_cut_where_it_is_quoted(tmp_path: Path) -> None:
    long = "\x1b[31m" + "n" * MIB
    asked: list[tuple[str, dict[str, Any]]] = [
        (long, {}),
        ("tools/call", {"name": long}),
        ("tools/call", {"name": "get_dynamic_tools", "arguments": {"group": long}}),
        ("tools/call", call_of("echo", group=long)),
        ("tools/call", call_of(long)),
        ("resources/read", {"uri": long}),
        ("prompts/get", {"name": long}),
        ("resources/list", {"cursor": long}),
        ("resources/list", {"group": long}),
        ("logging/setLevel", {"level": long}),
        ("initialize", {"protocolVersion": long}),
    ]
    async with dmcp(tmp_path, {"g": rogue()}, strict=False) as client:
        await client.initialize()
        for method, params in asked:
            answer = await client.answer(client.ask(method, params))
            text = json.dumps(answer)
            assert len(text) < 1000, (method, list(params))
            assert "\\u001b" not in text


async def test_open_requests_of_the_client_are_bounded_before_the_configuration_is_read_and_after(
    tmp_path: Path,
) -> None:
    async with dmcp(tmp_path, {"g": rogue()}, strict=False) as client:
        info = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        }
        client.ask("initialize", info, identifier="hello")
        for number in range(10_000):
            client.ask("tools/list", identifier=f"early {number}")
        answers = [await client.answer(f"early {number}", LONG) for number in range(10_000)]
        refused = [answer["error"]["message"] for answer in answers if "error" in answer]
        assert all("4,096 requests open" in message for message in refused)
        assert len(answers) - len(refused) >= 4096
        assert await client.request("ping") == {}


DEEP = b",".join([b"[" * 880 + b"]" * 880] * 50)


@pytest.mark.parametrize("kind", ["pings", "lists", "objects", "deep params"])
async def test_messages_that_cost_more_than_others_of_their_size_hold_nobody_up(
    kind: str, tmp_path: Path
) -> None:
    """Batches of a thousand, and params that only a slow reader reads."""
    method = "tools/list" if kind == "lists" else "ping"
    requests = [
        b'{"jsonrpc":"2.0","id":%d,"method":"%b"}' % (number, method.encode()) for number in range(1000)
    ]
    line = {
        "objects": b"[" + b",".join([b"{}"] * 1000) + b"]\n",
        "deep params": b'{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"n","x":[%b]}}\n'
        % DEEP,
    }.get(kind, b"[" + b",".join(requests) + b"]\n")
    config = write_config(tmp_path / "dmcp.json", {})
    watch = LoopWatch(tmp_path)
    async with RawClient(LoopWatch.command(config), env=watch.env, strict=False) as client:
        await client.initialize("2025-03-26")
        await client.request("tools/list")  # the start is over
        await asyncio.sleep(0.2)
        watch.start_watching()
        await asyncio.sleep(0.1)
        client.lines.clear()
        client.write(line * 20)
        client.ask("ping", identifier="after")
        assert (await client.answer("after", LONG))["result"] == {}
        await client.until(lambda: len(client.lines) >= 21, "all answers", LONG)
        if kind == "pings":
            batches = [answers for answers in map(json.loads, client.lines) if isinstance(answers, list)]
            assert [len(answers) for answers in batches] == [1000] * 20
        assert watch.held().cpu < HELD
