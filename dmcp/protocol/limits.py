"""Every limit on what a peer can make grow, in one place. ``docs/security.md`` has the same table.

Those a person may need to raise for one server are in ``dmcp.config.model.Limits`` (the key ``limits``).
Units: bytes, entries, characters, seconds. Beyond a limit the peer's own call, listing or message fails and the error
says which limit it was; nobody else notices.
"""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024
KIB: Final = 1024

MAX_FRAME: Final = 64 * MIB
"""Bytes of one message, in either direction. Of a server's: ``limits.frame``."""
