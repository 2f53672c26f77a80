"""What a piece of work costs in processor time, for tests of work that has to be linear."""

from __future__ import annotations

import gc
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Used:
    """What was measured: ``seconds``, when the work is done."""

    seconds = 0.0


@contextmanager
def processor_time(clock: Callable[[], float] = time.thread_time) -> Iterator[Used]:
    """Measure the work inside, and nothing that belongs to the tests around it.

    Neither the tracer of ``coverage``, nor the collector of garbage: the objects of a worker of pytest are so many that
    looking through them takes longer than the work.

    Args:
        clock: ``time.thread_time``, or ``time.process_time`` where other threads do a part of it.
    """
    used, trace, collects = Used(), sys.gettrace(), gc.isenabled()
    sys.settrace(None)
    gc.disable()
    begun = clock()
    try:
        yield used
    finally:
        used.seconds = clock() - begun
        if collects:
            gc.enable()
        sys.settrace(trace)
