"""Puts a run of ``dmcp fault`` together: script, seed, journal, transport, and the server behind the faults."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

from dmcp.fault.core import Core
from dmcp.fault.journal import Journal
from dmcp.fault.performer import Performer
from dmcp.fault.plan import FaultPlan
from dmcp.fault.process import Process
from dmcp.fault.session import Session
from dmcp.fault.stdio import serve_stdio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmcp.fault.behind import Behind, Saying
    from dmcp.fault.limits import Transport
    from dmcp.fault.performer import Outlet
    from dmcp.fault.script import Script


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

    def behind(announce: Callable[[Saying], None]) -> Behind:
        return Core(script.server, journal, announce)

    performer = Performer(process)

    def begin(outlet: Outlet) -> Session:
        return Session(plan, performer, behind, outlet)

    await serve_stdio(process, performer, begin)
