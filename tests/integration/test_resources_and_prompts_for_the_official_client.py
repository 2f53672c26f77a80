"""Resources, templates, prompts and completion of several servers, seen as those of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from harness import OfficialClient, npm_server, sdk_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    # The SDK marks what the newest revision has deprecated; handshake-era servers live by it.
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]
_MEMBERS = {
    "resources/list": "resources",
    "resources/templates/list": "resource_templates",
    "prompts/list": "prompts",
}


async def every_page(client: OfficialClient, method: str) -> list[Any]:
    """All entries of a listing, page by page, with a limit on the pages."""
    session = client.session
    listings: dict[str, Callable[..., Awaitable[Any]]] = {
        "resources/list": session.list_resources,
        "resources/templates/list": session.list_resource_templates,
        "prompts/list": session.list_prompts,
    }
    entries: list[Any] = []
    params = None
    for _ in range(100):
        result = await listings[method](params=params)
        entries += getattr(result, _MEMBERS[method])
        if result.next_cursor is None:
            return entries
        params = types.PaginatedRequestParams(cursor=result.next_cursor)
    raise AssertionError("the pages do not end")


async def test_a_merged_list_holds_every_entry_of_every_server_unchanged(tmp_path: Path) -> None:
    servers = {"one": sdk_server(), "two": sdk_server("--name", "two")}
    expected: dict[str, list[Any]] = {method: [] for method in _MEMBERS}
    for server in servers.values():
        async with OfficialClient.straight_to(server) as direct:
            for method in _MEMBERS:
                expected[method] += await every_page(direct, method)
    async with OfficialClient.through_dmcp(tmp_path, **servers) as client:
        merged = {method: await every_page(client, method) for method in _MEMBERS}
        again = {method: await every_page(client, method) for method in _MEMBERS}
    for method in _MEMBERS:
        assert sorted(merged[method], key=repr) == sorted(expected[method], key=repr)
    assert merged == again


async def test_a_resource_is_read_from_the_server_that_lists_it(tmp_path: Path) -> None:
    servers = {"one": sdk_server(), "two": sdk_server("--name", "two")}
    async with OfficialClient.straight_to(servers["two"]) as direct:
        expected = [await direct.session.read_resource(f"note://two/{name}") for name in ("5", "pixel")]
    async with OfficialClient.through_dmcp(tmp_path, **servers) as client:
        assert [
            await client.session.read_resource(f"note://two/{name}") for name in ("5", "pixel")
        ] == expected
        assert "of sdk" in (await client.session.read_resource("note://sdk/1")).contents[0].text


async def test_a_resource_that_only_a_template_describes_can_be_read(tmp_path: Path) -> None:
    servers = {"one": sdk_server(), "two": sdk_server("--name", "two")}
    async with OfficialClient.through_dmcp(tmp_path, **servers) as client:
        for uri in ("user://two/ada/profile", "file://two/a/deep/path.txt", "search://two/find?q=x%20y"):
            result = await client.session.read_resource(uri)
            assert result.contents[0].text == f"{uri} of two"
            assert result.meta == {"example.org/revision": 7}


async def test_a_resource_that_nobody_has_is_said_not_to_exist(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(
        tmp_path, one=sdk_server(), two=sdk_server("--name", "two")
    ) as client:
        with pytest.raises(MCPError, match="nowhere://") as caught:
            await client.session.read_resource("nowhere://at/all")
    assert caught.value.code == -32002


async def test_a_subscriber_hears_of_changes_until_it_unsubscribes(tmp_path: Path) -> None:
    uri = "note://sdk/2"

    def is_update(note: Any) -> bool:
        return isinstance(note, types.ResourceUpdatedNotification) and str(note.params.uri) == uri

    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        await client.session.subscribe_resource(uri)
        await client.call("sdk", "touch", {"uri": uri})
        await client.heard(is_update)
        await client.session.unsubscribe_resource(uri)
        state = await client.call("sdk", "state")
        assert state.structured_content["subscribed"] == []
        await client.call("sdk", "touch", {"uri": uri})
        assert len([note for note in client.notes if is_update(note)]) == 1


@pytest.mark.parametrize(
    ("what", "note", "method"),
    [
        ("resources", types.ResourceListChangedNotification, "resources/list"),
        ("prompts", types.PromptListChangedNotification, "prompts/list"),
    ],
)
async def test_after_list_changed_the_new_entry_is_listed(
    what: str, note: type, method: str, tmp_path: Path
) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        before = await every_page(client, method)
        await client.call("sdk", "grow", {"what": what})
        await client.heard(lambda heard: isinstance(heard, note))
        after = await every_page(client, method)
    assert len(after) == len(before) + 1


async def test_a_tool_that_appears_later_is_shown_and_can_be_called(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        assert "new-0" not in [tool["name"] for tool in await client.tools("sdk")]
        await client.call("sdk", "grow", {"what": "tools"})
        # The server says so before it answers, so dmcp knows by now.
        assert "new-0" in [tool["name"] for tool in await client.tools("sdk")]


async def test_prompts_come_from_their_server_with_every_kind_of_content(tmp_path: Path) -> None:
    servers = {"one": sdk_server(), "two": sdk_server("--name", "two")}
    async with OfficialClient.straight_to(servers["two"]) as direct:
        expected = await direct.session.get_prompt("two-show")
    async with OfficialClient.through_dmcp(tmp_path, **servers) as client:
        assert await client.session.get_prompt("two-show") == expected
        greeting = await client.session.get_prompt("sdk-greet", {"who": "Ada", "mood": "glad"})
        with pytest.raises(MCPError, match="three-show"):
            await client.session.get_prompt("three-show")
    assert greeting.messages[0].content.text == "Greet Ada (glad)"


async def test_completion_reaches_the_server_that_owns_the_prompt_or_template(tmp_path: Path) -> None:
    template = types.ResourceTemplateReference(type="ref/resource", uri="user://two/{user}/profile")
    prompt = types.PromptReference(type="ref/prompt", name="two-greet")
    async with OfficialClient.through_dmcp(
        tmp_path, one=sdk_server(), two=sdk_server("--name", "two")
    ) as client:
        users = await client.session.complete(template, {"name": "user", "value": "a"}, {"team": "x"})
        names = await client.session.complete(prompt, {"name": "who", "value": "al"})
    assert users.completion.values == ["ada", "alan", "team"]
    assert names.completion.values == ["alice", "albert"]


async def test_a_feature_that_is_switched_off_is_invisible_and_says_so_when_named(tmp_path: Path) -> None:
    quiet = sdk_server(features={"resources": False, "prompts": False})
    async with OfficialClient.through_dmcp(tmp_path, quiet=quiet, two=sdk_server("--name", "two")) as client:
        uris = [str(resource.uri) for resource in await every_page(client, "resources/list")]
        assert uris
        assert not [uri for uri in uris if "//sdk/" in uri]
        with pytest.raises(MCPError):
            await client.session.read_resource("note://sdk/1")
        with pytest.raises(MCPError):
            await client.session.get_prompt("sdk-plain")


@pytest.mark.npm
async def test_resources_and_prompts_of_the_official_servers_work_as_without_dmcp(tmp_path: Path) -> None:
    server = npm_server("everything")
    async with OfficialClient.straight_to(server) as direct:
        listed = await every_page(direct, "resources/list")
        expected = await direct.session.get_prompt("args-prompt", {"city": "Oulu"})
    async with OfficialClient.through_dmcp(tmp_path, everything=server, sdk=sdk_server()) as client:
        merged = await every_page(client, "resources/list")
        assert [resource for resource in listed if resource not in merged] == []
        for resource in listed[:3]:
            assert (await client.session.read_resource(str(resource.uri))).contents
        assert (await client.session.read_resource("demo://resource/dynamic/text/3")).contents
        assert await client.session.get_prompt("args-prompt", {"city": "Oulu"}) == expected
