"""The schema, the page and the examples in the repository are those of the code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dmcp.cli.plan import plan_command
from dmcp.cli.schema import rendered, schema_command
from dmcp.config.loading import load
from dmcp.config.model import StdioServer, Unresolved
from dmcp.config.schema import json_schema
from harness.cli import run_dmcp
from harness.scripts import load_script

ROOT = Path(__file__).parents[3]
PAGES = load_script(ROOT / "docs" / "render_configuration.py")
EXAMPLES = sorted(
    path for path in (ROOT / "examples").iterdir() if path.suffix in (".json", ".jsonc", ".toml")
)


def test_the_schema_in_the_repository_is_that_of_the_model() -> None:
    # `python docs/render_configuration.py` mends it.
    assert (ROOT / "schema" / "dmcp.schema.json").read_text(encoding="utf-8") == rendered()


def test_the_page_lists_the_keys_of_the_schema() -> None:
    # `python docs/render_configuration.py` mends it.
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert PAGES.filled(page, json_schema()) == page


def test_every_part_of_the_schema_is_on_the_page() -> None:
    schema = json_schema()
    page = PAGES.tables(schema)
    for part in (schema, *schema["$defs"].values()):
        assert all(f"| `{key}` |" in page for key in part["properties"])


def test_the_schema_knows_both_kinds_of_server_and_forbids_unknown_keys() -> None:
    schema = json_schema()
    parts = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts)
    kinds = schema["properties"]["mcpServers"]["additionalProperties"]["oneOf"]
    assert [kind["$ref"].rpartition("/")[2] for kind in kinds] == ["StdioPart", "RemotePart"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_loads(path: Path) -> None:
    names = ("HOME", "METRICS_TOKEN", "BUILDS_SECRET")
    found = load(path, dict.fromkeys(names, "set"))
    assert found.servers
    assert not any(isinstance(server.target, Unresolved) for server in found.servers.values())


def test_there_are_examples_in_each_language() -> None:
    assert {path.suffix for path in EXAMPLES} == {".json", ".jsonc", ".toml"}


def test_the_schema_command_prints_the_schema() -> None:
    result = CliRunner().invoke(schema_command, [])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json_schema()


def write(path: Path, **entries: dict[str, Any]) -> str:
    path.write_text(json.dumps({"mcpServers": entries}))
    return str(path)


def server(command: str, **more: Any) -> dict[str, Any]:
    return {"description": "d", "command": command, **more}


def test_the_plan_command_says_what_happens_to_each_server(tmp_path: Path) -> None:
    before = {"a": server("x"), "b": server("x"), "c": server("x"), "d": server("x")}
    after = {"e": server("x"), "a": server("y"), "b": server("x", idle_stop=5), "c": server("x")}
    old, new = write(tmp_path / "old.json", **before), write(tmp_path / "new.json", **after)
    text = CliRunner().invoke(plan_command, [old, new])
    assert text.exit_code == 0
    assert [line.split()[:2] for line in text.stdout.splitlines()] == [
        ["start", "e"],
        ["restart", "a"],
        ["update", "b"],
        ["keep", "c"],
        ["stop", "d"],
    ]
    assert "(changed: command)" in text.stdout
    machine = CliRunner().invoke(plan_command, [old, new, "--json"])
    assert json.loads(machine.stdout) == {
        "start": ["e"],
        "restart": ["a"],
        "update": ["b"],
        "keep": ["c"],
        "stop": ["d"],
        "changed": {"a": ["command"], "b": ["idle_stop"]},
    }


def test_the_plan_command_never_shows_a_value(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", a=server("x", env={"TOKEN": "s3cret-1"}))
    new = write(tmp_path / "new.json", a=server("x", env={"TOKEN": "s3cret-2"}))
    result = CliRunner().invoke(plan_command, [old, new])
    assert "env" in result.stdout
    assert "s3cret" not in result.output


def test_the_plan_command_says_so_when_nothing_changes(tmp_path: Path) -> None:
    same = write(tmp_path / "same.json", a=server("x"))
    assert "Nothing would change." in CliRunner().invoke(plan_command, [same, same]).stdout


def test_the_plan_command_refuses_an_invalid_file_with_status_2_and_prints_no_plan(tmp_path: Path) -> None:
    good = write(tmp_path / "good.json", a=server("x"))
    bad = write(tmp_path / "bad.json", a={"command": "x"})
    done = run_dmcp("plan", good, bad)
    assert done.returncode == 2
    assert not done.stdout
    assert "mcpServers.a has no description" in done.stderr


def test_files_of_the_predecessor_load_unchanged(tmp_path: Path) -> None:
    content = {
        "$schema": "https://example.org/config-schema.json",
        "mcpServers": {
            "typed": {"type": "stdio", "description": "d", "command": "npx", "args": ["-y", "x", "/tmp"]},
            "off": server("npx", enabled=False),
            "fewer": server("npx", features={"resources": False, "prompts": False}),
            "patient": server("npx", timeout={"tools": "1min", "resources": "3000ms", "prompts": 30}),
            "secret": server("npx", env={"KEY": "${KEY}"}),
            "web": {"description": "d", "url": "http://localhost:8080/mcp"},
            "events": {"type": "sse", "description": "d", "url": "http://localhost:8080/sse"},
            "bearer": {
                "description": "d",
                "url": "https://h/mcp",
                "headers": {"Authorization": "Bearer ${KEY}"},
            },
            "signed": {
                "type": "http",
                "description": "d",
                "url": "https://h/mcp",
                "oauth_client_id": "${KEY}",
                "oauth_scopes": ["mcp:read", "mcp:execute"],
            },
        },
    }
    path = tmp_path / "dynamic-mcp.json"
    path.write_text(json.dumps(content))
    found = load(path, {"KEY": "k"}).servers
    assert list(found) == [name for name in content["mcpServers"] if name != "off"]
    assert found["secret"].target == StdioServer("npx", env={"KEY": "k"})
    assert found["patient"].timeout.resources == 3
    assert not any(isinstance(server.target, Unresolved) for server in found.values())
