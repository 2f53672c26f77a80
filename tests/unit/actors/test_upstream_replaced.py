"""An upstream whose connection another configuration replaces: the old one drains beside the new one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dmcp.config.model import RestartPolicy, StdioServer
from dmcp.messages import events, frontend, upstream
from dmcp.messages.lifecycle import ChildStopped
from dmcp.protocol.link import FaultKind, LinkFault
from unit.actors.fakes import DeafLink, call_id
from unit.actors.test_upstream import Stage

pytestmark = pytest.mark.anyio


class Replaced(Stage):
    """An upstream with call 1 in flight on its old connection, while the next one opens.

    Attributes:
        old: the number of the old connection.
        old_link: its link.
        number: of call 1 on the old connection.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ready()
        self.call(1)
        self.number = self.number_of("tools/call")
        self.old, self.old_link, self.link = self.connection, self.link, DeafLink()
        self.hand(upstream.Reconfigure(replace(self.config, target=StdioServer("other")), 10.0))

    def old_says(self, frame: bytes) -> None:
        self.hand(upstream.FrameArrived(self.old, frame))

    def old_answers(self) -> None:
        self.old_says(b'{"jsonrpc":"2.0","id":%d,"result":{"from":"old"}}' % self.number)


@pytest.fixture
async def stage() -> Replaced:
    return Replaced()


async def test_a_call_in_flight_ends_on_the_old_connection_and_a_new_one_goes_to_the_next(
    stage: Replaced,
) -> None:
    assert stage.connection > stage.old
    assert [config.target for config in stage.opened_with] == [StdioServer("run"), StdioServer("other")]
    stage.call(2)
    stage.ready()
    assert stage.replies == {}
    stage.old_answers()
    stage.says({"id": stage.number_of("tools/call"), "result": {"from": "new"}})
    assert stage.replies == {1: (b'{"from":"old"}', None), 2: (b'{"from": "new"}', None)}
    stage.hand(upstream.TimerFired("closed", stage.old))
    assert stage.state == "ready"
    assert not stage.supervisor.of(ChildStopped)


async def test_what_was_not_sent_on_the_old_connection_is_sent_on_the_next() -> None:
    stage = Stage()
    stage.ready()
    stage.call(1, "not listed")  # waits for another look at the listing
    stage.link = DeafLink()
    stage.hand(upstream.Reconfigure(replace(stage.config, target=StdioServer("other")), 10.0))
    stage.ready()
    tools = [{"name": "not listed"}]
    stage.says({"id": stage.number_of("tools/list"), "result": {"tools": tools}})
    assert stage.sent[-1]["params"]["name"] == "not listed"
    assert stage.replies == {}


async def test_a_call_that_outlasts_the_grace_is_answered_and_the_next_connection_does_not_notice(
    stage: Replaced,
) -> None:
    stage.ready()
    stage.hand(upstream.TimerFired("grace", stage.old))
    assert b"its outcome is unknown" in (stage.replies[1][1] or b"")
    stage.hand(upstream.TimerFired("closed", stage.old))
    assert stage.state == "ready"


async def test_an_old_connection_that_is_lost_is_no_failure_of_the_server(stage: Replaced) -> None:
    stage.hand(upstream.LinkClosed(stage.old, LinkFault(FaultKind.EXITED, "exited with status 0")))
    assert b"its outcome is unknown" in (stage.replies[1][1] or b"")
    assert stage.losses == []
    stage.ready()
    assert stage.state == "ready"


async def test_a_next_connection_that_fails_is_reported_and_the_call_on_the_old_one_still_ends(
    stage: Replaced,
) -> None:
    stage.hand(upstream.LinkOpened(stage.connection, None, OSError("no such file")))
    assert (stage.state, stage.losses[0].reason) == ("unavailable", "no such file")
    assert stage.delays == [RestartPolicy().backoff_min]
    stage.old_answers()
    assert stage.replies[1][0] == b'{"from":"old"}'


async def test_a_call_on_the_old_connection_is_cancelled_there(stage: Replaced) -> None:
    stage.ready()
    before = len(stage.link.sent)
    stage.hand(upstream.Cancel(call_id(1), "enough"))
    assert stage.old_link.abandoned == [stage.number]
    assert len(stage.link.sent) == before
    stage.old_answers()
    assert stage.replies == {}


async def test_server_requests_of_two_connections_under_one_id_are_answered_apart(stage: Replaced) -> None:
    stage.ready()
    ask = b'{"jsonrpc":"2.0","id":"q","method":"roots/list"}'
    stage.old_says(ask)
    stage.hand(upstream.FrameArrived(stage.connection, ask))
    old, new = (request.id for request in stage.frontend.of(frontend.ServerRequest))
    assert old != new
    stage.hand(upstream.AnswerServerRequest(new, b'{"roots":[]}', None))
    stage.hand(upstream.AnswerServerRequest(old, None, b'{"code":1,"message":"no"}'))
    assert b'"error"' in stage.old_link.sent[-1]
    assert b'"result"' in stage.link.sent[-1]


async def test_stopping_waits_for_the_old_connection_too(stage: Replaced) -> None:
    stage.ready()
    new = stage.connection
    stage.hand(upstream.Stop(10.0))
    stage.hand(upstream.TimerFired("closed", new))
    assert not stage.supervisor.of(ChildStopped)
    stage.old_answers()
    stage.hand(upstream.TimerFired("closed", stage.old))
    assert len(stage.supervisor.of(ChildStopped)) == 1
    assert stage.replies[1][0] == b'{"from":"old"}'


async def test_what_failed_before_is_forgotten_with_another_configuration() -> None:
    stage = Stage(restart=RestartPolicy(intensity=2))
    for _ in range(3):
        stage.ready() if not stage.started else stage.reconnects()
        stage.closes()
    assert stage.audit.of(events.ReconnectScheduled)[-1].when == "parked"
    stage.link = DeafLink()
    stage.hand(upstream.Reconfigure(replace(stage.config, target=StdioServer("other")), 10.0))
    stage.ready()
    stage.closes()
    assert stage.delays[-1] == RestartPolicy().backoff_min


@pytest.mark.parametrize("kind", [FaultKind.MISSING, FaultKind.EXITED])
async def test_a_server_that_could_not_be_started_is_tried_again_when_its_file_is_loaded_again(
    kind: FaultKind,
) -> None:
    stage = Stage(restart=RestartPolicy(intensity=1))
    stage.start()
    stage.hand(upstream.Reconfigure(stage.config))
    assert len(stage.opened_with) == 1
    attempts = 1 if kind is FaultKind.MISSING else 2
    for _ in range(attempts):
        stage.hand(upstream.TimerFired("retry"))
        stage.closes(LinkFault(kind, "cannot be started"))
        stage.hand(upstream.LinkOpened(stage.connection, DeafLink(), None))
    before = len(stage.actor._timers)
    stage.now = 100.0
    stage.hand(upstream.Reconfigure(stage.config))
    assert len(stage.actor._timers) == before  # the old timer is gone, a sooner one there
    soonest = min(timer.when() - timer._loop.time() for timer in stage.actor._timers)  # type: ignore[attr-defined]
    assert soonest < 1.0
    stage.actor.end()
