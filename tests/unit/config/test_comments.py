from __future__ import annotations

import random
import time

import json5
import pytest
from pydantic_core import from_json

from dmcp.config.comments import blanked
from harness.measured import processor_time


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": 1,}', '{"a": 1 }'),
        ("[1, 2 , ]", "[1, 2   ]"),
        ('{"a": "//no", "b": "/*no*/,]"}', '{"a": "//no", "b": "/*no*/,]"}'),
        ('{"a": "\\\\", /* x */ "b": "\\"//"}', '{"a": "\\\\",         "b": "\\"//"}'),
        ("// first\n[1] // last", "        \n[1]        "),
        ("/* a\r\nb */[]", "    \r\n    []"),
        ("[1, // why\n /* x */ ]", "[1        \n         ]"),
        ('[{"a": 1,}, ]', '[{"a": 1 }  ]'),
        # What is no JSON stays so.
        ("[,]", "[,]"),
        ("[1,,]", "[1,,]"),
        ("{,}", "{,}"),
        ("[1 / 2,]", "[1 / 2 ]"),
        ('["never ends,]', '["never ends,]'),
        ("[1, /* never ends ]", "[1, /* never ends ]"),
    ],
)
def test_comments_and_trailing_commas_become_blanks_and_nothing_else(text: str, plain: str) -> None:
    assert blanked(text) == plain
    assert len(blanked(text)) == len(text)


def test_what_is_read_is_what_the_slow_reader_reads() -> None:
    dice = random.Random(8)
    pieces = ["{", "}", "[", "]", ",", ":", '"a"', '"//"', '"\\""', "1", "// c\n", "/* , */", " ", "\n", "/"]
    agreed = 0
    for _ in range(3000):
        text = "".join(dice.choices(pieces, k=dice.randrange(1, 12)))
        try:
            fast = from_json(blanked(text))
        except ValueError:
            continue
        assert json5.loads(text) == fast, text
        agreed += 1
    assert agreed > 50


@pytest.mark.parametrize(
    "worst",
    ['"' * 1_000_000, '\\"' * 500_000, "/" * 1_000_000, "/*" * 500_000, "," * 1_000_000, "[1," * 300_000,
     " ," * 500_000, '"\\' * 500_000, "//\n" * 300_000, "{" * 1_000_000, "[1, /**/" * 100_000],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
def test_a_megabyte_of_the_worst_takes_linear_time(worst: str) -> None:
    def cost(text: str) -> float:
        with processor_time(time.process_time) as used:
            blanked(text)
        return used.seconds

    small = min(cost(worst[: len(worst) // 8]) for _ in range(3))
    # Eight times the text: eight times the time if it is linear, sixty-four times if it is not.
    assert min(cost(worst) for _ in range(2)) < 24 * small + 0.05
