"""A parent that has loaded dmcp, and forks a dmcp command for whoever asks. A program, started by ``forked``.

Its one argument is the number of a socket. Each packet asks for one command: its arguments, environment and working
directory (``marshal``), with the descriptors that become its three pipes and one for what becomes of it. There its
process id is written, and when it has ended its wait status. Linux only.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import marshal
import os
import pkgutil
import runpy
import select
import socket
import sys
import threading
from typing import Any, NoReturn

import dmcp

assert sys.platform == "linux"

PACKET = 1 << 17  # bytes of a request
_SKIPPED = ("dmcp.demo", "dmcp.fault")  # servers, which dmcp starts itself
_LIBRARIES = (  # what commands load when they come to it
    "asyncio",
    "uvloop",
    "httpx",
    "httpx_sse",
    "filelock",
    "tomlkit",
    "json5",
    "tomli",
    "ruamel.yaml",
    "rich.table",
    "rich.syntax",
    "click",
    "joserfc.jwt",
    "concurrent.futures.thread",
    "encodings.idna",
)


def load() -> None:
    """Import what a dmcp command may import."""
    for module in pkgutil.walk_packages(dmcp.__path__, "dmcp."):
        if not module.name.startswith(_SKIPPED) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _LIBRARIES:
        importlib.import_module(name)
    sys.modules.pop("dmcp.__main__", None)  # somebody imports it; here it is still to be run
    gc.collect()
    gc.freeze()


def serve(channel: socket.socket) -> list[str] | None:
    """Fork until the channel ends. Returns the arguments of the command in the child, and nothing in the parent."""
    children: dict[int, tuple[int, int]] = {}  # by process descriptor: process id, where to say how it ended
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready in children:
                poll.unregister(ready)
                pid, told = children.pop(ready)
                _tell(told, os.waitpid(pid, 0)[1])
                os.close(told)
                os.close(ready)
                continue
            packet, descriptors, _, _ = socket.recv_fds(channel, PACKET, 4)
            if not packet:
                return None
            *pipes, told = descriptors
            if not (pid := os.fork()):
                for each in [told, *children, *(pair[1] for pair in children.values())]:
                    os.close(each)
                channel.close()
                return _become(pipes, marshal.loads(packet))
            _tell(told, pid)
            for each in pipes:
                os.close(each)
            process = os.pidfd_open(pid)
            children[process] = (pid, told)
            poll.register(process, select.POLLIN)


def _tell(descriptor: int, number: int) -> None:
    try:
        os.write(descriptor, number.to_bytes(8, "little"))
    except BrokenPipeError:
        return  # the test has ended


def _become(pipes: list[int], request: dict[str, Any]) -> list[str]:
    for number, each in enumerate(pipes):
        os.dup2(each, number)
        os.close(each)
    os.chdir(request["cwd"])
    os.environb.clear()
    os.environb.update(request["env"])
    sys.path[0] = request["cwd"]  # as ``python -m`` has it
    arguments: list[str] = [os.fsdecode(each) for each in request["arguments"]]
    sys.orig_argv = [sys.executable, "-m", "dmcp", *arguments]
    return arguments


def run(arguments: list[str]) -> NoReturn:
    """Be ``python -m dmcp ARGUMENTS``, and end as the interpreter does but for taking itself apart: that takes longer
    than most commands, with all that is loaded here.
    """
    sys.argv = ["-m", *arguments]
    status: int | str | None = 0
    try:
        runpy.run_module("dmcp", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    load()
    requests = socket.socket(fileno=int(sys.argv[1]))
    requests.send(b"ready")
    if (given := serve(requests)) is not None:
        run(given)
