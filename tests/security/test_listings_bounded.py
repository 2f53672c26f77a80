"""What servers list and clients ask of it: everything comes to an end, and nothing of it holds the loop."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Self

import pytest

from harness import RpcError
from harness.watched import LoopWatch
from security.claims import behind_dmcp, every, read

if TYPE_CHECKING:
    from pathlib import Path

    from harness import RawClient

pytestmark = pytest.mark.anyio

MANY = 2500
LONG_URI = "x://" + "a" * 1_000_000


class Watched:
    """A watched dmcp and its client."""

    def __init__(self, room: Path, **groups: dict[str, Any]) -> None:
        self.watch = LoopWatch(room)
        config = room / "dmcp.json"
        self.client = behind_dmcp(room, LoopWatch.command(config), env=self.watch.env, **groups)

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        await self.client.initialize()
        await self.client.request("resources/list")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.__aexit__(*error)

    def held(self) -> float:
        """Milliseconds of processor time of the longest turn."""
        return self.watch.held().cpu


async def test_a_listing_of_one_group_is_paged_to_its_end(tmp_path: Path) -> None:
    groups = {
        "g": {"many": {"resources": MANY, "prompts": MANY, "templates": MANY}},
        "h": {"many": {"resources": 1}},
    }
    async with behind_dmcp(tmp_path, **groups) as client:
        await client.initialize()
        names = [f"many:{number}" for number in range(MANY)]
        for method in ("resources/list", "resources/templates/list", "prompts/list"):
            assert await every(client, method, group="g") == names
        assert await every(client, "resources/list") == [*names, "dmcp://h/many:0"]


async def test_a_cursor_is_good_for_its_listing_and_its_group_only(tmp_path: Path) -> None:
    many = {"many": {"resources": MANY, "prompts": MANY}}
    async with behind_dmcp(tmp_path, g=many, h=many) as client:
        await client.initialize()
        cursor = (await client.request("resources/list", {"group": "g"}))["nextCursor"]
        shared = (await client.request("resources/list"))["nextCursor"]
        for method, params in [
            ("resources/list", {"group": "h", "cursor": cursor}),
            ("resources/list", {"cursor": cursor}),
            ("prompts/list", {"group": "g", "cursor": cursor}),
            ("resources/list", {"group": "g", "cursor": shared}),
        ]:
            with pytest.raises(RpcError, match="cursor") as caught:
                await client.request(method, params)
            assert caught.value.code == -32602
        assert (await client.request("resources/list", {"group": "g", "cursor": cursor}))["resources"]


CURSORS = [
    "x" * 1_000_000,
    base64.urlsafe_b64encode(b"9" * 100_000 + b":0:resources:").decode(),
    base64.urlsafe_b64encode(b"9" * 300 + b":0:resources:").decode(),
    base64.urlsafe_b64encode(b"0:-1:resources:").decode(),
    "",
    "\u0000",
    "\u202e",
    "=" * 100,
    7,
    [],
    {"a": 1},
]


@pytest.mark.parametrize("group", [{}, {"group": "g"}])
async def test_a_cursor_of_any_length_and_content_is_answered(tmp_path: Path, group: dict[str, str]) -> None:
    async with behind_dmcp(tmp_path, strict=False, g={"many": {"resources": 1}}) as client:
        await client.initialize()
        for cursor in CURSORS:
            answer = await client.answer(client.ask("resources/list", {"cursor": cursor, **group}))
            assert answer["error"]["code"] == -32602
            assert len(answer["error"]["message"]) < 200
        without = await client.answer(client.ask("resources/list", {"cursor": None, **group}))
        assert len(without["result"]["resources"]) == 1  # some clients write it so


HOSTILE_TEMPLATES = {
    "many expressions": ["x://" + "".join(f"{{{c}}}a" for c in "abcdefgh" * 40) + "!"],
    "one kind in a row": ["x://" + "{a}{b}{c}" * 300 + "!"],
    "mixed kinds": ["x://" + "{a}{+b}{/c}{?d}{&e}{#f}" * 100 + "!"],
    "one megabyte": ["x://" + "{a}b" * 250_000],
    "braces": ["x://" + "{" * 500_000, "x://" + "}" * 500_000, "x://{" + "{}" * 200_000],
    "thousands": ["x://" + "{a}a{+b}a" * 100 + str(number) for number in range(3000)],
    "thousands of short ones": [f"x://{{a}}{number}" for number in range(5000)],
}


@pytest.mark.parametrize("kind", HOSTILE_TEMPLATES)
@pytest.mark.parametrize("uri", ["x://" + "a" * 4000 + "?", LONG_URI], ids=["long", "one megabyte"])
async def test_no_template_and_no_uri_holds_the_loop(tmp_path: Path, kind: str, uri: str) -> None:
    templates = [{"uriTemplate": template} for template in HOSTILE_TEMPLATES[kind]]
    honest = {"templates": [{"uriTemplate": "note:{name}"}]}
    async with Watched(tmp_path, bad={"templates": templates}, honest=honest) as dmcp:
        dmcp.watch.start_watching()
        await dmcp.client.request("ping")
        for _ in range(3):
            dmcp.client.ask("resources/read", {"uri": uri})
        assert await read(dmcp.client, "note:1") == "honest: note:1"
        assert dmcp.held() < 50


async def test_a_mistyped_name_among_thousands_of_long_ones_costs_little(tmp_path: Path) -> None:
    names = ["n" * 1500 + str(number) for number in range(5000)]
    short = [f"do_some_thing_{number}" for number in range(5000)]
    groups = {
        "long": {"tools": [{"name": name} for name in names], "prompts": [{"name": name} for name in names]},
        "short": {"tools": [{"name": name} for name in short], "prompts": [{"name": name} for name in short]},
    }
    async with Watched(tmp_path, **groups) as dmcp:
        client = dmcp.client
        for group in groups:
            await client.tools(group)
        await client.request("ping")
        dmcp.watch.start_watching()
        for wanted in ("do_some_thnig_7", "n" * 1000, "x" * 1_000_000, "\u00e9" * 79):
            for group in groups:
                result = await client.call(group, wanted)
                assert result["isError"]
                assert len(result["content"][0]["text"]) < 1000
            with pytest.raises(RpcError, match="no server has a prompt") as caught:
                await client.request("prompts/get", {"name": wanted})
            assert len(caught.value.message) < 1000
        assert dmcp.held() < 50


async def test_a_listing_at_its_limit_is_shown_without_holding_the_loop(tmp_path: Path) -> None:
    tools = [{"name": f"t{n}", "description": 'say "so"\n' * 120} for n in range(5000)]
    async with Watched(tmp_path, big={"tools": tools}, small={"tools": [{"name": "t"}]}) as dmcp:
        client = dmcp.client
        await client.tools("small")
        dmcp.watch.start_watching()
        await client.request("ping")
        for wanted in (
            {"group": "big"},
            {"query": "say", "group": "big"},
            {"group": "big", "detail": "signatures"},
        ):
            params = {"name": "get_dynamic_tools", "arguments": wanted}
            shown = (await client.request("tools/call", params))["content"][0]["text"]
            assert "t1" in shown
            assert len(shown) <= 7500
        # Of 8 MiB in pages of a budget as large as it may be:
        names = [tool["name"] for tool in await client.tools("big")]
        assert names == [tool["name"] for tool in tools]
        assert dmcp.held() < 50


async def test_pages_are_bounded_in_bytes_too(tmp_path: Path) -> None:
    entries = [{"uri": f"x:{number}", "description": "d" * 70_000} for number in range(100)]
    async with Watched(tmp_path, g={"resources": entries}) as dmcp:
        dmcp.watch.start_watching()
        await dmcp.client.request("ping")
        assert await every(dmcp.client, "resources/list") == [entry["uri"] for entry in entries]
        assert max(map(len, dmcp.client.lines)) < 5_000_000
        assert dmcp.held() < 50


async def test_a_description_beyond_its_limit_is_cut_where_dmcp_shows_it_and_said(tmp_path: Path) -> None:
    tools = [{"name": "long", "description": "d" * 5000}, {"name": "whole", "description": "d" * 4096}]
    prompts = [{"name": "p", "description": "d" * 5000}]
    async with behind_dmcp(tmp_path, g={"tools": tools, "prompts": prompts}) as client:
        await client.initialize()
        long, whole = await client.tools("g")
        assert long["description"] == "d" * 4096 + " [dmcp: 904 more characters are cut off]"
        assert whole["description"] == "d" * 4096
        (prompt,) = (await client.request("prompts/list"))["prompts"]
        assert prompt == prompts[0]


async def subscribed(client: RawClient, uri: str) -> bool:
    try:
        await client.request("resources/subscribe", {"uri": uri})
    except RpcError:
        return False
    return True


async def test_what_nests_too_deeply_to_be_compared_harms_nobody(tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    says = {"tools": [{"name": "t", "_meta": deep}], "resources": [{"uri": "x:1", "_meta": deep}]}
    other = {"resources": [{"uri": "x:2"}]}
    async with behind_dmcp(tmp_path, strict=False, deep=says, other=other) as client:
        await client.initialize()
        for _ in range(2):
            client.ask("resources/list")
        assert await read(client, "x:2") == "other: x:2"
        assert await subscribed(client, "x:1")


async def test_a_result_that_links_to_very_many_resources_costs_no_more_than_reading_it(
    tmp_path: Path,
) -> None:
    content = [{"type": "resource_link", "uri": f"x:{number}", "name": "l"} for number in range(50_000)]
    tools = [{"name": "link", "result": {"content": content}}]
    async with Watched(tmp_path, g={"tools": tools}, h={"resources": [{"uri": "y:1"}]}) as dmcp:
        dmcp.watch.start_watching()
        await dmcp.client.request("ping")
        await dmcp.client.call("g", "link")
        assert await read(dmcp.client, "y:1") == "h: y:1"
        assert dmcp.held() < 50
