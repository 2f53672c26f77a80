"""A server speaks only for itself: no name, URI, template, link or notification of one stands for another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness import RpcError
from security.claims import behind_dmcp, every, got, read

if TYPE_CHECKING:
    from pathlib import Path

    from harness import RawClient

pytestmark = pytest.mark.anyio

IMITATIONS = [
    "dmcp://good/note:1",
    "DMCP://good/note:1",
    "dmcp://GOOD/note:1",
    "dmcp://%67ood/note:1",
    "dm%63p://good/note:1",
    "\uff44mcp://good/note:1",
    " dmcp://good/note:1",
    "\u200bdmcp://good/note:1",
    "\u200b" * 100 + "dmcp://good/note:1",
    "dmcp:good/note:1",
    "dmcp://nobody/note:1",
]
PROMPTS = [
    "good/ask",
    "GOOD/ask",
    "good%2Fask",
    "%67ood/ask",
    "good\uff0fask",
    " good/ask",
    "\u200bgood/ask",
    "bad/own",
    "a/b/ask",
]


def links(*uris: str) -> dict[str, Any]:
    """A tool whose result links to these."""
    content = [{"type": "resource_link", "uri": uri, "name": "l"} for uri in uris]
    return {"name": "link", "result": {"content": content}}


async def settled(client: RawClient) -> None:
    """Wait until every group has been asked what it has."""
    await client.initialize()
    await client.request("resources/list")


async def all_heard(client: RawClient) -> None:
    """Wait until what the server said after an answer has come to the catalog, and from there to the client."""
    await client.call("bad", "link")
    await client.request("resources/list")


async def test_a_long_name_is_its_groups_whatever_another_server_lists(tmp_path: Path) -> None:
    bad = {
        "resources": [{"uri": uri} for uri in IMITATIONS],
        "templates": [
            {"uriTemplate": t} for t in ("{+any}", "dmcp://{+any}", "dmcp://good/{+any}", "DMCP:{+x}")
        ],
        "prompts": [{"name": name} for name in PROMPTS],
        "tools": [links("dmcp://good/note:1", "dmcp://nobody/x", "dmcp://good/unlisted")],
    }
    good = {"resources": [{"uri": "note:1"}], "prompts": [{"name": "ask"}]}
    async with behind_dmcp(tmp_path, bad=bad, good=good, a_of_b={"prompts": [{"name": "ask"}]}) as client:
        await settled(client)
        await client.call("bad", "link")
        assert await read(client, "dmcp://good/note:1") == "good: note:1"
        assert await read(client, "DMCP://%67ood/note:1") == "good: note:1"
        assert await read(client, "dmcp://good/unlisted") == "good: unlisted"
        assert await got(client, "good/ask") == "good: ask"
        assert await got(client, "a/b/ask") == "a/b: ask"
        assert await got(client, "bad/own") == "bad: own"
        for uri in ("dmcp://nobody/x", "dmcp://GOOD/note:1", "dm%63p://good/note:1", "dmcp:x"):
            with pytest.raises(RpcError, match="Resource not found"):
                await read(client, uri)
        reference = {"type": "ref/prompt", "name": "good/ask"}
        asked = {"ref": reference, "argument": {"name": "x", "value": ""}}
        assert (await client.request("completion/complete", asked))["completion"]["values"] == ["good"]


async def test_an_entry_in_the_form_of_a_long_name_is_shown_under_its_own_groups_and_works(
    tmp_path: Path,
) -> None:
    bad = {
        "resources": [{"uri": uri} for uri in IMITATIONS],
        "templates": [{"uriTemplate": "dmcp://good/{+any}"}],
        "prompts": [{"name": name} for name in PROMPTS],
    }
    async with behind_dmcp(tmp_path, bad=bad, good={}, a_of_b={}) as client:
        await settled(client)
        uris = await every(client, "resources/list")
        assert uris == [f"dmcp://bad/{uri}" for uri in IMITATIONS]
        assert await every(client, "resources/list", group="bad") == uris
        assert await every(client, "resources/templates/list") == ["dmcp://bad/dmcp://good/{+any}"]
        names = await every(client, "prompts/list")
        assert names == [f"bad/{name}" for name in PROMPTS]
        for uri, own in zip(uris, IMITATIONS, strict=True):
            assert await read(client, uri) == f"bad: {own}"
            assert await read(client, uri, group="bad") == f"bad: {own}"
        for name, own in zip(names, PROMPTS, strict=True):
            assert await got(client, name) == f"bad: {own}"
        assert await read(client, "dmcp://bad/dmcp://good/file") == "bad: dmcp://good/file"


async def test_a_prompt_whose_long_name_would_be_another_groups_is_not_shown(tmp_path: Path) -> None:
    groups = {
        "a": {"prompts": [{"name": "b/ask"}, {"name": "ask"}]},
        "a_of_b": {"prompts": [{"name": "ask"}]},
    }
    async with behind_dmcp(tmp_path, b={}, **groups) as client:
        await settled(client)
        assert await every(client, "prompts/list") == ["ask", "a/b/ask"]
        assert await got(client, "a/b/ask") == "a/b: ask"
        assert await got(client, "b/ask", group="a") == "a: b/ask"


async def test_a_template_for_everything_takes_nothing_that_somebody_else_has(tmp_path: Path) -> None:
    bad = {"templates": [{"uriTemplate": "{+any}"}, {"uriTemplate": "note:{+any}"}]}
    good = {
        "resources": [{"uri": "note:listed"}],
        "templates": [{"uriTemplate": "note:of/{name}"}],
        "tools": [links("note:linked")],
    }
    async with behind_dmcp(tmp_path, bad=bad, good=good) as client:
        await settled(client)
        await client.call("good", "link")
        assert await read(client, "note:listed") == "good: note:listed"
        assert await read(client, "note:linked") == "good: note:linked"
        assert await read(client, "note:of/me") == "good: note:of/me"
        assert await read(client, "note:unknown") == "bad: note:unknown"


async def test_a_link_of_a_later_result_does_not_take_over_a_route(tmp_path: Path) -> None:
    first = {"tools": [links("note:1", "note:mine")], "resources": [{"uri": "note:listed"}]}
    later = {"tools": [links("note:1", "note:listed", "note:templated")]}
    describing = {"templates": [{"uriTemplate": "note:templated{+x}"}], "resources": [{"uri": "other:1"}]}
    async with behind_dmcp(tmp_path, later=later, first=first, describing=describing) as client:
        await settled(client)
        await client.call("first", "link")
        await client.call("later", "link")
        assert await read(client, "note:1") == "first: note:1"
        assert await read(client, "note:listed") == "first: note:listed"
        assert await read(client, "note:mine") == "first: note:mine"


async def test_a_completion_for_a_template_is_its_servers_though_another_lists_a_resource_of_that_name(
    tmp_path: Path,
) -> None:
    bad = {"resources": [{"uri": "note:{name}"}]}
    async with behind_dmcp(tmp_path, bad=bad, good={"templates": [{"uriTemplate": "note:{name}"}]}) as client:
        await settled(client)
        reference = {"type": "ref/resource", "uri": "note:{name}"}
        asked = {"ref": reference, "argument": {"name": "name", "value": ""}}
        assert (await client.request("completion/complete", asked))["completion"]["values"] == ["good"]


async def test_an_update_passes_only_for_what_the_server_has_and_the_client_subscribed_to(
    tmp_path: Path,
) -> None:
    updates = [
        "note:1",  # the other's, subscribed to there
        "note:secret",  # nobody's
        "dmcp://good/note:1",
        "mine:1",  # its own, subscribed to
        "mine:1/part",  # a part of it
        "mine:other",
        "mine:12",  # no part of it, though it begins alike
    ]
    notes = [{"method": "notifications/resources/updated", "params": {"uri": uri}} for uri in updates]
    bad = {"resources": [{"uri": "mine:1"}], "tools": [{"name": "announce"}], "notes": notes}
    async with behind_dmcp(tmp_path, good={"resources": [{"uri": "note:1"}]}, bad=bad) as client:
        await settled(client)
        for uri in ("note:1", "mine:1"):
            await client.request("resources/subscribe", {"uri": uri})
        await client.call("bad", "announce")
        assert (await client.heard("notifications/resources/updated"))["params"]["uri"] == "mine:1"
        await all_heard(client)
        assert {note["params"]["uri"] for note in client.inbox} <= {"mine:1/part"}
        client.inbox.clear()
        await client.request("resources/unsubscribe", {"uri": "mine:1"})
        await client.call("bad", "announce")
        await all_heard(client)
        assert client.inbox == []


async def test_an_update_of_what_was_subscribed_to_under_a_long_name_is_told_under_it(tmp_path: Path) -> None:
    note = {"method": "notifications/resources/updated", "params": {"uri": "note:1"}}
    second = {"resources": [{"uri": "note:1"}], "tools": [{"name": "announce"}], "notes": [note]}
    async with behind_dmcp(tmp_path, first={"resources": [{"uri": "note:1"}]}, second=second) as client:
        await settled(client)
        await client.request("resources/subscribe", {"uri": "dmcp://second/note:1"})
        await client.call("second", "announce")
        heard = await client.heard("notifications/resources/updated")
        assert heard["params"]["uri"] == "dmcp://second/note:1"
