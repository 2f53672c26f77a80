from __future__ import annotations

from typing import Any

import pytest

from dmcp.cli.coding_tools.descriptions import suggestion
from dmcp.cli.coding_tools.entries import BadEntry, read_entry, redirect_of
from dmcp.cli.coding_tools.model import Address, Command, ImportedServer
from dmcp.cli.coding_tools.output import duration, entry_of, validation_problem
from dmcp.cli.coding_tools.table import TOOLS


def read(tool: str, raw: dict[str, Any]) -> tuple[ImportedServer, list[str]]:
    server, notes = read_entry(TOOLS[tool], "one", raw, {"userHome": "/home/ann"})
    return server, [str(note) for note in notes]


def test_numbers_and_truth_values_in_env_arrive_as_the_tool_would_pass_them() -> None:
    server, _ = read("claude", {"command": "x", "env": {"A": 3, "B": True, "C": 1.5, "D": 2.0, "E": None}})
    assert isinstance(server.target, Command)
    assert server.target.env == {"A": "3", "B": "true", "C": "1.5", "D": "2"}


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({}, 'no "command" or "url"'),
        ({"command": 5}, '"command" is a number where a text belongs'),
        ({"command": "  "}, '"command" is empty'),
        ({"command": "x", "args": "y"}, '"args" is a text where a list'),
        ({"command": "x", "args": [["y"]]}, '"args" is a list where a list of texts'),
        ({"command": "x", "env": ["y"]}, '"env" is a list where a table'),
        ({"url": "wss://x"}, "no http or https address"),
        ({"url": "https://x", "type": "ws"}, "'ws' is none that dmcp speaks"),
        ({"url": "https://x", "type": ["http"]}, '"type" is a list'),
        ({"command": "x", "type": "http"}, 'no "command" or "url"'),
    ],
)
def test_an_entry_dmcp_cannot_run_says_why_and_quotes_no_value(raw: dict[str, Any], why: str) -> None:
    with pytest.raises(BadEntry, match=why.replace("(", "\\(")):
        read("claude", raw)


@pytest.mark.parametrize(
    ("tool", "raw", "kind"),
    [
        ("claude", {"type": "streamable-http", "url": "https://x"}, "http"),
        ("gemini", {"url": "https://x"}, "sse"),
        ("gemini", {"httpUrl": "https://x"}, "http"),
        ("gemini", {"url": "https://x", "type": "http"}, "http"),
        ("qwen", {"url": "https://x"}, "sse"),
        ("cline", {"url": "https://x"}, "sse"),
        ("cline", {"transport": {"type": "streamableHttp", "url": "https://x"}}, "http"),
        ("cline", {"url": "https://x", "transportType": "http"}, "http"),
        ("cursor", {"url": "https://x"}, "auto"),
        ("opencode", {"type": "remote", "url": "https://x"}, "auto"),
        ("windsurf", {"serverUrl": "https://x"}, "auto"),
        ("goose", {"type": "streamable_http", "uri": "https://x"}, "http"),
        ("vscode", {"type": "sse", "url": "https://x"}, "sse"),
    ],
)
def test_each_tool_has_its_own_rule_for_the_transport_of_an_address(
    tool: str, raw: dict[str, Any], kind: str
) -> None:
    server, _ = read(tool, raw)
    assert isinstance(server.target, Address)
    assert server.target.kind == kind


def test_optional_values_of_the_wrong_type_are_left_behind_and_said() -> None:
    raw = {
        "httpUrl": "https://x",
        "timeout": "soon",
        "includeTools": "all",
        "disabled": 1,
        "oauth": "yes",
        "new": {},
    }
    server, notes = read("gemini", raw)
    assert (server.tools_timeout, server.include, server.enabled) == (None, (), True)
    assert len(notes) == 5
    assert any('"new" has no equivalent' in note for note in notes)


def test_a_command_beside_an_address_wins_and_it_is_said() -> None:
    server, notes = read("cursor", {"command": "x", "url": "https://x"})
    assert isinstance(server.target, Command)
    assert '"url" beside "command"' in notes[0]


def test_keys_that_mean_nothing_outside_the_tool_are_dropped_in_silence() -> None:
    _, notes = read("gemini", {"command": "x", "trust": True})
    assert notes == []


@pytest.mark.parametrize(
    ("seconds", "spelled"), [(60.0, "60s"), (0.5, "500ms"), (90.5, "90500ms"), (0.0001, "1ms")]
)
def test_durations_are_spelled_as_dmcp_reads_them(seconds: float, spelled: str) -> None:
    assert duration(seconds) == spelled


def test_an_entry_the_configuration_would_refuse_is_found_out_beforehand() -> None:
    server, _ = read("cursor", {"url": "https://x/${NOT closed", "headers": {"A\nB": "c"}})
    assert "headers" in (validation_problem("one", entry_of(server, "text")) or "")
    assert (
        validation_problem("one", {"description": "fine", "command": "x", "env": {"A": "${UNSET}"}}) is None
    )


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Command("npx", ("-y", "@scope/server@1.2", "secret")), "started by npx @scope/server@1.2"),
        (Command("npx", ("--token", "secret", "pkg")), "started by npx"),
        (Command("uvx", ("--from", "secret", "pkg")), "started by uvx pkg"),
        (Command("uvx", ("--odd", "secret", "pkg")), "started by uvx"),
        (Command("bunx", ("--bun", "pkg@latest")), "started by bunx pkg@latest"),
        (
            Command("npx", ("-y", "mcp-remote@1", "https://a.example/x?key=secret")),
            "npx mcp-remote for a.example",
        ),
        (Command(r"C:\Program Files\x.exe"), "started by x"),
        (Command("${RUNNER}"), "started by a command of its own"),
        (Address("https://user:secret@host.example/mcp?key=secret"), "at host.example"),
        (Address("${URL}"), "Tools of the one server"),
        (Address("http://[broken"), "Tools of the one server"),
    ],
)
def test_a_suggested_description_names_program_or_host_and_no_secret(
    target: Command | Address, said: str
) -> None:
    text = suggestion(ImportedServer("one", target))
    assert text.endswith(said)
    assert "secret" not in text


@pytest.mark.parametrize(
    ("tool", "raw", "expected"),
    [
        ("opencode", {"command": ["x"], "env": {"A": "b"}}, {"env": {"A": "b"}}),
        ("claude", {"command": "x", "environment": {"A": "b"}}, {"env": {"A": "b"}}),
        ("codex", {"command": "x", "working_directory": "/x"}, {"cwd": "/x"}),
        ("claude", {"command": "x", "enabledTools": ["a"], "disabledTools": ["b"]},
         {"tools": {"include": ["a"], "exclude": ["b"]}}),
        ("cursor", {"command": "x", "disabled_tools": ["b"]}, {"tools": {"exclude": ["b"]}}),
        ("cursor", {"command": "x", "enabled": False}, {"enabled": False}),
        ("claude", {"command": "x", "isActive": False}, {"enabled": False}),
        ("codex", {"command": "x", "disabled": True}, {"enabled": False}),
        ("claude", {"baseUrl": "https://x.example/mcp"}, {"url": "https://x.example/mcp"}),
        ("claude", {"url": "https://x.example/mcp", "http_headers": {"A": "b"}}, {"headers": {"A": "b"}}),
        ("vscode", {"url": "https://x.example/mcp", "requestInit": {"headers": {"A": "b"}}}, {"headers": {"A": "b"}}),
        ("cursor", {"type": "command", "command": "npx -y foo --x 'a b'"},
         {"command": "npx", "args": ["-y", "foo", "--x", "a b"]}),
        ("claude", {"command": "/opt/My Tools/x"}, {"command": "/opt/My Tools/x"}),
        ("claude", {"command": "it's x"}, {"command": "it's x"}),
        ("gemini", {"command": "node", "args": ["${extensionPath}${/}x.js"], "cwd": "${workspacePath}"},
         {"args": ["/p/x.js"], "cwd": "/p"}),
        ("claude", {"command": "${CLAUDE_PLUGIN_ROOT}/x", "env": {"D": "${CLAUDE_PROJECT_DIR:-.}"}},
         {"command": "/p/x", "env": {"D": "/p"}}),
    ],
)  # fmt: skip
def test_what_other_tools_spell_otherwise_is_carried(
    tool: str, raw: dict[str, Any], expected: dict[str, Any]
) -> None:
    server, _ = read_entry(TOOLS[tool], "one", raw, {"userHome": "/h", "workspaceFolder": "/p", "/": "/"})
    entry = entry_of(server, "text")
    assert {key: entry[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("tool", "raw", "named"),
    [
        ("codex", {"command": "x", "env": {"A": "${TOKEN}"}}, "${TOKEN}"),
        ("codex", {"command": "x", "env": {"A": "$HOME/x"}}, "$HOME"),
        ("opencode", {"command": ["x", "--key", "$KEY"]}, "$KEY"),
        ("claude", {"url": "https://x", "headers": {"A": "Bearer $(op read x/y)"}}, "$(...)"),
        ("claude", {"url": "https://x", "headers": {"A": "Bearer {env:TOKEN}"}}, "{env:TOKEN}"),
        ("cursor", {"url": "https://x", "headers": {"A": "${file:~/x}"}}, "${file:~/x}"),
        ("junie", {"command": "x", "args": ["$PROJECT_DIR$/x"]}, "$PROJECT_DIR$"),
        ("claude", {"command": "x", "cwd": "%USERPROFILE%"}, "%USERPROFILE%"),
        ("claude", {"command": "sh", "args": ["-c", "exec x ${KEY_OF_SHELL:?} $KEY"]}, None),
        ("claude", {"command": "x", "env": {"A": "pa$$word%20%2Fa$b", "B": "100% SURE% $5"}}, None),
        ("gemini", {"command": "x", "env": {"A": "$TOKEN"}}, None),
    ],
)
def test_what_only_another_tool_would_replace_is_named(
    tool: str, raw: dict[str, Any], named: str | None
) -> None:
    _, notes = read(tool, raw)
    assert [note.partition(" is no reference")[0].removeprefix("one: ") for note in notes] == (
        [] if named is None else [named]
    )


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("startupTimeout", "timeout"),
        ("toolFilter", "tools.include"),
        ("authorization", "headers"),
        ("environmentFile", "headers, env and cwd"),
        ("colour", "nothing to do"),
    ],
)
def test_a_key_nobody_knows_comes_with_the_key_it_may_mean(key: str, advice: str) -> None:
    _, notes = read("claude", {"command": "x", key: 5})
    assert len(notes) == 1
    assert f'"{key}" has no equivalent: ' in notes[0]
    assert advice in notes[0].partition("equivalent: ")[2]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://localhost:3000/oauth/done", (3000, "localhost", "/oauth/done")),
        ("http://127.0.0.1:8080/callback", (8080, None, None)),
        ("http://localhost/callback", (9, "localhost", None)),
        ("http://localhost:3000", (3000, "localhost", "/")),
    ],
)
def test_the_address_the_browser_returns_to_is_carried(
    address: str, expected: tuple[int, str | None, str | None]
) -> None:
    back = redirect_of(address, 9)
    assert back is not None
    assert (back.redirect_port, back.redirect_host, back.redirect_path) == expected


@pytest.mark.parametrize(
    "address", ["https://app.example/cb", "http://localhost:99999/", "http://[x", 7, None, ""]
)
def test_an_address_of_another_machine_is_none_to_return_to(address: object) -> None:
    assert redirect_of(address, 9) is None


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"command": "~/bin/x"}, '"~/" in command'),
        ({"command": "x", "args": ["--root=~/work"]}, '"~/" in command'),
        ({"command": "x", "args": ["$HOME/work"]}, '"$HOME" in command'),
        ({"command": "x", "cwd": "~/work"}, '"~/" in command'),
    ],
)
def test_what_only_a_shell_would_expand_is_named(raw: dict[str, Any], named: str) -> None:
    _, notes = read("claude", raw)
    assert [named in note for note in notes] == [True]


def test_visual_studio_code_expands_the_home_directory_itself() -> None:
    server, notes = read("vscode", {"command": "~/bin/x", "args": ["~/a", "b~"], "cwd": "~"})
    assert server.target == Command("/home/ann/bin/x", ("/home/ann/a", "b~"), {}, "/home/ann")
    assert notes == []


@pytest.mark.parametrize(("tool", "oauth"), [("opencode", False), ("gemini", {"enabled": False})])
def test_a_sign_in_that_is_switched_off_is_named(tool: str, oauth: Any) -> None:
    key = "url" if tool == "opencode" else "httpUrl"
    _, notes = read(tool, {key: "https://x", "oauth": oauth})
    assert [note for note in notes if "keeps the tool from signing in" in note] == notes != []


def test_the_resource_codex_signs_in_for_is_converted() -> None:
    server, notes = read("codex", {"url": "https://x", "oauth_resource": "https://y"})
    assert isinstance(server.target, Address)
    assert server.target.sign_in.resource == "https://y"
    assert notes == []
