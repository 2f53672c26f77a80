"""Fixtures for all tests: the event loop, and the watch over processes that a test leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import HealthCheck, settings

from dmcp import log
from dmcp.cli import context
from dmcp.protocol import wire
from harness.processes import MARK, leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parent
LONGEST_FIRST = (
    "integration/clients/test_real_clients.py",
    "conformance/test_conformance.py",
    "faults/matrix/test_every_fault_over_http.py",
    "faults/matrix/test_every_fault_over_stdio.py",
)
"""Files of more than twenty seconds, the longest first."""
MEASURED = (
    "integration/test_whole_session.py",
    "integration/auth/test_auth_flow.py",
    "faults/test_supervision.py",
)
"""Files whose processes CI measures the coverage of, beside the workers: few, because it doubles what they cost."""
_MEASURED = {TESTS / name for name in MEASURED}
_WITHOUT_PROCESSES = ("/unit/", "/architecture/")
_LOG = {name: getattr(log, name) for name in ("_threshold", "_shows_notices", "_writes_json", "_writer")}
_EXIT_TIMEOUT = 10.0  # seconds for a process to end after the test that started it

# What fails once fails again, and on a machine that is busy nothing fails for being slow.
settings.register_profile(
    "dmcp",
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("dmcp")


def pytest_configure(config: pytest.Config) -> None:
    """Keep tests, and every dmcp they start, out of the developer's home directory: nothing is read or kept there.

    Before modules are collected, because some of them ask for the home directory when they are imported.
    """
    home = tempfile.mkdtemp(prefix="dmcp-home-")
    patch = pytest.MonkeyPatch()
    for name in ("HOME", "USERPROFILE"):
        patch.setenv(name, home)
    for name in ("APPDATA", "LOCALAPPDATA", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        patch.delenv(name, raising=False)
    # Images of CI set this; but dmcp is started some thousand times, and compiling it each time is a third of the cost.
    patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell without job control starts a job in the background with SIGINT ignored, and all below it would be.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    config.add_cleanup(patch.undo)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files first that take longest: one of them at the end would have a worker run while the others rest."""
    rank = {TESTS / name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def each_test_has_a_log_and_a_command_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with what a process begins with: a command run in here chooses a log level, and names a configuration."""
    for name, value in _LOG.items():
        monkeypatch.setattr(log, name, value)
    monkeypatch.setattr(log, "_remarks", log._Remarks())
    monkeypatch.setattr(wire, "_engine", None)
    context._NAMED.clear()
    context._TRUSTED.clear()


@pytest.fixture(autouse=True)
def processes_are_measured_only_where_it_pays(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep ``coverage`` out of the processes of most tests: it makes each of them take twice as long."""
    if os.environ.get("DMCP_TEST_MEASURED") != "all" and request.path not in _MEASURED:
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture(autouse=True)
def no_process_is_left_behind(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Fail a test after which a process runs that was started in it."""
    if any(part in request.path.as_posix() for part in _WITHOUT_PROCESSES):
        yield
        return
    mark, older = uuid.uuid4().hex, frozenset(psutil.pids())
    monkeypatch.setenv(MARK, mark)
    yield
    rest = leftovers(mark, older, _EXIT_TIMEOUT)
    named = [f"{process.pid} {' '.join(process.cmdline())}" for process in rest if process.is_running()]
    for process in rest:
        process.kill()
    assert not named, f"left running: {named}"
