from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.config.loading import LARGEST, load
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Written = Callable[..., Path]

LOCAL = {"description": "d", "command": "npx"}
REMOTE = {"description": "d", "url": "https://h.example/mcp"}


def refused(path: Path) -> list[str]:
    """The problems of a file, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert all(problem.startswith(f"{path}:") for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}:").strip() for problem in caught.value.problems]


def servers(**entries: Any) -> dict[str, Any]:
    return {"mcpServers": entries}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"command": "x"}, "a has no description: add one"),
        ({**LOCAL, "description": " \n"}, "a.description is blank"),
        ({"description": "d"}, "a has neither a command (for a local server) nor a url"),
        ({"description": "d", "type": "stdio"}, "a has no command"),
        ({"description": "d", "type": "http"}, "a has no url"),
        ({**LOCAL, "url": "https://h"}, "a.url stands beside a command"),
        ({**LOCAL, "headers": {}}, "a.headers is only for servers with a url"),
        ({**REMOTE, "args": []}, "a.args is only for servers with a command"),
        ({**REMOTE, "type": "stdio"}, 'a.type is "stdio", but the server has a url'),
        ({**LOCAL, "type": "http"}, 'a.type is "http", but the server has a command'),
        ({**REMOTE, "type": "htpp"}, 'a.type must be "http" or "sse"; did you mean "http"?'),
        ({**REMOTE, "type": "streamable-http"}, 'a.type must be "http" or "sse"'),
        ({**LOCAL, "enviroment": {}}, 'a.enviroment is not a known key: here it is called "env"'),
        ({**LOCAL, "disabled": True}, 'a.disabled is not a known key: here it is called "enabled"'),
        ({**LOCAL, "timeout": {"tool": 1}}, 'a.timeout.tool is not a known key: did you mean "tools"?'),
        (
            {**LOCAL, "features": {"zzz": True}},
            "a.features.zzz is not a known key: the known ones are tools, ",
        ),
        (
            {**REMOTE, "oauth": {"clientId": "x"}},
            'a.oauth.clientId is not a known key: did you mean "client_id"?',
        ),
        ({**LOCAL, "env": {"PORT": 80}}, "a.env.PORT must be text, not a number: put it in quotes"),
        ({**LOCAL, "env": {"ON": True}}, "a.env.ON must be text, not true or false: put it in quotes"),
        ({**LOCAL, "env": {"A=B": "x"}}, 'a.env."A=B" is not a valid variable name'),
        ({**LOCAL, "env": {"": "x"}}, 'a.env."" is an empty name'),
        ({**LOCAL, "args": "x y"}, "a.args must be a list, not text"),
        ({**LOCAL, "args": ["x", None]}, "a.args[1] must be text, not null"),
        ({**LOCAL, "args": ["x\0"]}, "a.args[0] has a NUL"),
        ({**LOCAL, "command": ["x"]}, "a.command must be text, not a list"),
        ({**LOCAL, "command": ""}, "a.command is empty"),
        ({**LOCAL, "enabled": "yes"}, "a.enabled must be true or false, not text: leave the quotes out"),
        ({**LOCAL, "enabled": 1}, "a.enabled must be true or false, not a number"),
        ({**LOCAL, "timeout": "30s"}, "a.timeout must be an object, not text"),
        ({**LOCAL, "timeout": {"tools": "soon"}}, "a.timeout.tools is not a duration"),
        ({**LOCAL, "timeout": {"tools": 0}}, "a.timeout.tools must be a duration greater than zero"),
        ({**LOCAL, "restart": {"intensity": 0}}, "a.restart.intensity is too small: the least is 1"),
        (
            {**LOCAL, "restart": {"backoff_min": "1m"}},
            "a.restart has a backoff_min longer than its backoff_max",
        ),
        ({**LOCAL, "limits": {"frames": 1}}, 'a.limits.frames is not a known key: did you mean "frame"?'),
        ({**LOCAL, "limits": {"frame": "64M"}}, 'a.limits.frame is not a size: write "64MiB"'),
        ({**LOCAL, "limits": {"frame": 1.5}}, 'a.limits.frame must be a size such as "64MiB"'),
        ({**LOCAL, "limits": {"frame": 1000}}, "a.limits.frame is too small: the least is 1024"),
        ({**LOCAL, "limits": {"listing_bytes": "2GB"}}, "a.limits.listing_bytes is too large: the most is"),
        (
            {**LOCAL, "limits": {"listing_entries": 0}},
            "a.limits.listing_entries is too small: the least is 1",
        ),
        ({**LOCAL, "limits": {"listing_entries": "9"}}, "a.limits.listing_entries must be a whole number"),
        ({**LOCAL, "limits": {"listing_entries": 2.5}}, "a.limits.listing_entries must be a whole number"),
        ({**LOCAL, "limits": {"notifications": "many"}}, "a.limits.notifications must be a number, not text"),
        ({**LOCAL, "limits": {"call_time": "ages"}}, "a.limits.call_time is not a duration"),
        ({**LOCAL, "limits": 5}, "a.limits must be an object, not a number"),
        ({**LOCAL, "startup": "lasy"}, 'a.startup must be "eager" or "lazy"; did you mean "lazy"?'),
        ({**LOCAL, "description": "\ud800"}, "a.description holds half a character"),
        ({**LOCAL, "env": {"\ud800": "x"}}, 'a.env."\\ud800" holds half a character'),
        (
            {**REMOTE, "oauth": {"resource": 5}},
            "a.oauth.resource must be true or false or text, not a number",
        ),
        ({**REMOTE, "oauth": {"resource": ""}}, "a.oauth.resource is empty"),
        ({**REMOTE, "oauth": {"redirect_path": "/c\n"}}, "a.oauth.redirect_path must begin with / and hold"),
        ({**REMOTE, "oauth": {"redirect_path": "/" + "c" * 200}}, "a.oauth.redirect_path is too long: 200 "),
        (
            {**LOCAL, "limits": {"notifications": float("nan")}},
            "a.limits.notifications is too small: the least",
        ),
        (
            {**LOCAL, "limits": {"notifications": True}},
            "a.limits.notifications must be a number, not true or",
        ),
        ({**LOCAL, "inherit_env": ["A*"]}, "a.inherit_env must hold names of environment variables"),
        ({**LOCAL, "features": None}, "a.features must be an object, not null"),
        ({**REMOTE, "url": "h.example"}, "a.url must begin with http:// or https://"),
        ({**REMOTE, "url": "https:///x"}, "a.url names no host"),
        ({**REMOTE, "url": "https://h:port/"}, "a.url is not a valid URL"),
        ({**REMOTE, "url": "https://h/a b"}, "a.url has a blank"),
        ({**REMOTE, "headers": {"A B": "x"}}, 'a.headers."A B" is not a valid header name'),
        ({**REMOTE, "headers": {"A": "x\r\nB: y"}}, "a.headers.A has a line break"),
        (
            {**REMOTE, "oauth": {"redirect_port": 70000}},
            "a.oauth.redirect_port is too large: the most is 65535",
        ),
        (
            {**REMOTE, "oauth": {"grant": "client_credentials"}},
            "a.oauth uses the grant client_credentials: add",
        ),
        (
            {**REMOTE, "oauth": {"token_endpoint_auth_method": "private_key_jwt"}},
            "a.oauth uses private_key_jwt: add",
        ),
        (
            {**REMOTE, "oauth": {"client_metadata_url": "http://h/c"}},
            "a.oauth.client_metadata_url must begin with https",
        ),
        (
            {**REMOTE, "oauth_client_id": "x", "oauth": {"client_id": "x"}},
            "a has both oauth_client_id and oauth.client",
        ),
        ("npx", "a must be an object, not text"),
    ],
)
def test_each_mistake_in_an_entry_is_explained_at_its_key(written: Written, entry: Any, said: str) -> None:
    problems = refused(written(servers(a=entry)))
    assert any(f" mcpServers.{said}" in f" {problem.partition(' ')[2]}" for problem in problems), problems


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, 'the file has no "mcpServers"'),
        ({"mcpservers": {}}, 'mcpservers is not a known key: did you mean "mcpServers"?'),
        ({"servers": {}}, 'servers is not a known key: here it is called "mcpServers"'),
        ({"mcpServers": []}, "mcpServers must be an object, not a list"),
        ({"mcpServers": {"": LOCAL}}, 'mcpServers."" is an empty name'),
        ({"mcpServers": {}, "startup": "slow"}, 'startup must be "eager" or "lazy"'),
    ],
)
def test_each_mistake_at_the_top_is_explained(written: Written, content: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in refused(written(content)))


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file_with_their_lines(written: Written) -> None:
    content = """{
  "mcpServers": {
    // comments do not count
    "a.b": {
      "description": "d",
      "comand": "x",
      "env": {
        "N": 1
      }
    },
    "c": {"description": "", "command": "x"}
  },
  "extra": 1
}"""
    starts = [
        '4: mcpServers."a.b" has neither',
        '6: mcpServers."a.b".comand is not',
        '8: mcpServers."a.b".env.N must',
        "11: mcpServers.c.description is blank",
        "13: extra is not",
    ]
    problems = refused(written(content))
    assert len(problems) == len(starts)
    assert all(problem.startswith(start) for problem, start in zip(problems, starts, strict=True)), problems


def test_a_mistake_in_toml_is_told_with_its_line(written: Written) -> None:
    content = """# top
[mcpServers.a]
description = \"\"\"
[mcpServers.b]
\"\"\"
command = "x"
args = [
  "one = 1",
]
env.N = 1

[mcpServers."c.d"]
description = "d"
command = "x"
timeout = { tols = "3s" }
"""
    assert refused(written(content, "c.toml")) == [
        "10: mcpServers.a.env.N must be text, not a number: put it in quotes",
        '15: mcpServers."c.d".timeout.tols is not a known key: did you mean "tools"?',
    ]


def test_a_key_that_stands_twice_is_refused_with_both_lines(written: Written) -> None:
    content = '{"mcpServers": {\n"a": {"description": "d", "command": "x"},\n"\\u0061": {}}}'
    assert refused(written(content)) == ["3: mcpServers.a stands here again after line 2: keep one of them"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.json", '{\n  "a": 1\n  "b": 2\n}', "3:3: this is not valid JSON: "),
        ("c.json", "{\n  // why\n  'a': 1,\n  b 2\n}", "4:5: this is not valid JSON: "),
        ("c.json", '{"a": "', "1:8: this is not valid JSON: "),
        ("c.toml", "a = 1\nb = [\n", "this is not valid TOML: "),
        ("c.toml", "a = 1\na = 2\n", "this is not valid TOML: "),
        ("c.json", "", "the file is empty"),
        ("c.json", "\ufeff \n", "the file is empty"),
        ("c.json", "[]", "the file must hold an object"),
        ("c.json", '"mcpServers"', "the file must hold an object"),
        ("c.json", "[" * 5000, "the file is nested too deeply"),
        ("c.toml", "a = " + "[" * 5000, "nested too deeply"),
        ("c.json", b'{"a":\n"\xff"}', "2: the file is not UTF-8"),
        ("c.json", " " * (LARGEST + 1), "the file is larger than 1024 KiB"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_refused_with_the_place(
    written: Written, name: str, content: str | bytes, said: str
) -> None:
    (problem,) = refused(written(content, name))
    assert said in problem


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.json") == ["there is no such file: check the path to the configuration."]


def test_a_directory_is_told_from_a_file(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path)
    assert "directory" in problem or "cannot be read" in problem  # Windows says permission denied


def test_a_path_no_file_can_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load("a\0b", {})


def test_no_value_is_quoted_in_a_message(written: Written) -> None:
    entry = {
        "description": "d",
        "url": "s3cret://s3cret",
        "headers": {"X": "s3cret\n", "Y": 53},
        "oauth": {"client_secret": ["s3cret"], "grant": "s3cret"},
        "timeout": {"tools": "s3cret"},
        "type": "s3cret",
    }
    assert "s3cret" not in "".join(
        refused(written(servers(a=entry, b={**entry, "oauth": {}, "timeout": {}})))
    )


def test_a_hundred_mutations_of_each_language_load_or_are_refused_in_words(written: Written) -> None:
    source = random.Random(4)
    entry = {**LOCAL, "args": ["${A:-b}", "é"], "env": {"K": "v"}, "timeout": {"tools": "5s"}}
    plain = json.dumps(servers(a=entry, b={**REMOTE, "headers": {"X": "y"}}), indent=1)
    toml = '[mcpServers.a]\ndescription = "d"\ncommand = "x"\nenv = { K = "v" }\n[mcpServers."b.c"]\nurl = "https://h"\n'
    outcomes = set()
    for name, text in (("m.json", plain), ("m.jsonc", "// c\n" + plain), ("m.toml", toml)):
        for _ in range(100):
            content = bytearray(text.encode())
            for _ in range(source.randrange(1, 4)):
                at = source.randrange(len(content))
                junk = source.choice(
                    [b"", b"{", b"}", b'"', b"\\", b"[", b",", b"\xff", b"\0", b"/*", b"1e999"]
                )
                content[at : at + source.choice([0, 1, 5, 400])] = junk
                content = content or bytearray(b" ")
            outcomes.add(_outcome(written(bytes(content), name)))
    assert outcomes == {"loaded", "refused"}


def _outcome(path: Path) -> str:
    try:
        load(path, {})
    except ConfigError as error:
        return "refused" if error.problems and all(error.problems) else "refused without a word"
    return "loaded"
