"""Every member of a message as something else, from the client and from a server: it ends nothing.

The second attack found that a number beyond the range of floats in the place of an id ended dmcp.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from dmcp.protocol import jsonrpc, scan, wire
from harness import RawClient, dmcp_command, write_config
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = ["1e999", "-1e999", "1e-999", "1.5", "-0", "9" * 500, "9" * 5000, "1" + "0" * 1000 + ".5"]
WRONG = ["01", "-", "1.", ".5", "+1", "tru", "", "NaN", "-Infinity", "1_0", '"\\x"', '"', "[[", "}"]
OTHERS = ["null", "true", "[]", "{}", "[1e999]", '{"a":1e999}', '"\\ud800"', '"2.0"', '"ping"']
NESTED = [
    f'{{"{name}":{value}}}'
    for name, value in product(
        (
            "name",
            "arguments",
            "code",
            "requestId",
            "progress",
            "progressToken",
            "level",
            "uri",
            "_meta",
            "cursor",
        ),
        ("1e999", "[]", '"\\ud800"'),
    )
]
NAMES = ["jsonrpc", "id", "method", "params", "result", "error", "\\ud800"]
BEFORE = ['"jsonrpc":"2.0",', '"jsonrpc":"2.0","id":"x",', ""]
AFTER = [
    "",
    ',"method":"ping"',
    ',"method":"notifications/progress"',
    ',"result":{}',
    ',"error":{"code":1,"message":"x"}',
]
METHODS = [
    *("tools/call", "tools/list", "resources/read", "resources/subscribe", "prompts/get", "logging/setLevel"),
    *("completion/complete", "initialize", "notifications/cancelled", "notifications/progress"),
    *("sampling/createMessage", "elicitation/create", "roots/list", "notifications/message"),
    *("notifications/resources/updated", "notifications/elicitation/complete"),
]


def odd() -> list[str]:
    """Return some thousand messages, most of which are none."""
    members = product(BEFORE, NAMES, [*NUMBERS, *WRONG, *OTHERS, *NESTED], AFTER)
    return [f'{{{before}"{name}":{value}{after}}}' for before, name, value, after in members]


@pytest.mark.parametrize("library", ["standard", "fast"])
def test_no_member_of_a_message_raises(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = wire.use_fast_json()
    monkeypatch.setattr(wire, "_engine", fast if library == "fast" else None)
    for text in odd():
        frame = text.encode()
        in_slices = scan.at_once(jsonrpc.read_in_slices(frame))
        for message in (jsonrpc.read_at_once(frame) or in_slices, in_slices):
            assert repr(message)


@pytest.mark.anyio
async def test_neither_a_client_nor_a_server_ends_anything_by_an_odd_member(tmp_path: Path) -> None:
    values = [*NUMBERS, *OTHERS, *NESTED]
    lines = [
        *(f'{{"jsonrpc":"2.0","id":{value},"result":{{}}}}' for value in values),
        *(
            f'{{"jsonrpc":"2.0","id":{value},"error":{{"code":{value},"message":{value}}}}}'
            for value in values
        ),
        *(f'{{"jsonrpc":"2.0","id":{value},"method":"ping"}}' for value in values),
        *(
            f'{{"jsonrpc":"2.0",{identifier}"method":"{method}","params":{value}}}'
            for method, value, identifier in product(METHODS, values, ("", '"id":"odd",'))
        ),
    ]
    hostile = python_server(TESTS / "servers" / "hostile.py")
    config = write_config(tmp_path / "dmcp.json", {"bad": hostile, "good": hostile})
    async with RawClient(dmcp_command(config), strict=False) as client:
        await client.initialize(capabilities={"elicitation": {}, "sampling": {}, "roots": {}})
        await client.call("good", "echo")
        text = "\n".join(lines) + "\n"
        for _ in range(2):  # the one that was started first is there still
            assert (await client.call("bad", "write", {"text": text}))["content"][0]["text"] == "written"
        client.write(text.encode("utf-8", "surrogatepass"))
        assert (await client.call("good", "echo"))["content"][0]["text"] == "echo"
        assert "please report" not in client.stderr
        assert "failed: " not in client.stderr
