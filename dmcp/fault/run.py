"""Puts a run of ``dmcp fault`` together: script, seed, journal, transport, and the server behind the faults."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

from dmcp.errors import ConfigError
from dmcp.fault.journal import Journal
from dmcp.fault.plan import FaultPlan
from dmcp.fault.server import Core
from dmcp.fault.session import Session
from dmcp.fault.stdio import serve_stdio
from dmcp.fault.steps import Die, Process, StepRunner
from dmcp.fault.wrap import Wrapped
from dmcp.programs import find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmcp.fault.faults import Transport
    from dmcp.fault.http import HttpServer
    from dmcp.fault.script import Script
    from dmcp.fault.server import Backend, OutgoingMessage
    from dmcp.fault.steps import Output


def run(script: Script, port: int | None = None, wrap: Sequence[str] = ()) -> None:
    """Serve until the client leaves (stdio) or a signal comes; may end the process in between, as the script says.

    Args:
        script: what goes wrong.
        port: serve Streamable HTTP on this port of 127.0.0.1, any free one for 0; stdio when there is none.
        wrap: the command of a real server to put behind the faults.

    Raises:
        ConfigError: the script does not fit the transport, the journal cannot be used, or the port is taken.
    """
    transport: Transport = "stdio" if port is None else "http"
    script.check(transport)
    if wrap and find_program(wrap[0], os.environ) is None:
        raise ConfigError(f"--wrap: there is no command {wrap[0]}; check its name and PATH")
    seed = script.seed if script.seed is not None else SystemRandom().randrange(2**32)
    journal = Journal(Path(script.journal) if script.journal else None)
    plan = FaultPlan(script.faults, transport, seed, journal, os.path.exists)
    Process.diagnose(f"dmcp fault: seed {seed}")
    journal.started(transport, seed)
    try:
        asyncio.run(_serve(script, plan, journal, port, wrap))
    finally:
        journal.close()


async def _serve(
    script: Script, plan: FaultPlan, journal: Journal, port: int | None, wrap: Sequence[str]
) -> None:
    process = Process()
    server: list[HttpServer] = []

    def backend(announce: Callable[[OutgoingMessage], None]) -> Backend:
        if wrap:
            return Wrapped(wrap, announce, gone)
        return Core(script.server, journal, announce)

    def gone(status: int) -> None:
        process.diagnose(f"dmcp fault: the wrapped server ended with status {status}")
        if server:
            server[0].forget()
        else:
            process.die(Die(status if status >= 0 else 128 - status))

    def forget() -> None:
        server[0].forget()

    runner = StepRunner(process, None if port is None else forget)

    def begin(output: Output) -> Session:
        return Session(plan, runner, backend, output)

    if port is None:
        await serve_stdio(process, begin)
    else:
        from dmcp.fault.http import HttpServer  # noqa: PLC0415 - h11 is for HTTP only

        server.append(HttpServer(script.server, begin))
        await server[0].serve(process, port)
