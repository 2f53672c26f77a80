from __future__ import annotations

import base64

import pytest

from dmcp.cli import call, formatting
from dmcp.cli.check import advice
from dmcp.protocol import categories


@pytest.mark.parametrize("size", range(7))
def test_the_size_of_a_blob_is_that_of_what_it_encodes(size: int) -> None:
    encoded = base64.b64encode(b"x" * size).decode()
    assert f", {size} bytes" in formatting.content_block(
        {"type": "audio", "mimeType": "audio/wav", "data": encoded}
    )


def test_structured_content_is_shown_when_there_is_no_other() -> None:
    assert formatting.tool_result({"content": [], "structuredContent": {"a": 1}}) == '{\n  "a": 1\n}'
    assert (
        formatting.tool_result({"content": [{"type": "text", "text": "A"}], "structuredContent": {"a": 1}})
        == "A"
    )
    assert formatting.tool_result({}) == "(no content)"


@pytest.mark.parametrize(
    "item", [None, 3, "text", {}, {"type": "hologram"}, {"type": "image"}, {"type": "image", "data": 3}]
)
def test_a_block_that_is_wrong_is_said_so_and_breaks_nothing(item: object) -> None:
    assert formatting.content_block(item).startswith("[")


def test_an_argument_line_has_name_type_and_meaning() -> None:
    schema = {
        "properties": {
            "a": {"type": "string", "description": "First"},
            "b": {"enum": ["x", 1]},
            "c": {"type": ["integer", "null"]},
            "d": True,
        },
        "required": ["a"],
    }
    assert formatting.parameters(schema) == [
        "a (string): First",
        'b ("x" | 1, optional)',
        "c (integer | null, optional)",
        "d (any, optional)",
    ]


def test_only_the_first_sentence_is_an_overview() -> None:
    assert formatting.first_sentence("One thing. Another.\nMore") == "One thing"
    assert formatting.first_sentence("  ") == ""


def test_text_stays_text_where_the_schema_says_text() -> None:
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "number"}}}
    assert call.typed({"a": "1", "b": "1", "c": "1", "d": "x"}, schema) == {
        "a": "1",
        "b": 1,
        "c": 1,
        "d": "x",
    }
    assert call.typed({"a": "1"}, {"properties": 3}) == {"a": 1}


def test_a_value_may_hold_an_equals_sign() -> None:
    assert call.pairs_of(["a=b=c", "d="]) == {"a": "b=c", "d": ""}


def test_advice_names_the_server_where_a_command_needs_it() -> None:
    assert advice("tickets", {"category": categories.NEEDS_SIGN_IN}) == "run `dmcp auth login tickets`"
    assert advice("tickets", {"kind": "exited", "category": categories.HANGS}) is None
    assert advice("tickets", {}) is None
