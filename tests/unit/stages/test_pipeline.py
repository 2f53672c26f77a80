"""Calls that pass stages: the runner alone, in a whole dmcp with servers that are functions, and in a real process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from dmcp.config.model import ServerConfig, StdioServer
from dmcp.protocol.operations import CallTool, Elicit, Error, Result
from dmcp.stages import pipeline
from dmcp.stages.pipeline import Answer, Ask, Continue, Decision, Hold, Passage, Stage, StagedCall
from faults.inner import InnerApp, calling, server
from harness import RawClient, sdk_server, write_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dmcp.protocol.operations import Outcome

pytestmark = pytest.mark.anyio
CALL = StagedCall("g", CallTool("t", {}))
DONE = Result(b'{"content":[]}')


class Sample(NamedTuple):
    """A stage that decides as it is told, and marks what passes it."""

    name: str = "s"
    decide: Callable[[StagedCall], Decision] | None = None
    decide_after: Callable[[Result | Error], Decision] | None = None

    def before(self, call: StagedCall) -> Decision:
        return self.decide(call) if self.decide is not None else Continue(call.operation)

    def answered(self, call: StagedCall, answer: Result | Error) -> Decision:
        assert self.decide_after is not None
        return self.decide_after(answer)

    def after(self, call: StagedCall, outcome: Outcome) -> Outcome:
        assert isinstance(outcome, Result | Error)
        return type(outcome)(bytes(outcome.body)[:-1] + b',"%b":1}' % self.name.encode())


def renamed(name: str) -> Callable[[StagedCall], Decision]:
    return lambda call: Continue(call.operation._replace(name=name))  # type: ignore[call-arg]  # a tool's call


async def test_without_builders_no_server_has_stages() -> None:
    assert pipeline.build(ServerConfig("g", "d", StdioServer("run"))) == ()


async def test_stages_are_passed_in_order_and_seen_again_in_the_reverse_order() -> None:
    passage = Passage((Sample("a", renamed("x")), Sample("b")), CALL)
    assert passage.before() == Continue(CallTool("x", {}))
    assert passage.after(DONE) == Result(b'{"content":[],"b":1,"a":1}')


async def test_an_answer_of_a_stage_is_seen_by_those_before_it_only() -> None:
    passage = Passage((Sample("a"), Sample("b", lambda _: Answer(DONE)), Sample("c")), CALL)
    assert passage.before() == Answer(DONE)
    assert passage.after(DONE) == Result(b'{"content":[],"a":1}')


async def test_a_stage_that_asked_goes_on_with_the_answer_and_the_next_stages_follow() -> None:
    asking = Sample("b", lambda _: Ask(Elicit({})), lambda _: Continue(CallTool("y", {})))
    passage = Passage((Sample("a"), asking, Sample("c")), CALL)
    assert passage.before() == Ask(Elicit({}))
    assert passage.answered(DONE) == Continue(CallTool("y", {}))
    assert passage.after(DONE) == Result(b'{"content":[],"c":1,"b":1,"a":1}')


def asked(house: InnerApp) -> list[str]:
    """What the client has been asked."""
    return [message["method"] for message in house.client.messages if "id" in message]


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> list[Stage]:
    """The stages of the server "g" and of no other."""
    found: list[Stage] = []
    builders = tuple(
        lambda config, at=at: found[at] if config.name == "g" and at < len(found) else None for at in range(3)
    )
    monkeypatch.setattr(pipeline, "STAGES", builders)
    return found


async def begin(*, answers: bool = True, **capabilities: Any) -> InnerApp:
    house = InnerApp()
    house.configure(server("g"), server("other"))
    if answers:
        house.client.answer_to["elicitation/create"] = {"action": "accept"}
    await house.client.initialize(**capabilities)
    return house


async def test_a_call_and_its_outcome_pass_the_stages_of_its_server_and_of_no_other(
    stages: list[Stage],
) -> None:
    stages += [Sample("a", renamed("echo")), Sample("b")]
    house = await begin()
    staged, plain = await house.call("g", "none such"), await house.call("other")
    assert staged["result"] == {**plain["result"], "content": staged["result"]["content"], "b": 1, "a": 1}
    assert "a" not in plain["result"]
    assert await house.leave() == 0


async def test_what_a_stage_answers_the_server_is_not_asked(stages: list[Stage]) -> None:
    stages.append(Sample("a", lambda _: Answer(Error(b'{"code":1,"message":"no"}'))))
    house = await begin()
    assert (await house.call("g"))["error"] == {"code": 1, "message": "no"}
    assert house.called == 0
    await house.leave()


@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_a_stage_asks_the_client_and_decides_by_the_answer(stages: list[Stage], action: str) -> None:
    def judge(answer: Result | Error) -> Decision:
        accepted = isinstance(answer, Result) and b"accept" in bytes(answer.body)
        return Continue(CallTool("echo", {})) if accepted else Answer(DONE)

    stages.append(Sample("a", lambda _: Ask(Elicit({"message": "May it?", "requestedSchema": {}})), judge))
    house = await begin(elicitation={})
    house.client.answer_to["elicitation/create"] = {"action": action}
    answer = await house.call("g")
    questions = [message for message in house.client.messages if "id" in message]
    assert [question["params"]["message"] for question in questions] == ["May it?"]
    assert house.called == (1 if action == "accept" else 0)
    assert ("a" in answer["result"]) is (action == "accept")
    await house.leave()


async def test_what_a_client_cannot_be_asked_is_an_error_the_stage_gets(stages: list[Stage]) -> None:
    asking = Sample("a", lambda _: Ask(Elicit({"message": "?"})), Answer)
    stages.append(asking)
    house = await begin()
    assert "does not offer elicitation/create" in (await house.call("g"))["error"]["message"]
    assert asked(house) == []
    await house.leave()


async def test_a_call_that_is_held_goes_on_when_its_time_is_over(
    stages: list[Stage],
) -> None:
    seen: list[int] = []

    def hold(call: StagedCall) -> Decision:
        seen.append(1)
        return Hold(0.001, "it waits for a pin") if len(seen) < 3 else Continue(call.operation)

    stages.append(Sample("a", hold))
    house = await begin()
    assert (await house.call("g"))["result"]["a"] == 1
    assert len(seen) == 3
    await house.leave()


async def test_no_stage_holds_a_call_for_ever(stages: list[Stage]) -> None:
    stages.append(Sample("a", lambda _: Hold(10.0**6, "it waits for a pin")))
    house = await begin()
    error = (await house.call("g"))["error"]
    assert error["message"] == "g: it waits for a pin; the call has not run"
    await house.leave()


async def test_a_broken_stage_fails_its_call_and_nothing_else(stages: list[Stage]) -> None:
    def broken(_: StagedCall) -> Decision:
        raise KeyError("x")

    stages.append(Sample("a", broken))
    house = await begin()
    assert "dmcp failed: KeyError" in (await house.call("g"))["error"]["message"]
    assert "result" in await house.call("other")
    await house.leave()


async def test_a_cancelled_call_takes_the_question_of_its_stage_along(stages: list[Stage]) -> None:
    stages.append(Sample("a", lambda _: Ask(Elicit({"message": "?"})), lambda _: Answer(DONE)))
    house = await begin(answers=False, elicitation={})
    house.client.send({"id": 99, "method": "tools/call", "params": calling("g")})
    house.client.send({"method": "notifications/cancelled", "params": {"requestId": 99}})
    assert "result" in await house.call("other")
    assert asked(house) == ["elicitation/create"]
    assert house.client.notes == ["notifications/cancelled"]
    assert house.called == 1
    await house.leave()


PROGRAM = """
import sys
from dmcp import app
from dmcp.protocol.operations import Result
from dmcp.stages import pipeline

class Refusing:
    def before(self, call):
        return pipeline.Answer(Result(b'{"content":[{"type":"text","text":"refused"}]}'))

pipeline.STAGES = (lambda config: Refusing() if config.name == "g" else None,)
sys.exit(app.run(sys.argv[1]))
"""


async def test_a_stage_stands_in_the_way_of_a_real_call(tmp_path: Path) -> None:
    program = tmp_path / "dmcp_with_a_stage.py"
    program.write_text(PROGRAM)
    config = write_config(tmp_path / "dmcp.json", {"g": sdk_server(), "h": sdk_server()})
    async with RawClient([sys.executable, str(program), str(config)]) as client:
        await client.initialize()
        assert (await client.call("g", "echo", {"text": "x"}))["content"][0]["text"] == "refused"
        assert (await client.call("h", "echo", {"text": "x"}))["content"][0]["text"] == "x"
