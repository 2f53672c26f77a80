from __future__ import annotations

import json
import random

import json5
import pytest

from dmcp.cli.coding_tools.jsonc import with_members

ENTRY = {"command": "x", "args": ["a, b // c"]}


def test_comments_order_and_indentation_stay() -> None:
    text = '{\n\t// mine\n\t"mcpServers": {\n\t\t"z": {"command": "z"}, // last\n\t\t/* end */\n\t}\n}\n'
    added = with_members(text, ("mcpServers",), {"a": {"command": "x"}})
    assert added == (
        '{\n\t// mine\n\t"mcpServers": {\n\t\t"z": {"command": "z"}, // last\n'
        '\t\t"a": {\n\t\t\t"command": "x"\n\t\t},\n'
        "\t\t/* end */\n\t}\n}\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"mcpServers":{}}',
        '{"$schema": "x", "mcpServers": {"b": {"c": [1, {"mcpServers": {}}]}}}',
        '{\r\n  "mcpServers": {\r\n    "b": 1\r\n  }\r\n}\r\n',
        "{'mcpServers': {b: 'it\\'s // no comment'}}",
        '{"mcpServers": {"b": "}{", /* } */ "c": null} /* { */}',
        '{"mcpServers": {"b": 1 /* , */ , // ,\n}}',
        '{"mcpServers": {"b": 1 // no comma\n}}',
        '{"other": {"mcpServers": {"no": 1}},\n}',
    ],
)
def test_a_member_is_added_and_nothing_else_changes(text: str) -> None:
    added = with_members(text, ("mcpServers",), {"new": ENTRY})
    before, after = json5.loads(text), json5.loads(added)
    assert after["mcpServers"].pop("new") == ENTRY
    assert after == {"mcpServers": {}, **before}
    assert ("\r\n" in added) == ("\r\n" in text)


def test_many_members_added_to_many_layouts_are_all_there() -> None:
    dice = random.Random(3)
    for _ in range(60):
        space = lambda: dice.choice(["", " ", "\n", "\n  ", " /* c */ ", " // c\n"])  # noqa: E731 - one line of dice
        names = [f"n{at}" for at in range(dice.randrange(4))]
        inner = ",".join(
            f'{space()}"{name}"{space()}:{space()}{{"command":{space()}"x"}}{space()}' for name in names
        )
        comma = "," if names and dice.random() < 0.5 else ""
        text = f'{{{space()}"mcpServers":{space()}{{{inner}{comma}{space()}}}{space()}}}'
        for at in range(2):
            text = with_members(text, ("mcpServers",), {f"new{at}": ENTRY})
        assert list(json5.loads(text)["mcpServers"]) == [*names, "new0", "new1"]


@pytest.mark.parametrize("text", ['{"mcpServers": []}', '{"mcpServers": 5}', "}", "{"])
def test_a_text_without_room_for_it_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"table|bracket|brace"):
        with_members(text, ("mcpServers",), {"new": ENTRY})


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"mcpServers": {}}',
        '{ "mcpServers": { "a": 1 } }',
        '{\n  "mcpServers": {\n    "a": 1, // x\n  },\n}\n',
    ],
)
def test_members_that_are_added_together_are_as_if_added_one_by_one(text: str) -> None:
    members = {f"n{at}": ENTRY for at in range(3)}
    one_by_one = text
    for key, value in members.items():
        one_by_one = with_members(one_by_one, ("mcpServers",), {key: value})
    assert with_members(text, ("mcpServers",), members) == one_by_one


def test_thousands_of_members_are_added_in_one_pass() -> None:
    """One by one these took an hour."""
    members = {f"n{at}": ENTRY for at in range(20_000)}
    text = with_members('{"mcpServers": {} // mine\n}', ("mcpServers",), members)
    assert json5_free(text) == {"mcpServers": members}


def json5_free(text: str) -> object:
    return json.loads(text.replace("// mine", ""))
