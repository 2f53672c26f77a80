"""What the supervisor has to remember for lives that begin later, and what it owes the client at the end."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dmcp.config.model import RemoteServer, ServerConfig
from dmcp.messages import frontend, upstream
from dmcp.messages.auth import Configured, Forget
from dmcp.messages.supervisor import ClientDetached, Shutdown
from unit.actors.fakes import CLIENT
from unit.actors.test_supervisor import House, configured, server

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house() -> House:
    return House()


async def test_asked_to_end_twice_the_client_still_gets_its_answers_first(house: House) -> None:
    house.hand(configured(server()), Shutdown(5.0), Shutdown(0.5))
    assert [order.grace for order in house.client.of(frontend.Finish)] == [5.0, 0.5]
    assert not house.make.last.of(upstream.Stop)
    house.hand(ClientDetached(CLIENT))
    assert len(house.make.last.of(upstream.Stop)) == 1


async def test_auth_is_told_of_every_server_that_has_another_configuration_or_none(house: House) -> None:
    far = [RemoteServer("https://one"), RemoteServer("https://two")]
    first, second = (ServerConfig("g", "d", target) for target in far)
    house.hand(configured(first), configured(replace(first, description="other")), configured(second))
    house.hand(configured(server()), configured())
    told = [m for m in house.make.core_auth.told if isinstance(m, Configured | Forget)]
    assert [m.server if isinstance(m, Configured) else None for m in told] == [*far, None, None]
    assert {m.group for m in told} == {"g"}
