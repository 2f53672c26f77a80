"""Properties of names, routes and URI templates: whatever servers call things, each name leads to one thing."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import assume, given
from hypothesis import strategies as st

from dmcp.protocol.merge import Contribution, merge
from dmcp.protocol.naming import Names, qualified, split_qualified
from dmcp.protocol.router import MERGED, Router
from dmcp.protocol.routes import ResourceRef
from dmcp.protocol.uri_templates import specificity

if TYPE_CHECKING:
    from dmcp.protocol.listing import Kind

NESTED = st.permutations(["a", "a/b", "b", "A"])  # names of which one begins another
ODD = st.sampled_from(["ü", "dmcp", "a%2Fb", "x y"]) | st.text(min_size=1, max_size=4)
GROUPS = NESTED | st.lists(ODD, min_size=1, max_size=4, unique=True)
PART = st.sampled_from(
    ["a", "b", "x", "/", "dmcp://", "DMCP:", "%61", "http://", "", "\u200b", "b/x"]
)  # fullwidth a
OWN = (
    PART.filter(bool) | st.lists(PART, min_size=1, max_size=4).map("".join) | st.text(min_size=1, max_size=6)
)
KINDS = st.sampled_from(MERGED)
KEYS = {"resources": "uri", "templates": "uriTemplate", "prompts": "name"}


@given(st.sampled_from(["resources", "templates"]), GROUPS, OWN)
def test_a_long_uri_is_taken_apart_into_what_it_was_made_of(kind: Kind, groups: list[str], own: str) -> None:
    for group in groups:
        assert split_qualified(kind, qualified(kind, group, own), groups) == (group, own)


@given(KINDS, GROUPS, OWN, st.booleans())
def test_a_name_that_is_shown_is_never_another_groups(
    kind: Kind, groups: list[str], own: str, taken: bool
) -> None:
    names = Names(groups)
    for group in groups:
        shown = names.shown(kind, group, own, taken=taken)
        if shown is None:
            assert kind == "prompts"
        elif shown == own and not taken:
            assert names.split(kind, own) is None
        else:
            assert names.split(kind, shown) == (group, own)


@given(KINDS, GROUPS, st.data())
def test_each_name_the_client_sees_leads_to_the_entry_it_stands_for(
    kind: Kind, groups: list[str], data: Any
) -> None:
    listed = {
        group: data.draw(st.lists(OWN.filter(bool), max_size=4, unique=True), label=group) for group in groups
    }
    parts = [
        Contribution(group, tuple({KEYS[kind]: own} for own in owns), visible=True)
        for group, owns in listed.items()
    ]
    merged = merge(kind, parts)
    assert len(merged.entries) == len(merged.routes), "two entries have one name"
    router = Router()
    router.rename(groups)
    router.merge(kind, parts)
    of = "prompts" if kind == "prompts" else "resources"
    for shown, (group, own) in merged.routes.items():
        found = router.resolve(ResourceRef(of, shown, is_template=kind == "templates"), None)  # type: ignore[arg-type]  # one of two
        assert found == (group, own)
    for group, owns in listed.items():
        for own in owns:
            assert router.resolve(ResourceRef(of, own, group), None) in (  # type: ignore[arg-type]  # likewise
                (group, own),
                split_qualified(kind, own, groups),
            )


LITERAL = st.text("ab/.?#;&-", min_size=1, max_size=3)
EXPRESSION = st.sampled_from(["{v}", "{+v}", "{#v}", "{.v}", "{/v}", "{;v}", "{?v}", "{&v}"])
TEMPLATES = st.lists(LITERAL | EXPRESSION, min_size=1, max_size=5)
PATTERNS = {
    "{v}": "[^/?#]+",
    "{+v}": ".+",
    "{#v}": "(?:#.*)?",
    "{.v}": r"(?:\.[^/?#]*)?",
    "{/v}": "(?:/[^?#]*)?",
    "{;v}": "(?:;[^/?#]*)?",
    "{?v}": r"(?:\?[^#]*)?",
    "{&v}": "(?:&[^#]*)?",
}


@given(TEMPLATES, st.text("ab/.?#;&-", max_size=10))
def test_a_template_matches_what_a_regular_expression_would(parts: list[str], uri: str) -> None:
    # One expression after another of the same kind is as good as one.
    assume(all(one != two for one, two in pairwise(parts)))
    pattern = "".join(PATTERNS.get(part, re.escape(part)) for part in parts)
    literal = sum(len(part) for part in parts if part not in PATTERNS)
    expected = literal if re.fullmatch(pattern, uri, re.DOTALL) else None
    assert specificity("".join(parts), uri) == expected


@given(TEMPLATES, st.lists(st.text("ab-", min_size=1, max_size=4), min_size=5, max_size=5))
def test_a_template_matches_what_it_was_expanded_to(parts: list[str], values: list[str]) -> None:
    filled = iter(values)
    uri = "".join(
        f"{part[1] if part[1] not in '+v' else ''}{next(filled)}" if part in PATTERNS else part
        for part in parts
    )
    assert specificity("".join(parts), uri) == sum(len(part) for part in parts if part not in PATTERNS)
