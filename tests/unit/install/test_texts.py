from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import json5
import pytest

from dmcp.cli.coding_tools.changes import ABSENT
from dmcp.cli.coding_tools.formats import edited, parsed
from dmcp.cli.coding_tools.jsonc import with_value, without_member
from dmcp.errors import ConfigError

JSONC = """{
  // mine
  "mcp": {
    "a": { "command": "a" }, // first
    "b": { "command": "b", "enabled": true }
  },
  "theme": "dark", /* last */
}
"""
TOML = """# mine
model = "x"

[mcp_servers.a]  # first
command = "a"
enabled = true

[mcp_servers.a.env]
KEY = "v"

[mcp_servers."b c"]
command = "b"

[profiles.x]
model = "y"
"""
YAML = """# mine
extensions:
  a:  # first
    type: stdio
    cmd: 'a'
    enabled: true
  b:
    cmd: b
"""


@pytest.mark.parametrize(
    ("keys", "value", "was", "now"),
    [
        (("mcp", "b", "enabled"), False, '"enabled": true', '"enabled": false'),
        (("mcp", "b"), ABSENT, ', // first\n    "b": { "command": "b", "enabled": true }\n', " // first\n"),
        (("mcp", "a"), ABSENT, '    "a": { "command": "a" }, // first\n', "     // first\n"),
        (("theme",), ABSENT, '  "theme": "dark", /* last */\n', "   /* last */\n"),
        (("theme",), ["x"], '"dark"', '[\n    "x"\n  ]'),
    ],
)
def test_only_the_value_meant_changes_in_jsonc(keys: tuple[str, ...], value: Any, was: str, now: str) -> None:
    assert JSONC.count(was) == 1
    assert edited(JSONC, Path("x.jsonc"), [(keys, value)]) == JSONC.replace(was, now)


@pytest.mark.parametrize(
    ("keys", "value", "was", "now"),
    [
        (("mcp_servers", "a", "enabled"), False, "enabled = true", "enabled = false"),
        (("mcp_servers", "b c", "enabled"), False, 'command = "b"\n', 'command = "b"\nenabled = false\n'),
        (("mcp_servers", "a", "enabled"), ABSENT, "enabled = true\n", ""),
        (("mcp_servers", "b c"), ABSENT, '[mcp_servers."b c"]\ncommand = "b"\n\n', ""),
        (
            ("mcp_servers", "d"),
            {"command": "d", "args": ["\\", '"']},
            "[profiles.x]",
            '[mcp_servers.d]\ncommand = "d"\nargs = ["\\\\", "\\""]\n\n[profiles.x]',
        ),
    ],
)
def test_only_the_value_meant_changes_in_toml(keys: tuple[str, ...], value: Any, was: str, now: str) -> None:
    assert TOML.count(was) == 1
    assert edited(TOML, Path("x.toml"), [(keys, value)]) == TOML.replace(was, now)


def test_a_toml_table_goes_with_the_tables_below_it() -> None:
    outcome = edited(TOML, Path("x.toml"), [(("mcp_servers", "a"), ABSENT)])
    assert "KEY" not in outcome
    assert outcome.startswith('# mine\nmodel = "x"\n\n[mcp_servers."b c"]')


@pytest.mark.parametrize(
    ("text", "edited_text"),
    [
        (
            'mcp_servers = { a = { command = "a" } }  # mine\n',
            'mcp_servers = { a = { command = "a", enabled = false} }',
        ),
        (
            'x = """\n[mcp_servers.a]\n"""\nmcp_servers.a.command = "a"\n',
            'mcp_servers.a.command = "a"\nmcp_servers.a.enabled = false\n',
        ),
        ('[mcp_servers]\na.command = "a"\n[z]\n', 'a.command = "a"\na.enabled = false\n[z]'),
        (TOML.replace("\n", "\r\n"), 'command = "a"\r\nenabled = false\r\n'),
    ],
)
def test_every_spelling_of_a_toml_table_can_be_edited(text: str, edited_text: str) -> None:
    path, keys = Path("x.toml"), ("mcp_servers", "a", "enabled")
    off = edited(text, path, [(keys, False)])
    assert edited_text in off
    assert parsed(off, path)["mcp_servers"]["a"] == {
        **parsed(text, path)["mcp_servers"]["a"],
        "enabled": False,
    }
    assert len(set(text.splitlines()) - set(off.splitlines())) <= 1


@pytest.mark.parametrize(
    "text", ["", 'model = "x"\n', TOML, TOML + "\n[mcp_servers.z]\ncommand = 'z'", TOML.replace("\n", "\r\n")]
)
def test_a_toml_table_that_was_added_leaves_nothing_behind(text: str) -> None:
    path, keys = Path("x.toml"), ("mcp_servers", "dmcp")
    added = edited(text, path, [(keys, {"command": "d", "args": ["c"], "env": {"A": "b"}})])
    assert parsed(added, path)["mcp_servers"]["dmcp"] == {"command": "d", "args": ["c"], "env": {"A": "b"}}
    assert "\n\n\n" not in added
    assert ("\r\n" in text) == ("\r\n" in added)
    assert "\n" not in added.replace("\r\n", "") or "\r\n" not in text
    assert edited(added, path, [(keys, ABSENT)]) == text


def test_an_edit_that_would_take_too_long_is_refused_and_the_file_stays() -> None:
    with pytest.raises(ConfigError, match="edit the file by hand"):
        edited(f"{TOML}x = '{'y' * 2**20}'\n", Path("x.toml"), [(("mcp_servers", "a", "enabled"), False)])


@pytest.mark.parametrize("name", ["x.json", "x.toml", "x.yaml"])
def test_a_byte_order_mark_stays(name: str) -> None:
    text = edited("\ufeff", Path(name), [(("servers", "dmcp"), {"command": "d"})])
    assert text.startswith("\ufeff")
    assert text.count("\ufeff") == 1
    assert parsed(text, Path(name)) == {"servers": {"dmcp": {"command": "d"}}}


def test_yaml_keeps_its_comments_quotes_and_order() -> None:
    off = edited(YAML, Path("x.yaml"), [(("extensions", "a", "enabled"), False)])
    assert off == YAML.replace("enabled: true", "enabled: false")
    added = edited(YAML, Path("x.yaml"), [(("extensions", "dmcp"), {"cmd": "d"})])
    assert added == YAML + "  dmcp:\n    cmd: d\n"
    assert edited(added, Path("x.yaml"), [(("extensions", "dmcp"), ABSENT)]) == YAML


@pytest.mark.parametrize("name", ["x.json", "x.toml", "x.yaml"])
def test_an_entry_put_into_an_empty_file_can_be_taken_out_again(name: str) -> None:
    path = Path(name)
    text = edited("", path, [(("servers", "dmcp"), {"command": "d"})])
    assert parsed(text, path) == {"servers": {"dmcp": {"command": "d"}}}
    out = edited(text, path, [(("servers", "dmcp"), ABSENT), (("servers",), ABSENT)])
    assert parsed(out, path) == {}


def commented(value: Any, dice: random.Random) -> str:
    """The value as JSONC with comments, blanks and trailing commas strewn in."""

    def gap() -> str:
        return dice.choice(["", " ", "\n", "\n  ", " // , } x\n", "/* { : */", "\r\n\t"])

    if not isinstance(value, dict):
        return json.dumps(value)
    members = [f"{gap()}{json.dumps(k)}{gap()}:{gap()}{commented(v, dice)}{gap()}" for k, v in value.items()]
    return "{" + ",".join(members) + ("," if members and dice.random() < 0.3 else "") + gap() + "}"


@pytest.mark.parametrize("seed", range(40))
def test_any_member_of_any_table_can_be_replaced_and_taken_out(seed: int) -> None:
    dice = random.Random(seed)
    leaf = [1, "a } b", [{"x": "]"}], None, {}]
    table = {f"k{n}": {f"m{m}": dice.choice(leaf) for m in range(dice.randint(0, 3))} for n in range(3)}
    text = commented(table, dice)
    members = [(outer, inner) for outer, inners in table.items() for inner in inners]
    for outer, inner in members:
        kept = {key: value for key, value in table[outer].items() if key != inner}
        assert json5.loads(without_member(text, (outer,), inner)) == {**table, outer: kept}
        changed = {**table, outer: {**table[outer], inner: {"n": [2]}}}
        assert json5.loads(with_value(text, (outer,), inner, {"n": [2]})) == changed


def test_yaml_with_the_line_ends_of_windows_keeps_them() -> None:
    path, keys, text = Path("x.yaml"), ("extensions", "dmcp"), YAML.replace("\n", "\r\n")
    added = edited(text, path, [(keys, {"cmd": "d"})])
    assert added == text + "  dmcp:\r\n    cmd: d\r\n"
    assert edited(added, path, [(keys, ABSENT)]) == text


@pytest.mark.parametrize("value", ["!!python/object/apply:os.system ['x']", "!mine x", "2024-99-99"])
def test_a_yaml_value_of_no_plain_kind_is_refused_in_words(value: str) -> None:
    with pytest.raises(ConfigError, match="a value that is neither text, number nor table"):
        parsed(f"a: {value}\n", Path("x.yaml"))
