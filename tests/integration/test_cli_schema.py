"""What an editor does with a configuration dmcp wrote: follow ``$schema`` from the file, and check the file by it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import json5
import jsonschema
import pytest

from harness.cli import run_dmcp

EXAMPLES = Path(__file__).parents[2] / "examples"
NAME = "dmcp.schema.json"
SERVERS = {"mcpServers": {"a": {"command": "a", "args": ["x"]}, "b": {"url": "https://b.example.com/mcp"}}}


def as_an_editor_sees_it(config: Path) -> tuple[Any, jsonschema.Draft202012Validator]:
    """The configuration, and a validator by the schema it names; without a network, as an address relative to it."""
    contents = json5.loads(config.read_text(encoding="utf-8"))
    address = contents["$schema"]
    assert "://" not in address
    schema = json.loads((config.parent / address).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return contents, jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("init",), "dynamic-mcp.json"),
        (("init", "deep/starter.jsonc"), "deep/starter.jsonc"),
        (("import", "mcp.json", "--yes"), "dynamic-mcp.json"),
        (("import", "mcp.json", "--yes", "--output", "deep/mine.json"), "deep/mine.json"),
    ],
)
def test_a_configuration_dmcp_writes_validates_by_the_schema_it_names(
    command: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "mcp.json").write_text(json.dumps(SERVERS), encoding="utf-8")
    done = run_dmcp(*command, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert NAME in done.stdout
    contents, validator = as_an_editor_sees_it(tmp_path / name)
    validator.validate(contents)
    contents["mcpServers"]["wrong"] = {"comand": "x"}
    assert not validator.is_valid(contents)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json*")), ids=lambda path: path.name)
def test_the_examples_validate_by_the_schema_they_name(path: Path) -> None:
    contents, validator = as_an_editor_sees_it(path)
    validator.validate(contents)


def test_a_schema_of_another_dmcp_is_replaced_and_a_file_that_is_none_is_left_and_said(
    tmp_path: Path,
) -> None:
    beside = tmp_path / NAME
    beside.write_text('{"title": "dmcp configuration"}', encoding="utf-8")
    assert run_dmcp("init", cwd=tmp_path).returncode == 0
    whole = beside.read_text(encoding="utf-8")
    assert whole == run_dmcp("schema").stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, "dynamic-mcp.json"]
    beside.write_text("mine", encoding="utf-8")
    done = run_dmcp("init", "--force", cwd=tmp_path)
    assert (done.returncode, beside.read_text(encoding="utf-8")) == (0, "mine")
    assert "left as it is" in done.stdout


@pytest.mark.parametrize(
    "theirs", ['{"properties": 5}', '{"title": "another", "properties": {"mcpServers": {}}}']
)
def test_a_schema_of_somebody_else_is_left_as_it_is(theirs: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(theirs, encoding="utf-8")
    done = run_dmcp("init", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / NAME).read_text(encoding="utf-8") == theirs
    assert "left as it is" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_a_link_of_that_name_to_nowhere_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    done = run_dmcp("init", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "elsewhere").exists()) == (0, False)
    assert "left as it is" in done.stdout


def test_a_schema_that_cannot_be_written_does_not_undo_the_configuration(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    done = run_dmcp("init", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "dynamic-mcp.json").exists()) == (0, True)
    assert "left as it is" in done.stdout


def test_schema_writes_the_same_to_a_file_it_is_given(tmp_path: Path) -> None:
    done = run_dmcp("schema", "--output", "mine.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Wrote mine.json.\n")
    assert (tmp_path / "mine.json").read_text(encoding="utf-8") == run_dmcp("schema").stdout
    assert run_dmcp("schema", "--output", "none/mine.json", cwd=tmp_path).returncode == 2


def test_merging_and_a_dry_run_write_no_schema(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text(json.dumps(SERVERS), encoding="utf-8")
    (tmp_path / "dynamic-mcp.json").write_text('{"mcpServers": {}}', encoding="utf-8")
    for option in ("--merge", "--dry-run"):
        assert run_dmcp("import", "mcp.json", "--yes", option, cwd=tmp_path).returncode == 0
    assert not (tmp_path / NAME).exists()
