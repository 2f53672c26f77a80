"""``dmcp check``, ``list``, ``call``, ``read``, ``prompt`` and ``init``, each in front of real servers."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli import run_dmcp
from harness.configs import sdk_server, write_config

if TYPE_CHECKING:
    from pathlib import Path

NOTES = {"command": sys.executable, "args": ["-m", "dmcp.demo.notes"]}
MISSING = {"command": "no-such-command-anywhere"}
CRASHING = {"command": sys.executable, "args": ["-c", "import sys; sys.exit('the disk is full')"]}
SECRET = "hunter2-and-more"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return write_config(tmp_path / "dynamic-mcp.json", {"notes": NOTES})


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    unset = {"command": "x", "env": {"A": "${DMCP_TEST_NOT_SET}"}}
    servers = {"notes": NOTES, "missing": MISSING, "crashing": CRASHING, "unset": unset}
    return write_config(tmp_path / "mixed.json", servers)


def printed(*arguments: str | Path, status: int = 0) -> Any:
    done = run_dmcp(*arguments)
    assert (done.returncode, done.stderr) == (status, "")
    return json.loads(done.stdout)


# check ----------------------------------------------------------------------------------------------------------------


def test_check_says_of_a_ready_server_what_it_offers(notes: Path) -> None:
    (found,) = printed("check", notes, "--json")["servers"]
    expected = {
        "group": "notes",
        "ready": True,
        "transport": "stdio",
        "revision": "2025-11-25",
        "reason": None,
    }
    assert found.items() >= {**expected, "tools": 10, "resources": 0, "prompts": 0}.items()
    assert found["approximate_tokens"] == round(found["definition_bytes"] / 4) > 0
    assert found["seconds"] > 0


def test_check_says_why_a_server_is_unavailable_and_what_to_do(mixed: Path) -> None:
    found = {server["group"]: server for server in printed("check", mixed, "--json", status=1)["servers"]}
    assert {name: server["ready"] for name, server in found.items()} == {
        "notes": True,
        "missing": False,
        "crashing": False,
        "unset": False,
    }
    assert "no-such-command-anywhere was not found" in found["missing"]["reason"]
    assert "full path" in found["missing"]["reason"]
    assert "in a terminal" in found["crashing"]["hint"]
    assert found["crashing"]["stderr"][-1] == "the disk is full"
    assert "DMCP_TEST_NOT_SET" in found["unset"]["reason"]


def test_check_shows_the_last_words_of_one_attempt_only(tmp_path: Path) -> None:
    """The server fails, is started again while another one is waited for, and fails in other words."""
    script = tmp_path / "fails.py"
    script.write_text(
        "import pathlib, sys\n"
        "here = pathlib.Path(__file__).with_name('attempts')\n"
        "number = len(here.read_text()) if here.exists() else 0\n"
        "here.write_text('x' * (number + 1))\n"
        "[print(f'attempt {number} line {n}', file=sys.stderr) for n in range(3)]\n"
        "sys.exit(3)\n"
    )
    slow = {
        "command": sys.executable,
        "args": ["-c", "import time; time.sleep(600)"],
        "timeout": {"connect": "3s"},
    }
    fails = {"command": sys.executable, "args": [str(script)], "restart": {"backoff_min": "10ms"}}
    config = write_config(tmp_path / "c.json", {"fails": fails, "slow": slow})
    found = {server["group"]: server for server in printed("check", config, "--json", status=1)["servers"]}
    assert len((tmp_path / "attempts").read_text()) > 1
    lines = [line.split() for line in found["fails"]["stderr"]]
    assert [line[3] for line in lines] == ["0", "1", "2"]
    assert len({line[1] for line in lines}) == 1


def test_check_prints_a_table_and_the_reasons_below_it(mixed: Path) -> None:
    done = run_dmcp("check", mixed)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0].split()[:4] == ["group", "state", "transport", "revision"]
    assert lines[1].split()[:5] == ["notes", "ready", "stdio", "2025-11-25", "10"]
    assert "  stderr: the disk is full" in lines
    assert lines[-1].startswith("1 of 4 servers ready")
    assert "\x1b" not in done.stdout


def test_check_shows_features_that_are_switched_off_as_such(tmp_path: Path) -> None:
    features = {"tools": False, "resources": True, "prompts": False}
    path = write_config(tmp_path / "off.json", {"notes": {**NOTES, "features": features}})
    (found,) = printed("check", path, "--json")["servers"]
    assert (found["tools"], found["resources"], found["prompts"]) == (None, 0, None)


def test_check_refuses_an_invalid_configuration(tmp_path: Path) -> None:
    done = run_dmcp("check", write_config(tmp_path / "bad.json", {"a": {"comand": "x"}}))
    assert done.returncode == 2
    assert 'did you mean "command"?' in done.stderr


def test_check_never_shows_a_secret(tmp_path: Path) -> None:
    script = "import os, sys; sys.exit('cannot sign in with ' + os.environ['TOKEN'])"
    entry = {"command": sys.executable, "args": ["-c", script], "env": {"TOKEN": SECRET}}
    done = run_dmcp("-vv", "check", write_config(tmp_path / "secret.json", {"a": entry}))
    assert done.returncode == 1
    assert "cannot sign in with ***" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_commands_take_the_usual_file_when_none_is_named(notes: Path) -> None:
    assert run_dmcp("check", "--trust", cwd=notes.parent).returncode == 0
    assert "add_note" in run_dmcp("list", "notes", cwd=notes.parent).stdout


def test_commands_take_the_file_the_environment_names(notes: Path) -> None:
    done = run_dmcp("call", "notes", "list_tags", env={"DYNAMIC_MCP_CONFIG": str(notes)})
    assert done.stdout == "home: 1\nrelease: 1\nsport: 1\nwork: 1\n"


def test_commands_say_how_to_name_a_configuration_when_there_is_none(tmp_path: Path) -> None:
    done = run_dmcp("check", cwd=tmp_path)
    assert done.returncode == 2
    assert "DYNAMIC_MCP_CONFIG" in done.stderr


# list -----------------------------------------------------------------------------------------------------------------


def test_list_shows_every_group_and_why_one_is_unavailable(mixed: Path) -> None:
    done = run_dmcp("list", mixed)
    assert done.returncode == 1
    assert "  read_note        Return one note with its title, its tags and its whole text\n" in done.stdout
    assert "missing  The missing server\n  unavailable: the command no-such-command-anywhere" in done.stdout


def test_list_shows_the_arguments_of_one_groups_tools(mixed: Path) -> None:
    done = run_dmcp("list", mixed, "notes")
    assert done.returncode == 0
    assert "  - tags (array, optional): Lower-case words to find the note by" in done.stdout
    assert "missing" not in done.stdout


def test_list_gives_whole_definitions_as_json(notes: Path) -> None:
    (group,) = printed("list", notes, "--json")["groups"]
    assert group["name"] == "notes"
    assert group["tools"][0]["inputSchema"]["required"] == ["title", "text"]


def test_list_knows_the_groups_there_are(notes: Path) -> None:
    done = run_dmcp("list", notes, "nots")
    assert done.returncode == 2
    assert "there is no group 'nots'; there are: notes" in done.stderr


# call -----------------------------------------------------------------------------------------------------------------


def test_call_gives_values_the_types_the_tool_wants(notes: Path) -> None:
    words = ("-a", "title=5", "-a", "text=true", "-a", 'tags=["x", "y"]')
    done = run_dmcp("call", notes, "notes", "add_note", *words)
    assert (done.returncode, done.stdout) == (0, "Added: 4. 5  [x, y]\n")


def test_call_takes_its_arguments_from_standard_input(notes: Path) -> None:
    done = run_dmcp("call", notes, "notes", "read_note", "--args", "-", stdin='{"number": 1}')
    assert "Bread, olives, lemons" in done.stdout


def test_call_prints_the_result_as_it_came(notes: Path) -> None:
    result = printed("call", notes, "notes", "search_notes", "-a", "query=lemons", "--json")
    assert result == {"content": [{"type": "text", "text": "1. Groceries  [home]"}]}


def test_call_of_a_tool_that_fails_prints_why_and_ends_with_1(notes: Path) -> None:
    done = run_dmcp("call", notes, "notes", "read_note", "-a", "number=99")
    assert (done.returncode, done.stdout) == (1, "There is no note 99. list_notes shows all of them.\n")


def test_call_of_an_unknown_tool_offers_the_close_ones(notes: Path) -> None:
    done = run_dmcp("call", notes, "notes", "ad_note")
    assert done.returncode == 1
    assert "'add_note'" in done.stdout


def test_call_to_an_unavailable_group_says_why(mixed: Path) -> None:
    done = run_dmcp("call", mixed, "missing", "anything", "-a", "x=1")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "Error: missing is unavailable: the command no-such-command-anywhere was not found"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["notes"], "give a group and a tool"),
        (["notes", "read_note", "-a", "number"], "must be key=value"),
        (["notes", "read_note", "-a", "a=1", "-a", "a=2"], "a stands twice"),
        (["notes", "read_note", "--args", "{"], "--args is no JSON"),
        (["notes", "read_note", "--args", "[1]"], "must be a JSON object"),
        (["notes", "read_note", "--args", "{}", "-a", "a=1"], "exclude each other"),
    ],
)
def test_call_refuses_what_it_cannot_understand(notes: Path, words: list[str], says: str) -> None:
    done = run_dmcp("call", notes, *words)
    assert done.returncode == 2
    assert says in done.stderr


# read and prompt ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sdk(tmp_path: Path) -> Path:
    return write_config(tmp_path / "sdk.json", {"sdk": sdk_server("--name", "one")})


def test_read_prints_a_text_and_says_what_is_none(sdk: Path) -> None:
    assert run_dmcp("read", sdk, "note://one/1").stdout == "note://one/1 of one\n"
    done = run_dmcp("read", sdk, "note://one/pixel")
    assert done.stdout.startswith("[binary, image/png, ")
    assert done.stdout.endswith(" bytes: note://one/pixel]\n")


def test_read_of_a_resource_nobody_has_ends_with_1(sdk: Path) -> None:
    done = run_dmcp("read", sdk, "nothing://here")
    assert (done.returncode, done.stdout) == (1, "")
    assert "not found" in done.stderr


def test_call_says_images_and_audio_and_does_not_dump_them(sdk: Path) -> None:
    done = run_dmcp("call", sdk, "sdk", "contents")
    assert done.returncode == 0
    assert "[image, image/png, " in done.stdout
    assert "[audio, audio/wav, 4 bytes]" in done.stdout
    assert "UklGRg" not in done.stdout


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_a_command_reads_and_prints_is_utf8_whatever_the_locale(sdk: Path, options: list[str]) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    given = json.dumps({"text": "žluťoučký 漢字"}, ensure_ascii=False)
    done = run_dmcp("call", sdk, "sdk", "echo", "--args", "-", *options, stdin=given, env=ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert "žluťoučký 漢字" in done.stdout


def test_a_character_the_chosen_encoding_lacks_does_not_end_a_command(sdk: Path) -> None:
    chosen = {"PYTHONIOENCODING": "latin-1"}
    done = run_dmcp("call", sdk, "sdk", "echo", "--args", r'{"text": "\u6f22"}', env=chosen)
    assert (done.returncode, done.stdout) == (0, "\\u6f22\n")


def test_call_shows_a_servers_error_and_ends_with_1(sdk: Path) -> None:
    done = run_dmcp("call", sdk, "sdk", "refuse")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: sdk: ")


def test_prompt_prints_each_message_under_its_role(sdk: Path) -> None:
    done = run_dmcp("prompt", sdk, "one-greet", "-a", "who=Ada")
    assert (done.returncode, done.stdout) == (0, "user:\nGreet Ada (calm)\n")


def test_prompt_of_an_unknown_name_ends_with_1(sdk: Path) -> None:
    assert run_dmcp("prompt", sdk, "no-such-prompt").returncode == 1


# init -----------------------------------------------------------------------------------------------------------------


def test_init_writes_a_configuration_that_check_accepts(tmp_path: Path) -> None:
    done = run_dmcp("init", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert run_dmcp("check", cwd=tmp_path).returncode == 0


def test_init_overwrites_nothing_unless_told_to_and_then_keeps_it(tmp_path: Path) -> None:
    mine = tmp_path / "dynamic-mcp.json"
    mine.write_text("mine", encoding="utf-8")
    done = run_dmcp("init", cwd=tmp_path)
    assert done.returncode == 2
    assert mine.read_text(encoding="utf-8") == "mine"
    assert run_dmcp("init", "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / "dynamic-mcp.json.bak").read_text(encoding="utf-8") == "mine"


def test_init_writes_no_toml(tmp_path: Path) -> None:
    assert run_dmcp("init", "mine.toml", cwd=tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []


# Completion -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("dmcp list n", ["plain,notes"]),
        ("dmcp call mixed.json mi", ["plain,missing"]),
        ("dmcp call notes n", [""]),
        ("dmcp list zz", ["file,zz"]),
    ],
)
def test_a_shell_completes_groups(mixed: Path, words: str, offered: list[str]) -> None:
    env = {"_DMCP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = run_dmcp(env={**env, "DYNAMIC_MCP_CONFIG": str(mixed)}, cwd=mixed.parent)
    assert done.stdout.splitlines() == offered


def test_a_shell_completes_the_tools_a_command_has_seen_last(mixed: Path, tmp_path: Path) -> None:
    kept = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "DYNAMIC_MCP_CONFIG": str(mixed)}
    run_dmcp("list", "notes", env=kept)
    words = {"_DMCP_COMPLETE": "bash_complete", "COMP_WORDS": "dmcp call notes re", "COMP_CWORD": "3"}
    done = run_dmcp(env={**kept, **words})
    assert done.stdout.splitlines() == ["plain,read_note", "plain,replace_in_note", "plain,rename_note"]


@pytest.mark.parametrize("command", ["import", "install", "uninstall"])
def test_a_shell_completes_coding_tools(command: str) -> None:
    words = {"_DMCP_COMPLETE": "bash_complete", "COMP_WORDS": f"dmcp {command} cu", "COMP_CWORD": "2"}
    assert run_dmcp(env=words).stdout.splitlines() == ["plain,cursor"]
