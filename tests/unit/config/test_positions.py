from __future__ import annotations

import json
import random

from dmcp.config.positions import in_json, in_toml


def test_every_key_and_element_of_json_is_found_whatever_the_strings_hold() -> None:
    text = """{ // {"no": 1}
  "a": {"b": "}\\"],", 'c': [
      1,
      {"d": null}
  ]},
  e: "x" /* "f": 1,
  */, "g.h": []
}"""
    assert in_json(text).lines == {
        ("a",): 2,
        ("a", "b"): 2,
        ("a", "c"): 2,
        ("a", "c", 0): 3,
        ("a", "c", 1): 4,
        ("a", "c", 1, "d"): 4,
        ("e",): 6,
        ("g.h",): 7,
    }


def test_every_path_of_a_random_document_is_found_on_its_line() -> None:
    source = random.Random(11)

    def value(depth: int) -> object:
        kind = source.randrange(5 if depth < 4 else 3)
        if kind == 0:
            return source.choice(["", 'x"{', "a,b]", "\\", "é\n//", "/*"])
        if kind in (1, 2):
            return source.choice([1, -2.5, None, True])
        if kind == 3:
            return [value(depth + 1) for _ in range(source.randrange(4))]
        return {f"{source.choice('abc')} {n}": value(depth + 1) for n in range(source.randrange(4))}

    def paths(node: object, here: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
        steps: list[tuple[str | int, object]] = []
        if isinstance(node, dict | list):
            steps += node.items() if isinstance(node, dict) else enumerate(node)
        return {(*here, key) for key, _ in steps}.union(*(paths(below, (*here, key)) for key, below in steps))

    for _ in range(200):
        document = {"top": value(0)}
        found = in_json(json.dumps(document, indent=1))
        assert set(found.lines) == paths(document)
        assert not found.repeated


def test_a_repetition_is_noticed_at_its_own_level_only() -> None:
    found = in_json('{"a": {"a": 1},\n"b": [{"a": 1}, {"a": 2}],\n"a": 3}')
    assert [(one.path, one.line, one.first_line) for one in found.repeated] == [(("a",), 3, 1)]


def test_a_path_that_is_not_there_is_on_the_line_of_what_encloses_it() -> None:
    found = in_json('{\n"a": {\n"b": {}}}')
    assert found.line(("a", "b", "c", 0)) == 3
    assert found.line(("z",)) is None
    assert found.line(()) is None


def test_tables_dotted_keys_and_values_of_many_lines_are_told_apart_in_toml() -> None:
    text = """x = 1 # = 2
[a."b.c"]
d.e = [ # [no]
  "f = 1",
]
'g' = '''
h = 2
'''
i = { j = 1 }
[ k ]
l = ""
"""
    found = in_toml(text)
    assert found.lines == {
        ("x",): 1,
        ("a",): 2,
        ("a", "b.c"): 2,
        ("a", "b.c", "d"): 3,
        ("a", "b.c", "d", "e"): 3,
        ("a", "b.c", "g"): 6,
        ("a", "b.c", "i"): 9,
        ("k",): 10,
        ("k", "l"): 11,
    }
    assert found.line(("a", "b.c", "i", "j")) == 9
