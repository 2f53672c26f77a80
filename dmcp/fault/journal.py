"""What has happened so far, in a file, so that a restarted server goes on counting where the last one was killed.

One JSON object a line, each written in a single append: a reader sees whole lines, a crash loses none, and
several processes may write to one journal. Tests read it to prove that a fault acted and how often a tool ran.
Without a path it counts in memory only.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from dmcp.fault.plan import FaultPoint


class Journal:
    """Counts decisions and runs.

    Events: ``started``; ``passed`` and ``acted``, of a fault; ``ran``, of the counting tool.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Read what is there and open the file for appending.

        Raises:
            ConfigError: the file cannot be read or written.
        """
        self._seen: Counter[int] = Counter()
        self._acted: Counter[int] = Counter()
        self._ran: Counter[str] = Counter()
        self._file = -1
        if path is None:
            return
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            earlier = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"journal {path}: {error.strerror}; name a file that can be written") from None
        for line in earlier.splitlines():
            self._count(_read(line))

    def __repr__(self) -> str:
        return f"<Journal acted={self._acted.total()} seen={self._seen.total()} ran={self._ran.total()}>"

    def counted(self, index: int) -> tuple[int, int]:
        """Return how many fitting moments the fault at this place has seen, and at how many of them it acted."""
        return self._seen[index], self._acted[index]

    def decided(self, index: int, name: str, point: FaultPoint, *, acted: bool) -> None:
        """Write down one more decision of the fault at this place."""
        event = "acted" if acted else "passed"
        self._write(
            {"event": event, "index": index, "fault": name, "phase": point.phase, "method": point.method}
        )

    def ran(self, tool: str, key: str) -> int:
        """Count one run of a tool; return how often it has run by now, under this key."""
        self._write({"event": "ran", "tool": tool, "key": key})
        return self._ran[key]

    def runs(self, key: str) -> int:
        """Return how often the counting tool has run under this key."""
        return self._ran[key]

    def started(self, transport: str, seed: int) -> None:
        """Write down that a server process began."""
        self._write({"event": "started", "transport": transport, "seed": seed})

    def close(self) -> None:
        """Count in memory from now on. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, event: dict[str, Any]) -> None:
        self._count(event)
        if self._file >= 0:
            os.write(self._file, to_json(event | {"pid": os.getpid()}) + b"\n")

    def _count(self, event: dict[str, Any]) -> None:
        match event:
            case {"event": "acted", "index": int(index)}:
                self._seen[index] += 1
                self._acted[index] += 1
            case {"event": "passed", "index": int(index)}:
                self._seen[index] += 1
            case {"event": "ran", "key": str(key)}:
                self._ran[key] += 1


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return all events of a journal, oldest first; empty when there is no such file."""
    if not path.exists():
        return []
    return [event for line in path.read_bytes().splitlines() if (event := _read(line))]


def _read(line: bytes) -> dict[str, Any]:
    """Return one event; empty for a line that is none, which another program must have written."""
    try:
        event = from_json(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
