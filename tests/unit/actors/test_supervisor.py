"""The supervisor, never started: handed messages, its factories and refs inspected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dmcp.actors.supervisor import Supervisor
from dmcp.config.model import Configuration, RestartPolicy, ServerConfig, StdioServer, Unresolved
from dmcp.messages import frontend, upstream
from dmcp.messages.lifecycle import ChildFailed, ChildStopped
from dmcp.messages.supervisor import (
    ClientAttached,
    ClientDetached,
    Configure,
    Directory,
    Shutdown,
)
from unit.actors.fakes import CLIENT, Inbox

if TYPE_CHECKING:
    from dmcp.actors.runtime import Watch

pytestmark = pytest.mark.anyio


class Started(Inbox):
    """An upstream, as the factory was asked for it."""

    def __init__(self, config: ServerConfig, watch: Watch, crash: upstream.Crash | None) -> None:
        super().__init__()
        self.config = config
        self.crash = crash
        self.generation = watch.generation


class Workshop:
    """Factories that make inboxes."""

    def __init__(self) -> None:
        self.core_auth, self.core_catalog = Inbox(), Inbox()
        self.lives: list[Started] = []

    def auth(self, watch: Watch) -> Inbox:
        return self.core_auth

    def catalog(self, watch: Watch) -> Inbox:
        return self.core_catalog

    def upstream(
        self, config: ServerConfig, peers: Any, watch: Watch, crash: upstream.Crash | None
    ) -> Started:
        self.lives.append(Started(config, watch, crash))
        return self.lives[-1]

    @property
    def last(self) -> Started:
        return self.lives[-1]

    @property
    def directory(self) -> Directory:
        """What was published last."""
        found: Directory = self.core_catalog.of(Directory)[-1]
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
        self.client = Inbox()
        self.hand(ClientAttached(CLIENT, self.client))

    def hand(self, *messages: Any) -> None:
        for message in messages:
            self.actor.on_receive(message)


def server(name: str = "g", command: str = "run", **more: Any) -> ServerConfig:
    return ServerConfig(name, f"The {name} server", StdioServer(command), **more)


def configured(*servers: ServerConfig) -> Configure:
    return Configure(Configuration({one.name: one for one in servers}))


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


async def test_what_an_old_generation_still_says_changes_nothing(house: House) -> None:
    house.hand(configured(server()))
    first = house.make.last
    house.hand(ChildFailed("g", first.generation, "KeyError: x"))
    count = len(house.make.lives)
    published = len(house.client.of(Directory))
    house.hand(ChildFailed("g", first.generation, "late"), ChildStopped("g", first.generation))
    assert len(house.make.lives) == count == 2
    assert len(house.client.of(Directory)) == published
    assert house.statuses == []


async def test_bugs_of_an_upstream_add_up_until_its_server_is_parked(house: House) -> None:
    policy = RestartPolicy(intensity=2, backoff_min=1.0, backoff_max=4.0)
    house.hand(configured(server(restart=policy)))
    waits = []
    for _ in range(3):
        house.hand(ChildFailed("g", house.make.last.generation, "KeyError: x"))
        assert house.make.last.crash is not None
        waits.append(house.make.last.crash.delay)
    assert waits == [1.0, 2.0, 300.0]
    assert house.make.directory.groups["g"].upstream is house.make.last


async def test_every_upstream_that_is_kept_hears_of_a_reload(house: House) -> None:
    house.hand(configured(server()), configured(server(), server("other")))
    first = house.make.lives[0]
    assert first.of(upstream.Reconfigure) == [upstream.Reconfigure(server())]


async def test_a_bug_in_an_upstream_answers_its_calls_and_starts_the_next_generation(house: House) -> None:
    house.hand(configured(server()))
    first = house.make.last
    house.hand(ChildFailed("g", first.generation, "KeyError: x"))
    (gone,) = house.client.of(frontend.UpstreamGone)
    assert gone.upstream is first
    assert house.make.last is not first


async def test_a_changed_server_keeps_its_address_and_the_others_keep_their_connections(house: House) -> None:
    house.hand(configured(server("a"), server("b"), server("c")))
    a, b, c = house.make.lives
    house.hand(configured(server("a"), server("b", "other"), replace(server("c"), description="new")))
    assert a.of(upstream.Reconfigure) == [upstream.Reconfigure(server("a"))]
    assert b.of(upstream.Reconfigure) == [upstream.Reconfigure(server("b", "other"), grace=10.0)]
    assert [order.grace for order in c.of(upstream.Reconfigure)] == [None]
    assert len(house.make.lives) == 3
    assert house.make.directory.groups["b"].upstream is b


async def test_a_server_that_can_no_longer_be_started_is_stopped_and_comes_back_as_another(
    house: House,
) -> None:
    house.hand(configured(server()))
    first = house.make.last
    house.hand(configured(ServerConfig("g", "d", Unresolved("X is not set"))))
    assert len(first.of(upstream.Stop)) == 1
    assert house.make.directory.groups["g"].upstream is None
    house.hand(configured(server()))
    assert house.make.directory.groups["g"].upstream is house.make.last is not first


async def test_a_core_actor_that_fails_ends_the_process_with_status_1_after_the_servers(house: House) -> None:
    house.hand(configured(server()))
    life = house.make.last
    house.hand(ChildFailed("catalog", 0, "KeyError: x"), ClientDetached(CLIENT))
    assert len(life.of(upstream.Stop)) == 1
    assert house.statuses == []
    house.hand(ChildStopped("g", life.generation))
    assert house.statuses == [1]


async def test_shutting_down_goes_frontend_first_then_servers_then_the_end(house: House) -> None:
    house.hand(configured(server("a"), server("b")))
    house.hand(Shutdown(1.0))
    assert len(house.client.of(frontend.Finish)) == 1
    assert not any(life.of(upstream.Stop) for life in house.make.lives)
    house.hand(ClientDetached(CLIENT))
    assert all(life.of(upstream.Stop) for life in house.make.lives)
    for life in house.make.lives:
        assert house.statuses == []
        house.hand(ChildStopped(life.config.name, life.generation))
    assert house.statuses == [0]


async def test_a_configuration_that_comes_during_the_stop_is_ignored(house: House) -> None:
    house.hand(
        configured(server()), Shutdown(0.0), ClientDetached(CLIENT), configured(server(), server("new"))
    )
    assert len(house.make.lives) == 1


async def test_asked_to_end_twice_the_worse_status_counts(house: House) -> None:
    house.hand(configured(server()), Shutdown(5.0, 1), Shutdown(0.0, 0), ClientDetached(CLIENT))
    house.hand(ChildStopped("g", house.make.last.generation))
    assert house.statuses == [1]


async def test_each_client_gets_the_directory_and_hears_whether_there_are_others(house: House) -> None:
    house.hand(configured(server()))
    second, third = Inbox(), Inbox()
    house.hand(ClientAttached(2, second), ClientAttached(3, third))
    assert second.of(Directory) == third.of(Directory) == [house.make.directory]
    for client in (house.client, second, third):
        assert client.of(frontend.SharingChanged) == [frontend.SharingChanged(shared=True)]
    house.hand(ClientDetached(3), ClientDetached(2), ClientDetached(2))
    assert house.client.of(frontend.SharingChanged)[1:] == [frontend.SharingChanged(shared=False)]
    assert len(second.of(frontend.SharingChanged)) == 1
    house.hand(configured(server(command="other")))
    assert len(house.client.of(Directory)) == 2
    assert len(second.of(Directory)) == 1


async def test_servers_are_stopped_when_the_last_client_has_ended(house: House) -> None:
    late = Inbox()
    house.hand(configured(server()), ClientAttached(2, Inbox()), Shutdown(1.0), ClientDetached(2))
    house.hand(ClientAttached(3, late))
    assert len(late.of(frontend.Finish)) == 1
    house.hand(ClientDetached(CLIENT))
    assert not house.make.last.of(upstream.Stop)
    house.hand(ClientDetached(3))
    assert len(house.make.last.of(upstream.Stop)) == 1
