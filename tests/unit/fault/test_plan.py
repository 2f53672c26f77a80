"""When a fault is due. No process, no clock, no file: the record and the file system are stand-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dmcp.fault.journal import Journal
from dmcp.fault.plan import FaultPlan, FaultPoint, phase_of
from dmcp.fault.script import build

if TYPE_CHECKING:
    from dmcp.fault.faults import Transport

CALL = FaultPoint("call", "tools/call", "echo")


def _plan(
    *faults: Any, seed: int = 1, transport: Transport = "stdio", files: set[str] | None = None
) -> FaultPlan:
    existing = files if files is not None else set()
    return FaultPlan(faults, transport, seed, Journal(), lambda path: path in existing)


def _acts(plan: FaultPlan, moment: FaultPoint, count: int) -> list[bool]:
    return [bool(plan.due(moment)) for _ in range(count)]


def test_a_fault_acts_in_its_phase_and_in_no_other() -> None:
    plan = _plan(build("drop", "list"))
    assert not plan.due(CALL)
    assert plan.due(FaultPoint("list", "tools/list"))


def test_a_fault_acts_only_so_many_times() -> None:
    assert _acts(_plan(build("drop", "call", times=2)), CALL, 4) == [True, True, False, False]


def test_a_fault_lets_the_first_moments_pass() -> None:
    assert _acts(_plan(build("drop", "call", after=2, times=1)), CALL, 4) == [False, False, True, False]


def test_moments_that_do_not_fit_are_not_counted() -> None:
    plan = _plan(build("drop", "call", tool="add", after=1))
    assert _acts(plan, CALL, 3) == [False, False, False]
    assert _acts(plan, FaultPoint("call", "tools/call", "add"), 2) == [False, True]


def test_the_seed_reproduces_what_chance_decided() -> None:
    fault = build("drop", "call", probability=0.5)
    first, again, other = (_acts(_plan(fault, seed=seed), CALL, 64) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert 16 < sum(first) < 48


def test_what_chance_decides_for_a_fault_does_not_depend_on_other_moments() -> None:
    fault = build("drop", "call", probability=0.5)
    alone = _plan(fault)
    among = _plan(fault, build("slow", "list", probability=0.5))
    expected = _acts(alone, CALL, 32)
    seen = []
    for _ in range(32):
        among.due(FaultPoint("list", "tools/list"))
        seen.append(bool(among.due(CALL)))
    assert seen == expected


def test_a_fault_ends_when_the_file_it_waits_for_exists() -> None:
    files: set[str] = set()
    plan = _plan(build("drop", "call", until_exists="mended"), files=files)
    assert plan.due(CALL)
    files.add("mended")
    assert not plan.due(CALL)


def test_a_fault_lasts_while_its_file_exists() -> None:
    files: set[str] = set()
    plan = _plan(build("drop", "call", while_exists="broken"), files=files)
    assert not plan.due(CALL)
    files.add("broken")
    assert plan.due(CALL)


def test_a_fault_for_the_other_transport_does_not_act() -> None:
    fault = build("drop", "call", transport="http")
    assert not _plan(fault, transport="stdio").due(CALL)
    assert _plan(fault, transport="http").due(CALL)


def test_a_ping_is_a_call_only_for_a_fault_that_names_it() -> None:
    ping = FaultPoint("call", "ping")
    assert not _plan(build("hang", "call")).due(ping)
    assert _plan(build("hang", "call", method="ping")).due(ping)
    assert _plan(build("hang", "call", method="*")).due(ping)


def test_message_faults_act_on_notifications_going_out_and_status_faults_on_those_coming_in() -> None:
    coming, going = (
        FaultPoint("notify", "notifications/cancelled"),
        FaultPoint("notify", "notifications/x", departing=True),
    )
    assert not _plan(build("drop", "notify")).due(coming)
    assert _plan(build("drop", "notify")).due(going)
    assert _plan(build("status", "notify"), transport="http").due(coming)
    assert not _plan(build("status", "notify"), transport="http").due(going)
    assert _plan(build("crash", "notify")).due(coming)
    assert _plan(build("crash", "notify")).due(going)


@pytest.mark.parametrize(
    ("method", "phase"),
    [
        ("initialize", "initialise"),
        ("notifications/initialized", "initialise"),
        ("tools/list", "list"),
        ("resources/templates/list", "list"),
        ("roots/list", "call"),
        ("tools/call", "call"),
        ("notifications/cancelled", "notify"),
    ],
)
def test_each_method_belongs_to_a_phase(method: str, phase: str) -> None:
    assert phase_of(method) == phase
