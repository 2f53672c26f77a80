"""Work that is not thrown away half done when its caller is cancelled, whatever the work is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")
LAST_MOMENT: Final = 5.0
"""Seconds that work under way is given to end after its caller was cancelled."""


async def unhurried(work: Coroutine[None, None, T], last_moment: float = LAST_MOMENT) -> T:
    """Await work; when cancelled, let it end first, for ``last_moment`` seconds at most.

    A rotated refresh token that was sent for and not kept exists nowhere else.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        _, late = await asyncio.wait({task}, timeout=last_moment)
        for slow in late:
            slow.cancel()
        if not late and not task.cancelled():
            task.exception()  # nobody is left to be told
        raise
