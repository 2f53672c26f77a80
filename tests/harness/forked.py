"""A dmcp that is forked from a process which has loaded its modules already, for a quarter of the cost of a start.

What it finds is what it would find otherwise: a process of its own with its own pipes, environment and working
directory. Not shown by it: what a start imports, and what an interpreter does with its own settings.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import marshal
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psutil

from harness.processes import FORKED, MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PROGRAM: Final = Path(__file__).with_name("forking.py")
_PACKET: Final = 30_000  # characters of a request, at most
_INTERPRETERS: Final = ("PYTHON", "LC_", "LANG", "COVERAGE_", "LD_")  # variables that are read before dmcp is
_MEASURING: Final = "COVERAGE_PROCESS_"  # has a process measured from its start
_WHEN_LOADED: Final = ("LOGURU_", "PYDANTIC_", "SSLKEYLOGFILE")  # and while libraries are loaded


def is_possible(arguments: Sequence[str], env: Mapping[str, str]) -> bool:
    """Return whether a command can be forked: on Linux, unless its environment is one for the interpreter too.

    ``DMCP_TEST_FORKED=no`` has every command started.
    """
    if sys.platform != "linux" or os.environ.get("DMCP_TEST_FORKED") == "no":
        return False
    if sum(map(len, arguments)) + sum(len(name) + len(value) for name, value in env.items()) > _PACKET:
        return False
    if any(
        Path(each, "sitecustomize.py").exists()
        for each in env.get("PYTHONPATH", "").split(os.pathsep)
        if each
    ):
        return False  # the interpreter runs it before dmcp is there
    return _settings(env) == _settings(os.environ) and not any(n.startswith(_MEASURING) for n in env)


def _settings(env: Mapping[str, str]) -> dict[str, str]:
    read = (*_INTERPRETERS, *_WHEN_LOADED)
    return {name: value for name, value in env.items() if name.startswith(read) and name != "PYTHONPATH"}


class Forked:
    """A dmcp that has been forked, with the other ends of its pipes. Whoever made it closes them.

    Attributes:
        pid: its process id.
        told: a descriptor on which eight bytes arrive when it has ended: its wait status.
    """

    def __init__(
        self,
        arguments: Sequence[str | bytes],
        env: Mapping[str, str],
        cwd: Path | str | None,
        pipes: Sequence[int],
    ) -> None:
        """Fork it.

        Args:
            arguments: without the program.
            env: the whole environment.
            cwd: the working directory, the one of the tests where there is none.
            pipes: what becomes its stdin, stdout and stderr; they can be closed then.
        """
        request = marshal.dumps(
            {
                "arguments": [os.fsencode(each) for each in arguments],
                "env": {os.fsencode(name): os.fsencode(value) for name, value in env.items()},
                "cwd": os.path.abspath(cwd or os.curdir),  # noqa: PTH100 - it may be a text of any kind
            }
        )
        self.told, told = os.pipe()
        try:
            if sys.platform == "linux":
                socket.send_fds(_parent(), [request], [*pipes, told])
        finally:
            os.close(told)
        self.pid = int.from_bytes(os.read(self.told, 8), "little")
        FORKED.add(self.pid)

    def __repr__(self) -> str:
        return f"<Forked pid={self.pid}>"

    def status(self) -> int:
        """Wait for the end and return the exit status, negative for a signal. Call it once."""
        status = os.waitstatus_to_exitcode(int.from_bytes(os.read(self.told, 8), "little"))
        os.close(self.told)
        FORKED.discard(self.pid)
        return status


class ForkedProcess:
    """A forked dmcp as ``asyncio.subprocess.Process`` has one. Use it on the loop it was made on.

    Attributes:
        stdin, stdout, stderr: as there; the last one is the caller's and None here.
        output: the transport below ``stdout``.
        returncode: the exit status once that is known.
    """

    def __init__(
        self,
        forked: Forked,
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
        output: asyncio.ReadTransport,
    ) -> None:
        self._forked = forked
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(forked.told, self._on_end)
        self.pid = forked.pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr: asyncio.StreamReader | None = None
        self.output = output
        self.returncode: int | None = None

    def __repr__(self) -> str:
        return f"<ForkedProcess {self.pid} {self.returncode}>"

    @classmethod
    async def start(
        cls, arguments: Sequence[str], env: Mapping[str, str], cwd: Path | str | None, stderr: int
    ) -> Self:
        """Fork a dmcp with pipes for stdin and stdout."""
        loop, (stdin, writer), (reader, stdout) = asyncio.get_running_loop(), os.pipe(), os.pipe()
        try:
            forked = Forked(arguments, env, cwd, [stdin, stdout, stderr])
        finally:
            os.close(stdin)
            os.close(stdout)
        received = asyncio.StreamReader()
        output, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(received),
            os.fdopen(reader, "rb", 0),
        )
        sending, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()),
            os.fdopen(writer, "wb", 0),
        )
        return cls(forked, asyncio.StreamWriter(sending, protocol, None, loop), received, output)

    async def wait(self) -> int:
        """Wait for the end and return the exit status."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal.

        Raises:
            ProcessLookupError: it has ended.
        """
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, which not every platform has."""
        self.send_signal(9)

    def _on_end(self) -> None:
        self._loop.remove_reader(self._forked.told)
        self.returncode = self._forked.status()
        self._ended.set()


def run_forked(
    arguments: Sequence[str], stdin: str, env: Mapping[str, str], cwd: Path | None, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as ``subprocess.run`` does with everything captured.

    Raises:
        TimeoutExpired: it has not ended after ``timeout`` seconds, and was killed.
    """
    command = [sys.executable, "-m", "dmcp", *arguments]
    theirs, ours = [], []
    for writes in (True, False, False):
        reader, writer = os.pipe()
        theirs.append(reader if writes else writer)
        ours.append(writer if writes else reader)
    try:
        forked = Forked(arguments, env, cwd, theirs)
    finally:
        for each in theirs:
            os.close(each)
    with ThreadPoolExecutor(3) as pool:
        writing = pool.submit(_write, ours[0], stdin.encode())
        out, err = (pool.submit(_read, each) for each in ours[1:])
        ended = wait([out, err], timeout).not_done
        if ended:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(forked.pid).kill()
        status = forked.status()
        writing.result()
        if ended:
            raise subprocess.TimeoutExpired(command, timeout, out.result(), err.result())
        return subprocess.CompletedProcess(command, status, out.result(), err.result())


def _write(descriptor: int, text: bytes) -> None:
    with suppress(BrokenPipeError), open(descriptor, "wb") as pipe:  # closing it writes too
        pipe.write(text)


def _read(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as pipe:
        return pipe.read()


@functools.cache
def _parent() -> socket.socket:
    if sys.platform != "linux":
        raise NotImplementedError
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {
        name: value for name, value in os.environ.items() if name != MARK and not name.startswith("COVERAGE_")
    }
    process = subprocess.Popen(
        [sys.executable, str(_PROGRAM), str(theirs.fileno())],
        stdin=subprocess.PIPE,  # of the kind that a command's are
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[theirs.fileno()],
        env={**env, "PYDANTIC_DISABLE_PLUGINS": "__all__"},  # as where dmcp itself imports it
    )
    theirs.close()
    assert ours.recv(16) == b"ready", process.communicate()[1]

    def end() -> None:
        ours.close()
        process.communicate()

    atexit.register(end)
    return ours
