"""Check what passes between a client and a server against the official types of ``mcp-types``.

It follows one session: which request each answer belongs to, which revision was agreed, that every request is
answered once at most, and that nobody answers what was not asked. It knows nothing of pipes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal

from mcp_types import jsonrpc, methods
from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Side = Literal["client", "server"]
_FIRST_GUESS: Final = "2025-11-25"
_REQUESTS: Final[dict[str, Callable[..., object]]] = {
    "client": methods.validate_client_request,
    "server": methods.parse_server_request,
}
_NOTES: Final[dict[str, Callable[..., object]]] = {
    "client": methods.validate_client_notification,
    "server": methods.parse_server_notification,
}
_RESULTS: Final[dict[str, Callable[..., object]]] = {
    "client": methods.validate_client_result,
    "server": methods.validate_server_result,
}


class Ledger:
    """All that was said in one session, and what was wrong with it.

    Attributes:
        problems: one sentence for each violation, in order.
        heard: (side, message) of everything recorded.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.heard: list[tuple[Side, dict[str, Any]]] = []
        self.revision = _FIRST_GUESS
        self._open: dict[
            tuple[Side, str], list[str]
        ] = {}  # a list, for tests that use an id twice on purpose
        self._closed: set[tuple[Side, str]] = set()
        self._cancelled: set[tuple[Side, str]] = set()

    def __repr__(self) -> str:
        return f"<Ledger {self.revision}: {len(self.heard)} messages, {len(self.problems)} problems>"

    def record(self, side: Side, message: Any, *, judged: bool = True) -> None:
        """Record what ``side`` sent: one message, or a batch.

        Args:
            side: who said it.
            message: the decoded message.
            judged: False for what a test says wrong on purpose: only the answer to it is then of interest.
        """
        if isinstance(message, list):
            for item in message:
                self.record(side, item, judged=judged)
            return
        if not isinstance(message, dict):
            if judged:
                self._complain(side, message, "not an object")
            return
        self.heard.append((side, message))
        if "method" in message and "id" in message:
            self._ask(side, message)
        try:
            if judged:
                jsonrpc.jsonrpc_message_adapter.validate_python(message)
                self._check(side, message)
        except (ValidationError, KeyError, ValueError) as error:
            self._complain(side, message, f"{type(error).__name__}: {error}")

    def methods(self, side: Side) -> set[str]:
        """Return the methods this side has used."""
        return {
            message["method"] for speaker, message in self.heard if speaker == side and "method" in message
        }

    def unanswered(self, side: Side) -> list[str]:
        """Return the methods of this side's requests that have no answer, cancelled ones left out."""
        return [
            method
            for key, waiting in self._open.items()
            for method in waiting
            if key[0] == side and key not in self._cancelled
        ]

    def _ask(self, side: Side, message: dict[str, Any]) -> None:
        key = (side, json.dumps(message["id"]))
        self._open.setdefault(key, []).append(message["method"])
        self._closed.discard(key)

    def _check(self, side: Side, message: dict[str, Any]) -> None:
        if "method" not in message:
            self._check_answer(side, message)
        elif "id" in message:
            if len(self._open[side, json.dumps(message["id"])]) > 1:
                self._complain(side, message, "the id is in use")
            _REQUESTS[side](message["method"], self.revision, message.get("params"))
        else:
            _NOTES[side](message["method"], self.revision, message.get("params"))
            if message["method"] == "notifications/cancelled":
                asker = (side, json.dumps(message["params"].get("requestId")))
                self._cancelled.add(asker)

    def _check_answer(self, side: Side, message: dict[str, Any]) -> None:
        if message.get("id") is None and "error" in message:
            return  # says that something could not even be read (JSON-RPC 2.0, section 5)
        asker: Side = "server" if side == "client" else "client"
        key = (asker, json.dumps(message.get("id")))
        waiting = self._open.get(key)
        if not waiting:
            self._complain(side, message, "answered twice" if key in self._closed else "no such request")
            return
        method = waiting.pop(0)
        if not waiting:
            self._closed.add(key)
        if "result" in message:
            if method == "initialize":
                self.revision = message["result"].get("protocolVersion", _FIRST_GUESS)
            _RESULTS[side](method, self.revision, message["result"])

    def _complain(self, side: Side, message: Any, what: str) -> None:
        self.problems.append(f"{side} said {json.dumps(message)[:400]}: {what}")


def read_tap(log: Path) -> Ledger:
    """Return the ledger of a session that ``tests/servers/tap.py`` has written down; dmcp is the client in it."""
    ledger = Ledger()
    written = (
        log.read_bytes() if log.exists() else b""
    )  # a server that is just being started has said nothing
    whole, _, _ = written.rpartition(b"\n")
    for line in whole.split(b"\n") if whole else []:
        side: Side = "client" if line.startswith(b">") else "server"
        try:
            message = json.loads(line[1:])
        except ValueError:
            ledger.problems.append(f"{side} wrote a line that is no JSON: {line[1:200]!r}")
            continue
        ledger.record(side, message)
    return ledger
