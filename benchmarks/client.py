"""A lean raw client: blocking pipes, no tasks, no typed messages, so that the measuring costs next to nothing."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK: Final = 1 << 20
_PATIENCE: Final = 60.0  # seconds for any one answer
_SETTLE: Final = 5.0  # seconds for a proxy to end after its stdin


class Client:
    """One proxy process and a conversation with it. A context manager.

    Attributes:
        started: when the process was started, by ``time.perf_counter``.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._next = 0
        self._rest: list[bytes] = []
        self._lines: list[bytes] = []
        self._log = log.open("ab")
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, bufsize=0
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a process started with pipes has none")
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        family = (
            psutil.Process(self._process.pid).children(recursive=True) if self._process.poll() is None else []
        )
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_SETTLE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for process in psutil.wait_procs(family, timeout=_SETTLE)[
            1
        ]:  # the predecessor may leave its servers behind
            process.kill()
        self._log.close()

    def _family(self) -> list[psutil.Process]:
        if self._process.poll() is not None:
            return []
        return psutil.Process(self._process.pid).children(recursive=True)

    def resident(self) -> int:
        """Bytes of memory the proxy itself occupies, its servers not counted."""
        memory: int = psutil.Process(self._process.pid).memory_info().rss
        return memory

    def processor_time(self) -> float:
        """Seconds of processor time all threads of the proxy itself have used, exact to the nanosecond. Linux only."""
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def send(self, method: str, params: dict[str, Any]) -> int:
        """Send a request. Returns its id."""
        self._next += 1
        self._send_all(_frame(self._next, method, params))
        return self._next

    def receive(self) -> dict[str, Any]:
        """The next answer.

        Raises:
            RuntimeError: the proxy ended, or said nothing for a minute.
        """
        while True:
            message: dict[str, Any] = json.loads(self.receive_line())
            if "method" not in message:
                return message

    def receive_line(self) -> bytes:
        """The next line, not looked at. Raises as ``receive`` does."""
        while not self._lines:
            if not select.select([self._out], [], [], _PATIENCE)[0]:
                raise RuntimeError(f"no answer within {_PATIENCE:.0f} s")
            chunk = os.read(self._out, _CHUNK)
            if not chunk:
                raise RuntimeError(
                    f"the proxy ended with status {self._process.wait()}; see {self._log.name}"
                )
            *lines, rest = chunk.split(b"\n")
            if lines:
                lines[0] = b"".join([*self._rest, lines[0]])
                self._rest = []
                self._lines = lines[::-1]
            self._rest.append(rest)
        return self._lines.pop()

    def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self.send(method, params)
        return self.receive()

    def initialize(self) -> None:
        """Shake hands."""
        info = {"name": "bench", "version": "1"}
        # The newest revision the predecessor knows well is the oldest one: both speak it.
        self.request("initialize", {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": info})
        self._send_all(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    def wait_for(self, group: str) -> None:
        """Call a group until it answers.

        Raises:
            RuntimeError: it does not, for a minute.
        """
        deadline = time.perf_counter() + _PATIENCE
        while not is_good(answer := self.request("tools/call", tool(group, "echo", text="ready"))):
            if time.perf_counter() > deadline:
                raise RuntimeError(f"{group} never answered: {json.dumps(answer)[:300]}")
            time.sleep(0.005)

    def pipelined(self, params: dict[str, Any], count: int, window: int) -> int:
        """Make the same tool call ``count`` times with ``window`` of them in flight. Returns how many were good.

        Frames are made beforehand and answers are not decoded: with many calls a second this end would set the pace.
        """
        first = self._next + 1
        self._next += count
        frames = [_frame(number, "tools/call", params) for number in range(first, first + count)]
        self._send_all(b"".join(frames[:window]))
        sent, received, good = min(window, count), 0, 0
        while received < count:
            lines = [self.receive_line()]
            lines += self._lines  # all that came with it
            self._lines = []
            received += len(lines)
            good += sum(b'"result"' in line and b'"isError":true' not in line for line in lines)
            following = frames[sent : sent + len(lines)]
            sent += len(following)
            self._send_all(b"".join(following))
        return good

    def _send_all(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._in, data) :]


def _frame(number: int, method: str, params: dict[str, Any]) -> bytes:
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def tool(group: str, name: str, **args: Any) -> dict[str, Any]:
    """The params of a tool call through a proxy."""
    return {"name": "call_dynamic_tool", "arguments": {"group": group, "name": name, "args": args}}


def is_good(answer: dict[str, Any]) -> bool:
    """Whether a call succeeded. The predecessor puts ``isError`` inside the content item."""
    result = answer.get("result")
    if not result or result.get("isError"):
        return False
    return not any(item.get("isError") for item in result.get("content", ()))
