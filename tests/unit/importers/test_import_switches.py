from __future__ import annotations

import itertools
import re
from fnmatch import fnmatchcase

import pytest

from dmcp.cli.coding_tools.special import Selection, Switch, selection

NAMES = ["a", "b", "ab", "a_b", "b_a", "search", "search_all", "s", "mcp_a", "[x]", "x"]
PATTERNS = ["*", "s_*", "s*", "s_a", "s_a*", "*_a", "*a", "s_?", "s_[x]", "t_*", "mcp*", "s_*b*"]


def opencode_shows(switches: list[Switch], name: str) -> bool:
    """What the tool itself does, with its own way of reading a pattern: the last that matches decides."""
    on = True
    for pattern, wanted in switches:
        expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(expression, f"s_{name}", re.DOTALL):
            on = wanted
    return on


def dmcp_shows(chosen: Selection, name: str) -> bool:
    if chosen.none or (chosen.include and not any(fnmatchcase(name, glob) for glob in chosen.include)):
        return False
    return not any(fnmatchcase(name, glob) for glob in chosen.exclude)


def test_every_chain_of_switches_leaves_the_tools_opencode_leaves_or_says_what_is_lost() -> None:
    every = [Switch(pattern, on) for pattern in PATTERNS for on in (True, False)]
    lossy = 0
    for switches in map(list, itertools.product(every, repeat=3)):
        chosen = selection(switches, "s_")
        wanted = {name for name in NAMES if opencode_shows(switches, name)}
        shown = {name for name in NAMES if dmcp_shows(chosen, name)}
        lossy += bool(chosen.lost)
        assert shown <= wanted if chosen.lost else shown == wanted, switches
    assert 0 < lossy < len(every) ** 3 / 4


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ([("s*", False)], Selection(none=True)),
        ([("s*", False), ("s_search", True)], Selection(include=("search",))),
        ([("s_write*", False)], Selection(exclude=("write*",))),
        ([("*_delete", False)], Selection(exclude=("*_delete", "delete"))),
        ([("other_*", False), ("bash", False)], Selection()),
        ([("s_w*", False), ("s_write", True)], Selection(exclude=("w*",), lost=("s_write",))),
        ([("s_w*", False), ("s_w*", True)], Selection()),
    ],
)
def test_a_servers_own_lists_are_as_short_as_a_person_would_write_them(
    switches: list[tuple[str, bool]], expected: Selection
) -> None:
    assert selection([Switch(*each) for each in switches], "s_") == expected


def test_a_pattern_of_any_length_is_done_with_at_once() -> None:
    assert selection([Switch("*a" * 5_000, False)], "s_") == Selection()
    assert selection([Switch("*a" * 90 + "*", False), Switch("*b" * 90, True)], "s_").lost != ()
