"""Reading a script, and what is said of a wrong one."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.errors import ConfigError
from dmcp.fault.faults import KINDS, PHASES, Delay
from dmcp.fault.script import Script, build, combinations, load, read

if TYPE_CHECKING:
    from pathlib import Path


def test_a_script_built_in_python_reads_back_the_same(tmp_path: Path) -> None:
    script = Script(
        seed=7,
        journal="j",
        faults=(build("crash", "call", when="during", times=1), build("slow", "list", delay={"fixed": 1})),
    )
    assert load(script.write(tmp_path / "script.json")) == script


def test_every_kind_of_fault_can_be_built_for_every_combination_and_reads_back() -> None:
    faults = tuple(build(name, phase, transport=transport) for name, phase, transport in combinations())
    script = Script(faults=faults)
    assert read(script.to_json(), "script") == script
    assert {fault.fault for fault in faults} == set(KINDS)
    assert {fault.on for fault in faults} == set(PHASES)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"{", "script: not valid JSON: .*line 1 column 1"),
        (b"[]", "script: .*dictionary"),
        (b"{}", "faults: missing; it is required"),
        (b'{"faults": [], "sed": 1}', 'sed: unknown key "sed"; did you mean "seed"'),
        (b'{"faults": [{"on": "call"}]}', r'faults\[0\]: must be an object with the key "fault"'),
        (b'{"faults": [{"fault": "crsh", "on": "call"}]}', 'unknown fault "crsh"; did you mean "crash"'),
        (b'{"faults": [{"fault": "crash"}]}', r"faults\[0\] \(crash\) on: missing"),
        (b'{"faults": [{"fault": "crash", "on": "cal"}]}', "on: must be 'connect'.* not 'cal'"),
        (
            b'{"faults": [{"fault": "crash", "on": "call", "whn": 1}]}',
            'unknown key "whn"; did you mean "when"',
        ),
        (
            b'{"faults": [{"fault": "loop", "on": "call"}]}',
            "does not act in phase call; it acts in list over stdio",
        ),
        (
            b'{"faults": [{"fault": "cut", "on": "call", "transport": "stdio"}]}',
            "does not act in phase call over stdio; it acts in .* over http",
        ),
        (b'{"faults": [{"fault": "slow", "on": "call", "delay": {}}]}', "delay: give exactly one of fixed"),
        (b'{"faults": [{"fault": "drop", "on": "call", "probability": 2}]}', "probability: .* not 2"),
        (b'{"server": {"page": 1}, "faults": []}', 'server.page: unknown key "page"'),
        (b'\xef\xbb\xbf{"faults": [1]}', r"faults\[0\]"),
    ],
)
def test_a_wrong_script_is_refused_saying_where_and_what(text: bytes, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read(text, "script")


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        read(
            b'{"sed": 1, "faults": [{"fault": "crash", "on": "x"}, {"fault": "nothing", "on": "call"}]}',
            "script",
        )
    assert len(refused.value.problems) == 3


def test_a_script_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name a fault script that exists"):
        load(tmp_path / "none.json")


def test_a_fault_of_the_other_transport_is_refused_when_it_is_served() -> None:
    script = Script(faults=(build("status", "call"), build("deaf", "call", transport="stdio")))
    script.check("http")
    with pytest.raises(ConfigError, match="does not act in phase call over stdio"):
        script.check("stdio")


@pytest.mark.parametrize(
    "shape",
    [
        {"fixed": 2},
        {"uniform": (1, 3)},
        {"normal": (1, 5)},
        {"exponential": 4},
        {"pareto": (1, 0.5)},
        {"exponential": 0},
    ],
)
def test_a_delay_is_never_negative_nor_beyond_its_bound(shape: dict[str, Any]) -> None:
    delay, random = Delay(max=2.5, **shape), Random(1)
    samples = [delay.sample(random) for _ in range(200)]
    assert 0 <= min(samples) <= max(samples) <= 2.5
