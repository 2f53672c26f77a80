"""Lazy servers inside the actors: which of them is started to be learnt of, and when one is used or not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from dmcp.actors.catalog import Catalog
from dmcp.actors.runtime import Dispatcher
from dmcp.actors.upstream import PROBE_IDLE_TIMEOUT
from dmcp.config.model import Features, RemoteServer, ServerConfig, StdioServer, Unresolved
from dmcp.messages import events, frontend, upstream
from dmcp.messages.catalog import Browse, GroupState, Listed
from dmcp.messages.supervisor import Directory, Group
from dmcp.protocol.operations import ListChanged
from unit.actors.fakes import Inbox, answer_of, asked, call_id, submit
from unit.actors.test_upstream import Stage

pytestmark = pytest.mark.anyio

LEARN = upstream.Wake(only_to_learn=True)
NOTHING_LISTED = Features(resources=False, prompts=False)


def stdio(name: str, features: Features | None = None) -> ServerConfig:
    return ServerConfig(name, "d", StdioServer("run"), features or Features(), startup="lazy")


class LazyServers:
    """A catalog in front of lazy servers that nobody knows."""

    def __init__(self, *configs: ServerConfig) -> None:
        self.catalog, self.client = Catalog(), Inbox()
        self.lives = {config.name: Inbox() for config in configs}
        groups = {config.name: Group(config, self.lives[config.name]) for config in configs}
        self.catalog.on_receive(Directory(groups, Inbox(), Inbox()))

    def browse(self, number: int = 1, method: str = "prompts/list", **params: Any) -> None:
        self.catalog.on_receive(Browse(call_id(number), asked(method, params), self.client))

    def state(self, group: str, state: Any, reason: str = "") -> None:
        self.catalog.on_receive(GroupState(group, 1, state, reason))

    @property
    def woken(self) -> dict[str, list[Any]]:
        return {name: life.told for name, life in self.lives.items() if life.told}


async def test_strangers_are_asked_one_after_another_and_once() -> None:
    servers = LazyServers(stdio("a"), stdio("b"), stdio("c"))
    servers.browse(1, "tools/list")
    assert servers.woken == {}
    servers.browse(2)
    servers.browse(3, "resources/list")
    assert servers.woken == {"a": [LEARN]}
    servers.state("a", "connecting")
    assert servers.woken == {"a": [LEARN]}
    servers.state("a", "asleep")  # it has failed
    assert servers.woken == {"a": [LEARN], "b": [LEARN]}
    servers.catalog.on_receive(Listed("b", 1, "prompts", ({"name": "p"},)))
    servers.state("b", "ready")
    assert servers.woken == {"a": [LEARN], "b": [LEARN], "c": [LEARN]}
    assert frontend.SendNotification(ListChanged(("prompts",))) in servers.client.told
    servers.state("c", "ready")
    servers.browse(4)
    assert servers.woken == {"a": [LEARN], "b": [LEARN], "c": [LEARN]}


async def test_a_stranger_that_is_no_longer_configured_does_not_hold_up_the_others() -> None:
    servers = LazyServers(stdio("a"), stdio("b"))
    servers.browse()
    servers.catalog.on_receive(Directory({"b": Group(stdio("b"), servers.lives["b"])}, Inbox(), Inbox()))
    assert servers.woken == {"a": [LEARN], "b": [LEARN]}


@pytest.mark.parametrize("change", ["cannot be started", "starts at once"])
async def test_a_stranger_that_a_reload_makes_no_stranger_does_not_hold_up_the_others(change: str) -> None:
    servers = LazyServers(stdio("a"), stdio("b"))
    servers.browse()
    servers.state("a", "connecting")
    if change == "cannot be started":
        a = Group(replace(stdio("a"), target=Unresolved("KEY is not set")), None, "KEY is not set")
    else:
        a = Group(replace(stdio("a"), startup="eager"), Inbox())
    servers.catalog.on_receive(
        Directory({"a": a, "b": Group(stdio("b"), servers.lives["b"])}, Inbox(), Inbox())
    )
    assert servers.woken == {"a": [LEARN], "b": [LEARN]}


async def test_remote_strangers_and_those_without_resources_and_prompts_are_left_alone() -> None:
    remote = ServerConfig("r", "d", RemoteServer("https://r.example/mcp"), startup="lazy")
    servers = LazyServers(remote, stdio("tools", NOTHING_LISTED))
    servers.browse()
    assert servers.woken == {}


async def test_a_list_of_a_group_wakes_it_unless_the_configuration_hides_what_is_asked_for() -> None:
    servers = LazyServers(stdio("a"), stdio("hidden", NOTHING_LISTED))
    servers.browse(1, group="a")
    servers.browse(2, group="hidden")
    assert servers.woken == {"a": [upstream.Wake()]}
    (refusal,) = servers.client.of(frontend.Settled)
    assert "switched off" in json.loads(answer_of(refusal)[1] or b"")["message"]


def learning(**config: Any) -> Stage:
    """An upstream that has been started only to learn what it offers, and is ready."""
    stage = Stage(startup="lazy", **config)
    stage.start()
    assert stage.opened_with == []
    stage.hand(LEARN)
    stage.ready()
    return stage


async def test_a_server_that_is_only_learnt_of_sleeps_soon_and_one_that_is_used_stays_up() -> None:
    stage = learning()
    stage.now = PROBE_IDLE_TIMEOUT
    stage.hand(upstream.TimerFired("idle"))
    assert stage.state == "asleep"
    await Dispatcher.running().wait_background()
    assert stage.link.closed
    stage.hand(upstream.Wake())  # and is started again by its next use
    assert len(stage.opened_with) == 2
    for use in (upstream.Wake(), None):
        stage = learning()
        if use is not None:
            stage.hand(use)
        else:
            stage.call(1)
            stage.says({"id": stage.number_of("tools/call"), "result": {}})
        stage.now = PROBE_IDLE_TIMEOUT
        stage.hand(upstream.TimerFired("idle"))
        assert stage.state == "ready", use


def sleeps(stage: Stage) -> bool:
    """Whether the lazy upstream waits for its next use after it was lost, and not for the next attempt."""
    stage.closes()
    said = stage.audit.of(events.ReconnectScheduled)[-1].when == "wanted"
    assert said == (stage.state == "asleep")
    return said


def lazy() -> Stage:
    """A lazy upstream that is used, and ready."""
    stage = Stage(startup="lazy")
    stage.start()
    stage.hand(upstream.Wake())
    stage.ready()
    return stage


async def test_a_lazy_server_sleeps_when_it_is_lost_with_nothing_in_flight_or_subscribed_to() -> None:
    assert sleeps(lazy())
    for number, name in enumerate(("echo", "look", "not listed")):  # answered; repeated; not sent yet
        stage = lazy()
        stage.call(number, name)
        assert not sleeps(stage), name
    stage = lazy()
    stage.hand(submit(1, "resources/subscribe", {"uri": "x:1"}, stage.client))
    stage.says({"id": stage.number_of("resources/subscribe"), "result": {}})
    assert not sleeps(stage)
    stage = Stage()
    stage.ready()
    assert not sleeps(stage)


async def test_a_lazy_server_that_fails_to_start_was_used_unless_it_was_only_to_be_learnt_of() -> None:
    for wake, expected in ((LEARN, True), (upstream.Wake(), False)):
        stage = Stage(startup="lazy")
        stage.start()
        stage.hand(wake)
        stage.opened()
        assert sleeps(stage) is expected
    stage = Stage()
    stage.opened()
    assert not sleeps(stage)
