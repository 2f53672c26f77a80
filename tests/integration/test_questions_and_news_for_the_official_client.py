"""What a server asks its client and tells it, through dmcp: sampling, elicitation, roots, log messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import pytest

from harness import OfficialClient, RawClient, dmcp_command, npm_server, sdk_server, text_of, write_config

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    # The SDK marks what the newest revision has deprecated; handshake-era servers live by it.
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]
_EVERY_CAPABILITY = {"sampling": {}, "roots": {"listChanged": True}, "elicitation": {"form": {}, "url": {}}}


async def test_a_server_can_ask_the_clients_model(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        assert (
            text_of(await client.call("sdk", "sample", {"question": "Why?"})) == "test-model: A sampled reply"
        )
        (asked,) = client.questions
    assert asked.messages[0].content.text == "Why?"
    assert (asked.system_prompt, asked.max_tokens, asked.temperature) == ("Be brief", 100, 0.5)


async def test_a_servers_form_is_answered_by_the_person(tmp_path: Path) -> None:
    answers = {
        "accept {'colour': 'red'}": types.ElicitResult(action="accept", content={"colour": "red"}),
        "decline None": types.ElicitResult(action="decline"),
        "cancel None": types.ElicitResult(action="cancel"),
    }
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        for understood, form in answers.items():
            client.form = form
            assert text_of(await client.call("sdk", "elicit")) == understood
        assert [asked.requested_schema["required"] for asked in client.questions] == [["colour"]] * len(
            answers
        )


async def test_a_server_can_send_the_person_to_a_page_and_say_when_that_is_done(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        assert text_of(await client.call("sdk", "elicit_url")) == "accept"
        assert client.questions[0].url == "https://example.org/sign-in"
        done = await client.heard(lambda note: isinstance(note, types.ElicitCompleteNotification))
    assert done.params.elicitation_id == client.questions[0].elicitation_id


async def test_a_server_learns_the_clients_roots_and_that_they_changed(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        assert text_of(await client.call("sdk", "roots")) == "project=file:///work/project"
        client.roots = [types.Root.model_validate({"uri": "file:///work/other", "name": "other"})]
        await client.session.send_roots_list_changed()
        assert text_of(await client.call("sdk", "roots")) == "other=file:///work/other"
        state = await client.call("sdk", "state")
    assert state.structured_content["roots_changes"] == 1


async def test_two_servers_that_ask_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"one": sdk_server(), "two": sdk_server("--name", "two")})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize(capabilities=_EVERY_CAPABILITY)
        calls = {}
        for group in ("one", "two"):
            arguments = {"group": group, "name": "sample", "args": {"question": group}}
            calls[group] = client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})
        questions = [await client.heard("sampling/createMessage") for _ in calls]
        for question in reversed(questions):  # the later one first: nothing may depend on the order
            words = question["params"]["messages"][0]["content"]["text"]
            content = {"type": "text", "text": f"to {words}"}
            client.respond(question, {"role": "assistant", "content": content, "model": "m"})
        for group, identifier in calls.items():
            answer = await client.answer(identifier)
            assert answer["result"]["content"][0]["text"] == f"m: to {group}"


async def test_a_client_that_never_says_it_is_initialized_is_asked_all_the_same(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"sdk": sdk_server()})
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {"roots": {}},
        "clientInfo": {"name": "c", "version": "1"},
    }
    async with RawClient(dmcp_command(config)) as client:
        client.answers["roots/list"] = lambda _: {"roots": [{"uri": "file:///work", "name": "work"}]}
        await client.request("initialize", hello)
        told = await client.call("sdk", "roots")
    assert told["content"][0]["text"] == "work=file:///work"


async def test_a_refused_question_is_refused_at_the_server(tmp_path: Path) -> None:
    config = write_config(tmp_path / "c.json", {"sdk": sdk_server()})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize(capabilities=_EVERY_CAPABILITY)
        arguments = {"group": "sdk", "name": "sample", "args": {"question": "?"}}
        identifier = client.ask("tools/call", {"name": "call_dynamic_tool", "arguments": arguments})
        client.refuse(await client.heard("sampling/createMessage"), -1, "The person said no")
        answer = await client.answer(identifier)
    assert "The person said no" in str(answer)


@pytest.mark.parametrize("capabilities", [{}, {"roots": {}}, {"sampling": {}}, _EVERY_CAPABILITY], ids=str)
async def test_a_server_is_told_what_the_client_can_do_and_no_more(
    capabilities: dict[str, Any], tmp_path: Path
) -> None:
    config = write_config(tmp_path / "c.json", {"sdk": sdk_server()})
    async with RawClient(dmcp_command(config)) as client:
        await client.initialize(capabilities=capabilities)
        known = (await client.call("sdk", "client"))["structuredContent"]
    assert known["capabilities"] == capabilities  # all of it, and no more


async def test_log_messages_name_their_group_and_the_level_reaches_every_server(tmp_path: Path) -> None:
    servers = {"one": sdk_server(), "two": sdk_server("--name", "two")}
    async with OfficialClient.through_dmcp(tmp_path, **servers) as client:
        await client.session.set_logging_level("warning")
        for group in servers:
            await client.heard_upstream(group, "logging/setLevel")
            assert (await client.call(group, "state")).structured_content["level"] == "warning"
        await client.call("two", "log", {"level": "error", "words": "Careful"})
        note = await client.heard(lambda heard: isinstance(heard, types.LoggingMessageNotification))
    assert (note.params.level, note.params.data) == ("error", {"words": "Careful"})
    assert note.params.logger.startswith("two")
    assert note.params.logger.endswith("inner")


async def test_both_sides_answer_a_ping(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, sdk=sdk_server()) as client:
        with anyio.fail_after(10):
            await client.session.send_ping()
        assert "ping" not in client.upstream("sdk").methods("client")


@pytest.mark.npm
async def test_the_official_server_gets_its_questions_answered(tmp_path: Path) -> None:
    async with OfficialClient.through_dmcp(tmp_path, everything=npm_server("everything")) as client:
        names = [tool["name"] for tool in await client.tools("everything")]
        assert "trigger-sampling-request" in names
        sampled = await client.call(
            "everything", "trigger-sampling-request", {"prompt": "Hi", "maxTokens": 10}
        )
        listed = await client.call("everything", "get-roots-list")
    assert "A sampled reply" in str(sampled.content)
    assert "/work/project" in str(listed.content)
