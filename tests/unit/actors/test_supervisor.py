"""The supervisor, never started: handed messages, its factories and refs inspected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dmcp.actors.supervisor import Supervisor
from dmcp.config.model import Configuration, RestartPolicy, ServerConfig, StdioServer, Unresolved
from dmcp.messages import frontend, upstream
from dmcp.messages.lifecycle import ChildFailed, ChildStopped
from dmcp.messages.supervisor import (
    Configure,
    Directory,
    IdleLongEnough,
    Shutdown,
    Undelivered,
    UpstreamLost,
    UpstreamReady,
)
from dmcp.protocol.link import FaultKind
from unit.actors.fakes import Inbox, submit, subscribed

if TYPE_CHECKING:
    from dmcp.actors.runtime import Watch

pytestmark = pytest.mark.anyio


class Life(Inbox):
    """One life of an upstream, as the factory was asked for it."""

    def __init__(self, config: ServerConfig, beginning: upstream.Beginning, watch: Watch) -> None:
        super().__init__()
        self.config = config
        self.beginning = beginning
        self.generation = watch.generation


class Workshop:
    """Factories that make inboxes."""

    def __init__(self) -> None:
        self.core_auth, self.core_catalog, self.core_frontend = Inbox(), Inbox(), Inbox()
        self.lives: list[Life] = []

    def auth(self, watch: Watch) -> Inbox:
        return self.core_auth

    def catalog(self, watch: Watch) -> Inbox:
        return self.core_catalog

    def frontend(self, supervisor: Any, watch: Watch) -> Inbox:
        return self.core_frontend

    def upstream(self, config: ServerConfig, beginning: upstream.Beginning, *rest: Any, **named: Any) -> Life:
        watch = next(one for one in (*rest, *named.values()) if hasattr(one, "generation"))
        self.lives.append(Life(config, beginning, watch))
        return self.lives[-1]

    @property
    def last(self) -> Life:
        return self.lives[-1]

    @property
    def directory(self) -> Directory:
        """What was published last."""
        found: Directory = self.core_frontend.of(Directory)[-1]
        return found


class House:
    """A supervisor with everything around it."""

    def __init__(self) -> None:
        self.make = Workshop()
        self.statuses: list[int] = []
        self.now = 0.0
        self.actor = Supervisor(
            self.make, self.statuses.append, Inbox(), clock=lambda: self.now, jitter=lambda: 1.0
        )
        self.actor.on_start()

    def hand(self, *messages: Any) -> None:
        for message in messages:
            self.actor.on_receive(message)


def server(name: str = "g", command: str = "run", **more: Any) -> ServerConfig:
    return ServerConfig(name, f"The {name} server", StdioServer(command), **more)


def configured(*servers: ServerConfig) -> Configure:
    return Configure(Configuration({one.name: one for one in servers}))


def lost(life: Life, **more: Any) -> UpstreamLost:
    return UpstreamLost("g", life.generation, FaultKind.EXITED, "exited with status 3", **more)


@pytest.fixture
async def house() -> House:
    return House()


async def test_each_configured_server_gets_one_life_and_all_are_published(house: House) -> None:
    house.hand(configured(server("a"), server("b")))
    assert [life.config.name for life in house.make.lives] == ["a", "b"]
    assert list(house.make.directory.groups) == ["a", "b"]
    assert house.make.directory.groups["a"].upstream is house.make.lives[0]


async def test_a_server_that_cannot_be_resolved_is_published_with_the_reason_and_not_started(
    house: House,
) -> None:
    house.hand(configured(ServerConfig("g", "d", Unresolved("X is not set"))))
    assert house.make.lives == []
    assert house.make.directory.groups["g"].upstream is None
    assert "X is not set" in house.make.directory.groups["g"].reason


async def test_a_lost_server_gets_a_new_generation_that_waits_and_takes_over(house: House) -> None:
    house.hand(configured(server()))
    first = house.make.last
    request = submit(1, "tools/call", {"name": "t"}, Inbox())
    house.hand(lost(first, repeat=(request,), subscriptions=subscribed("x:1"), was_ready=True))
    second = house.make.last
    assert second.generation > first.generation
    assert second.beginning.delay == RestartPolicy().backoff_min
    assert second.beginning.repeat == (request,)
    assert second.beginning.subscriptions == subscribed("x:1")
    assert house.make.directory.groups["g"].upstream is second


async def test_what_an_old_generation_still_says_changes_nothing(house: House) -> None:
    house.hand(configured(server()))
    first = house.make.last
    house.hand(lost(first))
    count = len(house.make.lives)
    published = len(house.make.core_frontend.of(Directory))
    house.hand(lost(first), UpstreamReady("g", first.generation), IdleLongEnough("g", first.generation))
    house.hand(ChildFailed("g", first.generation, "late"), ChildStopped("g", first.generation))
    assert len(house.make.lives) == count
    assert len(house.make.core_frontend.of(Directory)) == published
    assert house.statuses == []


async def test_a_request_an_old_generation_could_not_repeat_goes_to_the_present_one(house: House) -> None:
    house.hand(configured(server()))
    first = house.make.last
    house.hand(lost(first))
    request = submit(1, "tools/call", {"name": "t"}, Inbox())
    house.hand(lost(first, repeat=(request,)), Undelivered("g", request))
    assert house.make.last.of(upstream.Submit) == [request, request]


async def test_a_request_for_a_group_that_is_gone_is_answered_with_an_error(house: House) -> None:
    house.hand(configured(server()))
    asker = Inbox()
    house.hand(configured(), Undelivered("g", submit(5, "tools/call", {"name": "t"}, asker)))
    (reply,) = asker.of(frontend.Settled)
    assert reply.call.number == 5
    assert b"has not run" in reply.outcome.body


async def test_failures_add_up_until_the_server_is_parked_and_a_reload_tries_it_at_once(
    house: House,
) -> None:
    policy = RestartPolicy(intensity=2, backoff_min=1.0, backoff_max=4.0)
    house.hand(configured(server(restart=policy)))
    waits = []
    for _ in range(3):
        house.hand(lost(house.make.last))
        waits.append(house.make.last.beginning.delay)
    assert waits == [1.0, 2.0, 300.0]
    parked = house.make.last
    house.hand(configured(server(restart=policy), server("other")))
    assert house.make.directory.groups["g"].upstream is parked
    assert parked.of(upstream.Wake)


async def test_a_server_that_forgot_its_session_is_connected_again_at_once(house: House) -> None:
    house.hand(configured(server()))
    news = UpstreamLost("g", house.make.last.generation, FaultKind.SESSION_LOST, "forgot us", was_ready=True)
    house.hand(news)
    assert house.make.last.beginning.delay == 0.0


async def test_a_bug_in_an_upstream_answers_its_calls_and_starts_the_next_generation(house: House) -> None:
    house.hand(configured(server()))
    first = house.make.last
    house.hand(ChildFailed("g", first.generation, "KeyError: x"))
    (gone,) = house.make.core_frontend.of(frontend.UpstreamGone)
    assert gone.upstream is first
    assert house.make.last is not first


async def test_a_changed_server_is_restarted_and_the_others_hear_nothing(house: House) -> None:
    house.hand(configured(server("a"), server("b")))
    a, b = house.make.lives
    house.hand(configured(server("a"), server("b", "other")))
    assert a.told == []
    assert len(b.of(upstream.Stop)) == 1
    assert house.make.last.config.name == "b"
    assert house.make.directory.groups["a"].upstream is a


async def test_a_core_actor_that_fails_ends_the_process_with_status_1_after_the_servers(house: House) -> None:
    house.hand(configured(server()))
    life = house.make.last
    house.make.core_frontend.end()
    house.hand(ChildFailed("frontend", 0, "KeyError: x"))
    assert len(life.of(upstream.Stop)) == 1
    assert house.statuses == []
    house.hand(ChildStopped("g", life.generation))
    assert house.statuses == [1]


async def test_shutting_down_goes_frontend_first_then_servers_then_the_end(house: House) -> None:
    house.hand(configured(server("a"), server("b")))
    house.hand(Shutdown(1.0))
    assert len(house.make.core_frontend.of(frontend.Finish)) == 1
    assert not any(life.of(upstream.Stop) for life in house.make.lives)
    house.hand(ChildStopped("frontend", 0))
    assert all(life.of(upstream.Stop) for life in house.make.lives)
    for life in house.make.lives:
        assert house.statuses == []
        house.hand(ChildStopped(life.config.name, life.generation))
    assert house.statuses == [0]


async def test_a_server_lost_during_shutdown_is_not_started_again(house: House) -> None:
    house.hand(configured(server()), Shutdown(1.0), ChildStopped("frontend", 0))
    house.hand(lost(house.make.last))
    assert len(house.make.lives) == 1
    assert house.statuses == [0]


async def test_a_configuration_that_comes_during_the_stop_is_ignored(house: House) -> None:
    house.hand(
        configured(server()), Shutdown(0.0), ChildStopped("frontend", 0), configured(server(), server("new"))
    )
    assert len(house.make.lives) == 1


async def test_asked_to_end_twice_the_worse_status_counts(house: House) -> None:
    house.hand(configured(server()), Shutdown(5.0, 1), Shutdown(0.0, 0), ChildStopped("frontend", 0))
    house.hand(ChildStopped("g", house.make.last.generation))
    assert house.statuses == [1]


async def test_a_command_that_is_not_there_is_looked_for_now_and_then_and_is_no_failure(house: House) -> None:
    house.hand(configured(server()))
    for _ in range(30):
        life = house.make.last
        news = UpstreamLost("g", life.generation, FaultKind.MISSING, "the command x was not found")
        house.hand(news)
        assert house.make.last.beginning.delay == 10.0
        assert house.make.last.beginning.missing
