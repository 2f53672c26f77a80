"""What a piece of work costs in processor time, for tests of work that has to be linear."""

from __future__ import annotations

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
    """Measure the work inside, without the tracer of ``coverage``, which would be measured too.

    Args:
        clock: ``time.thread_time``, or ``time.process_time`` where other threads do a part of it.
    """
    used, trace = Used(), sys.gettrace()
    sys.settrace(None)
    begun = clock()
    try:
        yield used
    finally:
        used.seconds = clock() - begun
        sys.settrace(trace)
