"""Starting and ending processes as Windows has it done; what POSIX does is seen in the tests with real servers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from dmcp.upstream import processes, stdio


@pytest.fixture(autouse=True)
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")


@pytest.mark.parametrize("kill", [False, True])
def test_a_server_is_ended_with_all_it_has_started(monkeypatch: pytest.MonkeyPatch, kill: bool) -> None:
    ran: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **_options: Any) -> subprocess.CompletedProcess[bytes]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("SYSTEMROOT", "W")
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("it would miss what the server has started"))
    assert processes.signal_group(77, kill=kill)
    ((program, *options),) = ran
    assert Path(program) == Path("W", "System32", "taskkill.exe")
    assert options == ["/T", "/F", "/PID", "77"]


@pytest.mark.parametrize("there", [True, False])
def test_where_there_is_no_taskkill_at_least_the_server_itself_is_ended(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    killed: list[int] = []

    def run(*_given: Any, **_options: Any) -> None:
        raise FileNotFoundError

    def kill(pid: int, _number: int) -> None:
        if not there:
            raise ProcessLookupError
        killed.append(pid)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(os, "kill", kill)
    assert processes.signal_group(77, kill=True) is there
    assert killed == [77] * there


@pytest.mark.anyio
async def test_the_program_that_ends_a_server_runs_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def signal_group(pid: int, *, kill: bool) -> bool:
        threads.append(threading.get_ident())
        return True

    monkeypatch.setattr(processes, "signal_group", signal_group)
    await stdio._signal(77, kill=True)
    assert threads
    assert threads != [threading.get_ident()]


def test_the_program_that_ends_a_server_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, str]] = []

    def run(
        command: tuple[str, ...], *, env: dict[str, str], **_options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        given.append(env)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("A_TOKEN", "secret")
    monkeypatch.setattr(subprocess, "run", run)
    processes.signal_group(77, kill=True)
    assert "A_TOKEN" not in given[0]
