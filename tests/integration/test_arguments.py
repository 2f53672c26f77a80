"""Calls as models really write them, through a real dmcp to a server that takes only what its schemas say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from harness import RawClient, RpcError, dmcp_command, write_config
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

TEXT, WHOLE, TRUTH = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
ISSUE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title"],
    "properties": {
        "title": TEXT,
        "body": TEXT,
        "count": {"type": "integer", "minimum": 1, "maximum": 100},
        "share": {"type": "number"},
        "draft": TRUTH,
        "state": {"enum": ["open", "closed"]},
        "labels": {"type": "array", "items": TEXT},
        "numbers": {"type": "array", "items": WHOLE},
        "since": {"anyOf": [WHOLE, {"type": "null"}]},
        "author": {"$ref": "#/$defs/person"},
    },
    "$defs": {"person": {"type": "object", "properties": {"id": WHOLE, "name": TEXT}, "required": ["id"]}},
}
LOOSE = {
    "type": "object",
    "properties": {"path": TEXT, "depth": WHOLE, "id": {"type": ["string", "integer"]}},
}
SCHEMAS = {
    "create": ISSUE,
    "rpc_create": ISSUE,
    "need_path": {**LOOSE, "required": ["path"]},
    "plain": {"type": "object"},
    "raw": {"type": "object", "properties": {"n": {"type": "number"}, "text": TEXT, "a": TEXT}},
    "none": {"type": "object", "properties": {}, "additionalProperties": False},
}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[RawClient]:
    (tmp_path / "schemas.json").write_text(json.dumps(SCHEMAS))
    servers = {
        "git": python_server(TESTS / "servers" / "strict.py", str(tmp_path / "schemas.json")),
        "git_hub": python_server(TESTS / "servers" / "strict.py", str(tmp_path / "schemas.json")),
    }
    async with RawClient(dmcp_command(write_config(tmp_path / "dmcp.json", servers))) as ready:
        await ready.initialize()
        yield ready


async def ask(client: RawClient, arguments: dict[str, Any]) -> tuple[bool, str]:
    """Call it as the model says. Returns whether it went well, and all that the model reads."""
    try:
        result = await client.request("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})
    except RpcError as error:
        return False, error.message
    return not result.get("isError"), "\n".join(block["text"] for block in result["content"])


def usual(args: Any, name: str = "create", **more: Any) -> dict[str, Any]:
    return {"group": "git", "name": name, "args": args, **more}


GOOD = {"title": "T", "count": 3}
SPELT = json.dumps(GOOD)
UNDERSTOOD: list[tuple[str, dict[str, Any], Any]] = [
    ("args as JSON", usual(SPELT), GOOD),
    ("args as JSON of JSON", usual(json.dumps(SPELT)), GOOD),
    (
        "args as Python",
        usual("{'title': 'T', 'draft': True, 'since': None}"),
        {"title": "T", "draft": True, "since": None},
    ),
    ("args in a fence", usual(f"```json\n{SPELT}\n```"), GOOD),
    ("args in a list", usual([GOOD]), GOOD),
    ("args empty text", usual("", "none"), {}),
    ("args null", usual(None, "none"), {}),
    ("no args", {"group": "git", "name": "none"}, {}),
    ("arguments", {"group": "git", "name": "create", "arguments": GOOD}, GOOD),
    ("arguments as JSON", {"group": "git", "name": "create", "arguments": SPELT}, GOOD),
    ("parameters", {"group": "git", "name": "create", "parameters": GOOD}, GOOD),
    ("input", {"group": "git", "name": "create", "input": GOOD}, GOOD),
    ("params", {"group": "git", "name": "create", "params": GOOD}, GOOD),
    ("beside", {"group": "git", "name": "create", **GOOD}, GOOD),
    ("beside, args null", {"group": "git", "name": "create", "args": None, **GOOD}, GOOD),
    (
        "beside, one called input",
        {"group": "git", "name": "plain", "input": "a", "x": 1},
        {"input": "a", "x": 1},
    ),
    ("beside, a text called input", {"group": "git", "name": "plain", "input": "a"}, {"input": "a"}),
    ("group/name", {"name": "git/create", "args": GOOD}, GOOD),
    ("group_name", {"name": "git_create", "args": GOOD}, GOOD),
    ("group__name", {"name": "git__create", "args": GOOD}, GOOD),
    ("mcp__group__name", {"name": "mcp__git__create", "args": GOOD}, GOOD),
    ("group.name", {"name": "git.create", "args": GOOD}, GOOD),
    ("the longer group", {"name": "git_hub_create", "args": GOOD}, GOOD),
    ("group and group/name", usual(GOOD, "git/create"), GOOD),
    ("group and group_name", usual(GOOD, "git_create"), GOOD),
    ("group/name as the group", {"group": "git/create", "args": GOOD}, GOOD),
    ("server and tool", {"server": "git", "tool": "create", "arguments": GOOD}, GOOD),
    ("number as text", usual({"title": "T", "count": "3"}), GOOD),
    ("fraction as text", usual({"title": "T", "share": "-0.5"}), {"title": "T", "share": -0.5}),
    ("whole fraction as text", usual({"title": "T", "count": "3.0"}), GOOD),
    ("truth as text", usual({"title": "T", "draft": "true"}), {"title": "T", "draft": True}),
    ("Python's truth as text", usual({"title": "T", "draft": "False"}), {"title": "T", "draft": False}),
    ("list as text", usual({"title": "T", "labels": '["a", "b"]'}), {"title": "T", "labels": ["a", "b"]}),
    (
        "numbers in a list",
        usual({"title": "T", "numbers": ["1", 2, "3"]}),
        {"title": "T", "numbers": [1, 2, 3]},
    ),
    ("number or null", usual({"title": "T", "since": "7"}), {"title": "T", "since": 7}),
    ("object as text", usual({"title": "T", "author": '{"id": 1}'}), {"title": "T", "author": {"id": 1}}),
    (
        "number in an object",
        usual({"title": "T", "author": {"id": "1"}}),
        {"title": "T", "author": {"id": 1}},
    ),
    ("all at once", {"name": "git/create", "title": "5", "count": "5"}, {"title": "5", "count": 5}),
]
"""What is right at the first try: what it is, the call, and what the server gets."""

CORRECTED: list[tuple[str, dict[str, Any]]] = [
    ("another name of a required one", usual({"titel": "T"})),
    ("another name where any is allowed", usual({"pth": "/x"}, "need_path")),
    ("another name of one of many", usual({"title": "T", "lables": ["a"]})),
    ("one too many", usual({"title": "T", "colour": "red"})),
    ("one entry in the place of a list", usual({"title": "T", "labels": "bug"})),
    ("another value of an enumeration", usual({"title": "T", "state": "OPEN"})),
    ("number in the place of a text", usual({"title": 5})),
    ("above the most", usual({"title": "T", "count": 500})),
    ("wrapped once more", usual({"args": {"title": "T"}})),
    ("answered with a JSON-RPC error", usual({"titel": "T"}, "rpc_create")),
    ("name of no tool", usual(GOOD, "creat")),
    ("name of no group", {"group": "gti", "name": "create", "args": GOOD}),
    ("camel case", usual({"Title": "T", "Draft": True})),
    ("name in the object", usual({"title": "T", "author": {"ident": 4, "id_": 4}})),
]
"""What is right at the second try, by one who reads no more than the answer."""


async def test_what_can_mean_one_thing_only_is_right_at_once(client: RawClient) -> None:
    wrong = {}
    for what, call, got in UNDERSTOOD:
        well, said = await ask(client, call)
        if not well or json.loads(said) != got:
            wrong[what] = said
    assert not wrong


def follow(call: dict[str, Any], said: str) -> dict[str, Any]:  # noqa: C901 - one case for each thing that is said
    """Change a call as the answer says, and as nothing else does."""
    args = json.loads(json.dumps(call["args"]))
    if (other := re.search(r"Unknown (tool|group) '\S+'.*Did you mean '(\S+?)'", said)) is not None:
        return {**call, ("name" if other[1] == "tool" else "group"): other[2]}
    for line in re.findall(r"^- (.+)$", said, re.MULTILINE):
        *above, key = re.match(r"\S+", line)[0].split(".")  # type: ignore[index]  # each line begins with a path
        place = args
        for part in above:
            place = place[part]
        if (meant := re.search(r"is missing; is '(\S+)' meant", line)) is not None and meant[1] in place:
            place[key] = place.pop(meant[1])
        elif (
            meant := re.search(r"is not a parameter; did you mean '(\S+?)'", line)
        ) is not None and key in place:
            place[meant[1]] = place.pop(key)
        elif "is not a parameter" in line and key in place:
            inner = place.pop(key)
            if isinstance(inner, dict):
                place.update(inner)
        elif "must be a list" in line:
            place[key] = [place[key]]
        elif "must be a string" in line:
            place[key] = str(place[key])
        elif (least := re.search(r"must be at most (\d+)", line)) is not None:
            place[key] = int(least[1])
        elif (values := re.search(r"must be one of (.+)", line)) is not None:
            place[key] = json.loads(values[1].split(", ")[0])
    return {**call, "args": args}


async def test_what_failed_is_right_at_the_second_try_of_one_who_only_reads_the_answer(
    client: RawClient,
) -> None:
    wrong = {}
    for what, call in CORRECTED:
        well, said = await ask(client, call)
        assert not well, what
        again, then = await ask(client, follow(call, said))
        if not again:
            wrong[what] = (said, then)
    tried = len(UNDERSTOOD) + len(CORRECTED)
    assert tried >= 40
    assert not wrong


async def test_what_does_not_fit_is_named_once_with_the_tools_signature_and_the_servers_words_stay(
    client: RawClient,
) -> None:
    call = {"name": "call_dynamic_tool", "arguments": usual({"titel": "T", "count": 0, "labels": "x"})}
    result = await client.request("tools/call", call)
    assert result["isError"] is True
    first, note = (block["text"] for block in result["content"])
    assert first == "Invalid arguments"
    lines = note.splitlines()
    assert lines[0] == "Note from dmcp: The arguments do not fit the tool's schema:"
    assert "- title is missing; is 'titel' meant for it?" in lines
    assert "- titel is not a parameter; did you mean 'title'?" in lines
    assert "- count must be at least 1" in lines
    assert "- labels must be a list, not a string" in lines
    assert lines[-1].startswith("Signature: create(title*")
    with pytest.raises(RpcError) as caught:
        await client.call("git", "rpc_create", {"titel": "T"})
    assert caught.value.code == -32602
    assert caught.value.message.startswith("git: Invalid arguments\nNote from dmcp: The arguments do not fit")
    with pytest.raises(RpcError, match="Signature: rpc_create"):
        await client.call("git", "rpc_create", {})


async def test_the_third_identical_failure_says_so_and_another_one_does_not(client: RawClient) -> None:
    for call in (usual({}), usual({"titel": "T"})):
        notes = [(await ask(client, call))[1] for _ in range(3)]
        assert "times in the same way" not in notes[0] + notes[1]
        assert "This call has failed 3 times in the same way." in notes[2]
        assert "title is missing" in notes[2]


async def test_a_call_that_is_valid_is_sent_byte_for_byte_however_odd_it_looks(client: RawClient) -> None:
    await client.tools("git")  # what comes before the first answer is read by another reader
    for text in (
        '{ "text" :  "5", "n":1.50, "a" : "[1]" }',
        '{"text":"true", "n":1E2 ,"text":"\\u0041"}',
        '{"x":[ "1" ]}',
    ):
        call = f'{{"group":"git","name":"raw","args":{text}}}'
        params = f'{{"name":"call_dynamic_tool","arguments":{call}}}'
        client.send_bytes(f'{{"jsonrpc":"2.0","id":"b","method":"tools/call","params":{params}}}\n'.encode())
        assert f'"arguments":{text}' in (await client.answer("b"))["result"]["content"][0]["text"]
