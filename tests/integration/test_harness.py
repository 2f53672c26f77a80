"""The harness itself: whose stderr is read, and that nothing of it is lost either way."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import pytest

from harness.child import Child, leaves_stderr_unread
from harness.measured import processor_time

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio

FLOOD = "import sys; sys.stderr.write('x' * 2_000_000); sys.stderr.flush(); print('written', flush=True)"


def program(text: str) -> Sequence[str]:
    return [sys.executable, "-c", text]


async def test_what_stands_on_stderr_can_be_read_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for choice in ("read", "unread"):
        monkeypatch.setenv("DMCP_TEST_STDERR", choice)
        text = "import sys; print('grün', file=sys.stderr, flush=True); print('one', flush=True); sys.stdin.read()"
        async with Child(program(text), env={"PYTHONIOENCODING": "utf-8"}) as child:
            await child.until(lambda child=child: child.lines == [b"one"], "a line")  # type: ignore[misc]
            assert child.stderr.strip() == "grün"
        assert child.stderr.strip() == "grün"


@pytest.mark.skipif(sys.platform == "win32", reason="there stderr is always read")
async def test_a_process_that_waits_for_its_stderr_to_be_read_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DMCP_TEST_STDERR", "unread")
    async with Child(program(FLOOD)) as child:
        # Not "did it write within a second": it never does, and a test that asked would only wait.
        with pytest.raises(AssertionError, match=r"did not end within 0\.5 s"):
            await child.exited(within=0.5)
    monkeypatch.setenv("DMCP_TEST_STDERR", "read")
    async with Child(program(FLOOD)) as child:
        await child.until(lambda: child.lines == [b"written"], "the end of the flood")


def test_about_half_of_the_tests_leave_stderr_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DMCP_TEST_STDERR", raising=False)
    unread = 0
    for number in range(1000):
        monkeypatch.setenv("PYTEST_CURRENT_TEST", f"tests/test_x.py::test_{number} (call)")
        unread += leaves_stderr_unread()
    assert 400 < unread < 600


def test_what_measures_processor_time_does_not_measure_coverage() -> None:
    trace = sys.gettrace()  # in CI that of coverage
    with processor_time() as used:
        assert sys.gettrace() is None
        assert not gc.isenabled()
        sum(range(100_000))
    assert sys.gettrace() is trace
    assert gc.isenabled()
    assert used.seconds > 0
