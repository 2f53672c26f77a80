from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dmcp.cli.coding_tools.formats import MAX_FILE, parse_document, read_document
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("suffix", "text", "said"),
    [
        (".json", '{"a": 1,\n "b": }', "2 Unexpected"),
        (".json", "[1]", "must hold a table"),
        (".json", "  ", "empty"),
        (".json", "[" * 5000, "nested too deeply"),
        (".json", '{"a": 1,' + " " * 1_100_000, "not valid JSON"),
        (".toml", "a = 1\nb = \n", "line 2"),
        (".yaml", "a: [1\nb: 2", "line 2"),
        (".yaml", "a: 1\na: top-secret", "duplicate key"),
        (".yaml", "- " * 5000, "nested too deeply"),
        (".conf", "no: [format", "not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_parsed_says_where_and_quotes_no_secret(
    suffix: str, text: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "f", suffix)
    assert said in str(caught.value)
    assert "top-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'\xef\xbb\xbf{"a": "1"}'),
        ("a.json", b'{"a": "1",} // c\r\n'),
        ("a", b'// c\n{"a": "1"}'),
        ("a.toml", b'\xef\xbb\xbfa = "1"\r\n'),
        ("a", b'a = "1"'),
        ("a.yml", b"a: 1\r\n"),
        ("a", b"a: 1"),
    ],
)
def test_the_format_is_known_by_name_or_found_out(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_document(tmp_path / name) == {"a": "1"}


def test_yaml_scalars_stay_as_they_are_written() -> None:
    text = 'version: 1.10\nflag: yes\noctal: 010\nnothing: null\nempty: ""\nlist: [1, ~]'
    assert parse_document(text, "f", ".yaml") == {
        "version": "1.10",
        "flag": "yes",
        "octal": "010",
        "nothing": None,
        "empty": "",
        "list": ["1", None],
    }


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    with (tmp_path / "huge.json").open("wb") as stream:
        stream.truncate(MAX_FILE + 1)
    for name, said in (
        ("latin.json", "byte 7 is not UTF-8"),
        ("none", "no such file"),
        ("huge.json", "larger than"),
    ):
        with pytest.raises(ConfigError, match=said):
            read_document(tmp_path / name)
    with pytest.raises(ConfigError, match="directory"):
        read_document(tmp_path)
