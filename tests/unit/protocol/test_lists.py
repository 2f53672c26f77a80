"""Listings: collected page by page, merged over the groups, given out in pages, found by template."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmcp.config.model import Limits
from dmcp.errors import DownstreamError
from dmcp.protocol.limits import MAX_LEARNED, MAX_OLD_BYTES, MAX_OLD_ENTRIES, MAX_PAGES, MAX_SUBSCRIBED
from dmcp.protocol.listing import Collector
from dmcp.protocol.merge import Contribution, merge, same
from dmcp.protocol.naming import split_qualified
from dmcp.protocol.pages import PAGE_SIZE, PagedListing
from dmcp.protocol.router import Router
from dmcp.protocol.routes import ResourceRef
from dmcp.protocol.uri_templates import specificity


def named(*names: str) -> tuple[dict[str, Any], ...]:
    return tuple({"name": name} for name in names)


def test_a_listing_is_complete_when_no_cursor_follows() -> None:
    collector = Collector("tools", Limits())
    assert collector.take({"tools": [{"name": "a"}], "nextCursor": "x"}) == "x"
    assert collector.take({"tools": [{"name": "b"}]}) is None
    assert collector.entries == [{"name": "a"}, {"name": "b"}]
    assert collector.warnings == []


def test_an_empty_text_is_a_cursor_like_any_other() -> None:
    assert Collector("tools", Limits()).take({"tools": [], "nextCursor": ""}) == ""


def test_an_empty_cursor_that_leads_to_the_first_page_again_is_the_end() -> None:
    for pages in ([("a", "")], [("a", "2"), ("b", "")]):
        collector, asked = Collector("tools", Limits()), ""
        for _ in range(2):
            for name, cursor in pages:
                asked = collector.take({"tools": [{"name": name}], "nextCursor": cursor})  # type: ignore[assignment]
        assert asked is None
        assert [tool["name"] for tool in collector.entries] == [name for name, _ in pages]
        assert (collector.warnings, collector.cut) == ([], "")


def test_a_cursor_that_comes_again_ends_the_listing_with_a_remark() -> None:
    collector = Collector("tools", Limits())
    assert collector.take({"tools": [], "nextCursor": "x"}) == "x"
    assert collector.take({"tools": [], "nextCursor": "x"}) is None
    assert "without an end" in collector.cut


def test_a_listing_without_an_end_is_cut() -> None:
    collector = Collector("tools", Limits())
    pages = 0
    while collector.take({"tools": [], "nextCursor": str(pages)}) is not None:
        pages += 1
    assert pages == MAX_PAGES
    assert "without an end" in collector.cut


@pytest.mark.parametrize("page", [None, [], "x", 7, {}, {"tools": None}, {"tools": {"name": "a"}}])
def test_a_page_of_the_wrong_shape_ends_the_listing_with_a_remark(page: Any) -> None:
    collector = Collector("tools", Limits())
    assert collector.take(page) is None
    assert collector.entries == []
    assert len(collector.warnings) == 1


def test_entries_without_a_key_or_with_one_that_is_taken_are_left_out_each_with_a_remark() -> None:
    collector = Collector("resources", Limits())
    collector.take(
        {"resources": [{"uri": "a:"}, {"name": "n"}, {"uri": 1}, {"uri": ""}, None, {"uri": "a:", "x": 1}]}
    )
    assert collector.entries == [{"uri": "a:"}]
    assert len(collector.warnings) == 5


def test_of_many_odd_entries_the_first_are_named_and_the_rest_counted() -> None:
    collector = Collector("tools", Limits())
    assert collector.take({"tools": [None] * 1000}) is None
    collector.finish()
    assert len(collector.warnings) == 21
    assert "and 980 more" in collector.warnings[-1]


@pytest.mark.parametrize(("entries", "fits"), [(6, True), (7, True), (8, False)])
def test_a_listing_with_more_entries_than_the_limit_fails_whatever_its_pages(
    entries: int, fits: bool
) -> None:
    collector = Collector("tools", Limits(listing_entries=7))
    for number in range(entries):
        page: dict[str, Any] = {"tools": [{"name": f"t{number}"}]}
        if collector.take({**page, "nextCursor": f"c{number}"}) is None:
            break
    assert bool(collector.problem) != fits
    assert collector.too_large != fits
    if not fits:
        assert "limits.listing_entries" in collector.problem
        assert collector.entries == []


@pytest.mark.parametrize(("size", "fits"), [(4096, True), (4097, False)])
def test_a_listing_with_more_bytes_than_the_limit_fails(size: int, fits: bool) -> None:
    collector = Collector("tools", Limits(listing_bytes=8192))
    assert not collector.exceeds(b" " * 4096)
    assert collector.exceeds(b" " * size) is not fits
    assert ("is longer than 8192 bytes: raise limits.listing_bytes" in collector.problem) != fits


@pytest.mark.parametrize(("values", "fits"), [(50, True), (51, False)])
def test_a_listing_with_more_values_than_its_bytes_are_for_fails(values: int, fits: bool) -> None:
    collector = Collector("tools", Limits(listing_bytes=2400))
    assert not collector.exceeds(b"," * 49)
    assert collector.exceeds(b"{" * (values - 1)) is not fits
    assert ("has more than 100 values: raise limits.listing_bytes" in collector.problem) != fits


def test_what_two_groups_call_the_same_is_kept_apart_and_the_first_keeps_the_plain_name() -> None:
    merged = merge("prompts", [Contribution("a", named("p"), True), Contribution("b", named("p", "q"), True)])
    assert [entry["name"] for entry in merged.entries] == ["p", "b/p", "q"]
    assert merged.routes == {"p": ("a", "p"), "b/p": ("b", "p"), "q": ("b", "q")}


def test_a_group_that_is_down_keeps_its_claim_but_shows_nothing() -> None:
    merged = merge("prompts", [Contribution("a", named("p"), False), Contribution("b", named("p"), True)])
    assert [entry["name"] for entry in merged.entries] == ["b/p"]
    assert merged.routes["p"] == ("a", "p")


def test_an_entry_is_passed_on_as_it_is_but_for_its_name() -> None:
    entry = {"uri": "x:1", "name": "n", "_meta": {"a": 1}, "unknown": [1.0]}
    merged = merge("resources", [Contribution("a", (entry,), True), Contribution("b b", (entry,), True)])
    assert merged.entries[0] is entry
    assert merged.entries[1] == {**entry, "uri": "dmcp://b%20b/x:1"}
    assert split_qualified("resources", "dmcp://b%20b/x:1", ["a", "b b"]) == ("b b", "x:1")


@pytest.mark.parametrize("name", ["dmcp://nobody/x:1", "dmcp://a", "x:1", "a/x:1"])
def test_a_uri_that_names_no_group_is_not_taken_apart(name: str) -> None:
    assert split_qualified("resources", name, ["a"]) is None


def test_of_two_groups_one_of_whose_names_begins_the_other_the_longer_is_meant() -> None:
    assert split_qualified("prompts", "a/b/p", ["a", "a/b"]) == ("a/b", "p")


def test_pages_cover_the_listing_without_gap_or_overlap() -> None:
    listing = PagedListing("prompts")
    listing.update(named(*(str(number) for number in range(2 * PAGE_SIZE + 1))))
    seen, cursor = [], None
    while True:
        page = json.loads(listing.page(cursor))
        seen += [entry["name"] for entry in page["prompts"]]
        cursor = page.get("nextCursor")
        if cursor is None:
            break
    assert seen == [str(number) for number in range(2 * PAGE_SIZE + 1)]


def test_a_client_in_the_middle_of_a_listing_goes_on_in_the_one_it_began() -> None:
    listing = PagedListing("prompts")
    listing.update(named(*(f"old{number}" for number in range(PAGE_SIZE + 1))))
    cursor = json.loads(listing.page())["nextCursor"]
    listing.update(named(*(f"new{number}" for number in range(PAGE_SIZE + 1))))
    assert json.loads(listing.page(cursor))["prompts"] == [{"name": f"old{PAGE_SIZE}"}]


def test_a_cursor_of_a_generation_long_gone_is_refused() -> None:
    listing = PagedListing("prompts")
    listing.update(named(*(str(number) for number in range(PAGE_SIZE + 1))))
    cursor = json.loads(listing.page())["nextCursor"]
    for generation in range(10):
        listing.update(named(f"generation {generation}"))
    with pytest.raises(DownstreamError, match="cursor has expired"):
        listing.page(cursor)


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "cHJvbXB0czowOi0x", "dG9vbHM6MDow", 5, [], {}, True, "ü"])
def test_a_cursor_that_is_not_ours_is_refused(cursor: object) -> None:
    with pytest.raises(DownstreamError, match="cursor"):
        PagedListing("prompts").page(cursor)


def test_a_listing_that_is_the_same_is_no_change() -> None:
    listing = PagedListing("prompts")
    assert listing.update(named("a"))
    assert not listing.update(named("a"))


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("file:///{name}", "file:///a"),
        ("file:///{+path}", "file:///a/b/c"),
        ("x://{a}/{b}.txt", "x://1/2.txt"),
        ("x://a{?q,r}", "x://a?q=1&r=2"),
        ("x://a{?q}", "x://a"),
        ("x://a{#part}", "x://a#top"),
        ("x://a{/path*}", "x://a/b/c"),
        ("x://a.(b)+{n}", "x://a.(b)+1"),
    ],
)
def test_a_uri_of_a_template_is_recognised(template: str, uri: str) -> None:
    assert specificity(template, uri) is not None


@pytest.mark.parametrize(
    ("template", "uri"),
    [
        ("file:///{name}", "file:///a/b"),
        ("x://{a}", "y://1"),
        ("x://{a}", "x://"),
        ("x://a.b{n}", "x://acb1"),
    ],
)
def test_a_uri_not_of_a_template_is_not(template: str, uri: str) -> None:
    assert specificity(template, uri) is None


def test_the_template_with_more_of_its_own_text_is_meant() -> None:
    general, special = specificity("x://{+any}", "x://users/1"), specificity("x://users/{id}", "x://users/1")
    assert general is not None
    assert special is not None
    assert special > general


def test_expressions_in_a_row_are_as_good_as_one() -> None:
    assert specificity("x:" + "{a}" * 50 + "!", "x:" + "a" * 2000 + "?!") is None
    assert specificity("x:" + "{a}" * 50 + "!", "x:" + "a" * 2000 + "!") == 3


def test_listings_that_nest_too_deeply_to_be_compared_count_as_different() -> None:
    def deep() -> Any:
        value: Any = "x"
        for _ in range(5000):
            value = [value]
        return value

    assert not same(({"uri": "x", "_meta": deep()},), ({"uri": "x", "_meta": deep()},))
    listing = PagedListing("resources")
    assert listing.update(({"uri": "x", "_meta": deep()},))
    assert listing.update(({"uri": "x", "_meta": deep()},))


def test_listings_that_have_changed_are_kept_only_for_who_is_in_the_middle_of_one() -> None:
    listing = PagedListing("prompts")
    for generation in range(3):
        listing.update(named(*(f"{generation}-{number}" for number in range(PAGE_SIZE))))
    assert sum(len(old.entries) for old in listing._old) == 0
    for generation in range(10):
        listing.page()
        listing.update(named(*(f"{generation}-{number}" for number in range(10 * PAGE_SIZE))))
    assert 0 < sum(len(old.entries) for old in listing._old) <= MAX_OLD_ENTRIES


@pytest.mark.parametrize(("size", "kept"), [(2000, True), (5000, False)])
def test_a_listing_that_has_changed_is_kept_only_up_to_so_many_bytes(size: int, kept: bool) -> None:
    listing = PagedListing("prompts")
    listing.update(tuple({"name": str(number), "description": "x" * size} for number in range(1100)))
    cursor = json.loads(listing.page())["nextCursor"]
    listing.update(named("new"))
    if kept:
        assert json.loads(listing.page(cursor))["prompts"]
    else:
        with pytest.raises(DownstreamError, match="expired"):
            listing.page(cursor)
    for generation in range(4):
        listing.update(tuple({"name": f"{generation}.{n}", "description": "x" * size} for n in range(1100)))
        listing.page()
    assert sum(old.size for old in listing._old) <= MAX_OLD_BYTES


def test_of_each_group_so_many_learned_uris_are_remembered_and_no_other_group_pays_for_it() -> None:
    router = Router()
    router.rename(["a", "b"])
    router.learn("a", ["x:mine"])
    for start in range(0, 5000, 100):
        router.learn("b", [f"y:{number}" for number in range(start, start + 100)])
    router.learn("b", ["x:mine", "z" * 3000])
    assert router.resolve(ResourceRef("resources", "x:mine"), None) == ("a", "x:mine")
    assert router.resolve(ResourceRef("resources", "y:4999"), None) == ("b", "y:4999")
    assert router.resolve(ResourceRef("resources", "y:1"), None) is None
    assert len(router._learned) == 1 + MAX_LEARNED
    router.rename(["a"])
    assert list(router._learned) == ["x:mine"]


def test_of_subscriptions_so_many_are_remembered() -> None:
    router = Router()
    router.rename(["a"])
    for number in range(MAX_SUBSCRIBED + 10):
        router.subscribe(1, "a", f"x:{number}", f"x:{number}")
    router.subscribe(2, "a", "x:5", "x:5")
    assert router.updated("a", "x:5") == [(2, "x:5")]
    assert router.updated("a", f"x:{MAX_SUBSCRIBED}") == [(1, f"x:{MAX_SUBSCRIBED}")]
    heard = [number for number in range(MAX_SUBSCRIBED + 10) if router.updated("a", f"x:{number}")]
    assert heard == [5, *range(10, MAX_SUBSCRIBED + 10)]


def test_each_client_hears_of_what_it_is_subscribed_to_under_the_name_it_knows() -> None:
    router = Router()
    router.rename(["a", "b"])
    router.subscribe(1, "a", "x:/docs", "x:/docs")
    router.subscribe(2, "a", "x:/docs", "dmcp://a/x:/docs")
    router.subscribe(3, "a", "x:/docs/1", "x:/docs/1")
    assert router.updated("a", "x:/docs") == [(1, "x:/docs"), (2, "dmcp://a/x:/docs")]
    part = dict(router.updated("a", "x:/docs/1"))
    assert part[1] == part[3] == "x:/docs/1"
    assert part[2] not in ("x:/docs/1", "x:/docs")
    assert router.updated("b", "x:/docs") == []
    router.unsubscribe(1, "a", "x:/docs")
    router.unsubscribe(1, "a", "x:/docs")
    router.drop_client(2)
    assert router.updated("a", "x:/docs/1") == [(3, "x:/docs/1")]
    router.rename(["b"])
    router.rename(["a", "b"])
    assert router.updated("a", "x:/docs/1") == []
