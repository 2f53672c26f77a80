"""Servers may define and return anything of any shape: commands show it or say what it is, without a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dmcp.cli import formatting
from harness import write_config
from harness.cli import run_dmcp
from security.claims import claimer

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = ["x", {"type": "resource", "resource": 5}, {"type": "text", "text": {"a": 1}}]
ODD: dict[str, Any] = {
    "tools": [
        {"name": "a", "inputSchema": {"type": "object", "properties": [1]}},
        {
            "name": "b",
            "description": 7,
            "inputSchema": {
                "type": "object",
                "required": 5,
                "properties": {"x": {"enum": [1], "description": 5}, "y": {"type": {}}, "z": 3},
            },
        },
        {"name": "c", "inputSchema": [1], "result": {"content": CONTENT}},
        {"name": "d", "description": ["x"], "result": {"content": {"a": 1}}},
    ],
    "prompts": [{"name": "p", "arguments": 5, "description": {"a": 1}}, {"name": "q", "arguments": [5]}],
    "resources": [{"uri": "x:1", "name": 5, "description": [1]}],
    "templates": [{"uriTemplate": "y:{a}", "name": [1]}],
}


@pytest.mark.parametrize(
    "words", [["list"], ["list", "g"], ["check"], ["call", "g", "c", "-a", "x=1"], ["call", "g", "d"]]
)
def test_commands_bear_definitions_and_results_of_any_shape(tmp_path: Path, words: list[str]) -> None:
    config = write_config(tmp_path / "dmcp.json", {"g": claimer(tmp_path, "g", **ODD)})
    done = run_dmcp(words[0], config, *words[1:])
    assert "a fault of dmcp's own" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("odd", [None, 5, "text", [5], ["x"], {"a": 1}, [{"content": 5}], [{"blob": 5}]])
def test_messages_and_contents_of_any_shape_are_shown(odd: Any) -> None:
    assert formatting.messages(odd)
    assert formatting.resources(odd)
