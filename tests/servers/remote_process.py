"""Remote servers as child processes that a test starts, kills and starts again at the same address."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.configs import npm_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SCRIPT = Path(__file__).with_name("sdk_remote.py")
_WAIT = 20.0  # seconds for anything on this machine


class RemoteServer:
    """``sdk_remote.py`` in a process of its own. ``start`` after ``stop`` is the next life at the same address."""

    def __init__(
        self, room: Path, mode: str = "http", name: str = "far", certificate: Path | None = None
    ) -> None:
        self.url = ""
        self._certificate = certificate
        self._journal = room / f"{name}.journal"
        self._mode = mode
        self._name = name
        self._life = 0
        self._port = free_port()
        self._child: subprocess.Popen[str] | None = None

    @property
    def entry(self) -> dict[str, Any]:
        """Its entry in a configuration."""
        kind = "sse" if self._mode == "sse" else "http"
        return {"description": f"The {self._name} server", "url": self.address, "type": kind}

    @property
    def address(self) -> str:
        """Its URL, known before it runs."""
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://127.0.0.1:{self._port}/{'sse' if self._mode == 'sse' else 'mcp'}"

    def start(self) -> None:
        self._life += 1
        options = {
            "--mode": self._mode,
            "--name": self._name,
            "--port": str(self._port),
            "--life": str(self._life),
            "--journal": str(self._journal),
        }
        if self._certificate is not None:
            options["--certificate"] = str(self._certificate)
        command = [sys.executable, str(_SCRIPT), *(word for pair in options.items() for word in pair)]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert self._child.stdout is not None
        self.url = self._child.stdout.readline().strip()
        assert self.url == self.address

    def stop(self) -> None:
        """Kill it: every connection breaks where it is."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate(timeout=_WAIT)

    def journal(self, **matching: Any) -> list[dict[str, Any]]:
        """The entries so far that hold these values."""
        written = self._journal.read_text(encoding="utf-8") if self._journal.exists() else ""
        whole = written[: written.rfind("\n") + 1].splitlines()
        entries = [json.loads(line) for line in whole]
        return [entry for entry in entries if matching.items() <= entry.items()]

    def until(self, times: int = 1, **matching: Any) -> list[dict[str, Any]]:
        """Wait until the journal has that many such entries."""
        wait_for(lambda: len(self.journal(**matching)) >= times, f"{times} times {matching} at {self._name}")
        return self.journal(**matching)

    def sessions(self) -> list[str]:
        """The sessions in which it was spoken to, in order."""
        return list(dict.fromkeys(e["session"] for e in self.journal() if e.get("session")))


def wait_for(happened: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does: a file has no event.

    Raises:
        AssertionError: it did not happen in time.
    """
    end = time.monotonic() + _WAIT
    while not happened():
        assert time.monotonic() < end, f"no {what} within {_WAIT} s"
        time.sleep(0.01)


def free_port() -> int:
    """A port nobody listens on, and that the system gives to nobody while its server is down."""
    while True:
        port = random.randrange(20000, 32000)  # below the ports of outgoing connections
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def remote(
    room: Path, mode: str = "http", name: str = "far", *, up: bool = True, certificate: Path | None = None
) -> Iterator[RemoteServer]:
    """A server of the official SDK; killed in the end. With a certificate (PEM, key included) it speaks HTTPS."""
    server = RemoteServer(room, mode, name, certificate)
    try:
        if up:
            server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def everything(mode: str, port: int | None = None) -> Iterator[str]:
    """npm's server-everything in its mode ``streamableHttp`` or ``sse``; gives its URL."""
    entry, port = npm_server("everything", mode), port or free_port()
    child = subprocess.Popen(
        [entry["command"], *entry["args"]],
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert child.stderr is not None
    try:
        while "on port" not in (line := child.stderr.readline()):
            assert line, "server-everything ended at once"
        drain = threading.Thread(target=child.stderr.read)  # or it would stop when the pipe is full
        drain.start()
        yield f"http://127.0.0.1:{port}/{'sse' if mode == 'sse' else 'mcp'}"
    finally:
        child.kill()
        child.wait(_WAIT)
        drain.join(_WAIT)
        child.stderr.close()
