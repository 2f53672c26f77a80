"""Schemas of strangers that arguments are held against: nothing of theirs runs or is fetched, nothing takes long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.protocol.operations import CallTool, Error, Result
from dmcp.protocol.schemas import misfits, repaired
from dmcp.stages.arguments import Failures, explained
from harness import RawClient, write_config
from harness.configs import TESTS, python_server
from harness.measured import processor_time
from harness.watched import LoopWatch

if TYPE_CHECKING:
    from pathlib import Path


def nested(levels: int, inside: Any, key: str = "items") -> Any:
    for _ in range(levels):
        inside = {"type": "array", key: inside}
    return inside


def forms(levels: int) -> dict[str, Any]:
    """Forms within forms: 8 ** levels of them, in a text of a few kilobytes."""
    defs: dict[str, Any] = {"f0": {"type": "integer"}}
    for level in range(1, levels):
        defs[f"f{level}"] = {"anyOf": [{"$ref": f"#/$defs/f{level - 1}"}] * 8}
    return {"type": "object", "properties": {"a": {"$ref": f"#/$defs/f{levels - 1}"}}, "$defs": defs}


HOSTILE: dict[str, Any] = {
    "round": {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}},
    "round_in_forms": {"$ref": "#/$defs/x", "$defs": {"x": {"anyOf": [{"$ref": "#/$defs/x"}] * 30}}},
    "forms": forms(12),
    "elsewhere": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}},
    "file": {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}},
    "regex": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
    "deep": {"type": "object", "properties": {"a": nested(300, {"type": "integer"})}},
    "wide": {"type": "object", "properties": {f"p{n}": {"type": "integer"} for n in range(20_000)}},
    "many_values": {"type": "object", "properties": {"a": {"enum": list(range(50_000))}}},
    "many_required": {"type": "object", "required": [f"p{n}" for n in range(50_000)]},
    "no_schema": {"type": 7, "properties": [], "required": "a", "anyOf": {}, "enum": "x", "items": 3},
    "odd_parts": {
        "properties": {"a": 5, "b": None},
        "required": [1, None],
        "additionalProperties": "no",
        "allOf": [1, {}],
    },
    "odd_bounds": {"properties": {"a": {"minimum": "x", "maxLength": True, "minItems": -1, "maximum": None}}},
    "odd_reference": {"properties": {"a": {"$ref": "#/a/~2/%zz"}, "b": {"$ref": 7}, "c": {"$ref": "#"}}},
    "pointers": {"properties": {"a": {"$ref": "#" + "/a" * 100_000}}},
}
ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"a": "a" * 40 + "!"},
    {"a": "5", "b": "[1]", "c": {"c": {"c": "7"}}},
    {"a": json.loads("[" * 200 + '"1"' + "]" * 200)},
    {f"q{n}": str(n) for n in range(3000)},
    {"a": [{"x": [str(n)]} for n in range(3000)]},
]


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_schema_is_it_is_compared_in_bounded_time_and_raises_nothing(name: str) -> None:
    schema = HOSTILE[name]
    with processor_time() as used:
        for given in ARGUMENTS:
            assert len(misfits(given, schema)) <= 8
            repaired(given, schema)
            tool = {"name": "t", "inputSchema": schema}
            failed = Result(b'{"content":[],"isError":true}')
            said = explained(CallTool("t", given), failed, tool, 3)
            assert isinstance(said, Result)
            assert len(said.body) < 8000
    assert used.seconds < 0.05 * 3 * len(ARGUMENTS)


@pytest.mark.parametrize(
    "body",
    [
        *(
            b'{"isError":true}',
            b'{"content":7,"isError":true}',
            b'{"content":[],"isError":"true"}',
            b'{"isError":true,}',
        ),
        *(b'{"content":[{"text":"isError\\": true"}]}', b'{"content":[{"x":{"isError":true}}]}', b"[]", b"7"),
    ],
)
def test_a_result_that_is_no_failed_one_or_cannot_be_read_stays_as_it_is(body: bytes) -> None:
    tool = {"name": "t", "inputSchema": {"type": "object", "required": ["a"]}}
    assert explained(CallTool("t", {}), Result(body), tool, 3) == Result(body)
    assert explained(CallTool("t", {}), Error(body), tool, 3) == Error(body)


def test_what_is_added_leaves_every_other_byte_of_a_failed_result_as_it_was() -> None:
    tool = {"name": "t", "inputSchema": {"type": "object", "required": ["a"]}}
    body = b'{ "x" : 1.50, "content" : [ {"type":"text","text":"no"} ] , "isError" : true, "meta":{"n":1E2} }'
    said = explained(CallTool("t", {}), Result(body), tool, 1)
    assert isinstance(said, Result)
    before, _, after = bytes(said.body).partition(b',{"type":"text","text":"Note from dmcp: ')
    assert before == b'{ "x" : 1.50, "content" : [{"type":"text","text":"no"}'
    assert after.endswith(b'] , "isError" : true, "meta":{"n":1E2} }')


def test_words_of_a_schema_are_shown_as_harmless_text() -> None:
    schema = {"type": "object", "required": ["\x1b[2J\u202eevil"], "properties": {"k\nx": {"enum": ["\x07"]}}}
    said = explained(
        CallTool("t", {"k\nx": 1}),
        Result(b'{"content":[],"isError":true}'),
        {"name": "t\x1b", "inputSchema": schema},
        1,
    )
    assert isinstance(said, Result)
    text = json.loads(bytes(said.body))["content"][0]["text"]
    assert not {"\x1b", "\u202e", "\x07"} & set(text)
    assert len(text.splitlines()) == 4


def test_failures_are_counted_for_each_client_and_the_memory_of_them_is_bounded() -> None:
    failures, call, one = Failures(), CallTool("t", {"a": 1}), Result(b"1")
    assert [failures.count(1, "g", call, one) for _ in range(3)] == [1, 2, 3]
    assert failures.count(2, "g", call, one) == 1
    assert failures.count(1, "g", call, Result(b"2")) == 1
    assert failures.count(1, "g", call._replace(arguments={"a": 2}), one) == 1
    for number in range(300):
        failures.count(1, "g", CallTool("t", {"n": number}), one)
    assert failures.count(1, "g", call, one) == 1


@pytest.mark.anyio
async def test_the_loop_goes_on_while_failed_calls_are_held_against_hostile_schemas(tmp_path: Path) -> None:
    (tmp_path / "schemas.json").write_text(
        json.dumps({name: s for name, s in HOSTILE.items() if name != "pointers"})
    )
    server = python_server(TESTS / "servers" / "strict.py", str(tmp_path / "schemas.json"), "fail")
    watch = LoopWatch(tmp_path)
    config = write_config(tmp_path / "dmcp.json", {"g": server})
    async with RawClient(LoopWatch.command(config), env=watch.env) as client:
        await client.initialize()
        await client.tools("g")
        for given in ARGUMENTS[:1]:
            await client.call("g", "round", given)
        watch.start_watching()
        for name in HOSTILE:
            for given in ARGUMENTS:
                result = await client.call("g", name, given)
                assert result["isError"] is True
        assert watch.held().cpu < 50
