"""A stdio server that sends whatever a test tells it to, by its tools. No dependencies.

It answers its calls in order, but ``flood`` and ``ask`` work beside the loop that reads, so that it stays responsive.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults" / "servers"))

from stdio_peer import Peer, tool

FLOODS = {
    "messages": {"method": "notifications/message", "params": {"level": "info", "data": "x" * 40}},
    "unknown ids": {"id": 10**9, "result": {}},
    "server requests": {"id": "n", "method": "roots/list"},
    "pings": {"id": "n", "method": "ping"},
    "unknown methods": {"method": "notifications/of/nobody", "params": {}},
    "updates": {"method": "notifications/resources/updated", "params": {"uri": "x:not-subscribed"}},
}
LINES = {
    "invalid json": b'{"jsonrpc": nonsense}\n',
    "empty lines": b"\n",
    "noise": b"Starting...\n",
    "objects": b"{}\n",
}
PING = b'{"jsonrpc":"2.0","id":"p","method":"ping"}'
DEEP = b'{"jsonrpc":"2.0","method":"notifications/of/nobody","params":{"x":[%b]}}'
SLOW = {
    "batches": b"[" + b",".join([PING] * 1000) + b"]\n",
    "deep params": DEEP % b",".join([b"[" * 880 + b"]" * 880] * 50) + b"\n",
}
"""Lines that take longer to handle than others of their size."""


class Hostile(Peer):
    """One life of it."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = {
            "tools": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": True},
            "logging": {},
        }
        self.tools = [
            tool(name)
            for name in ("say", "write", "ask", "hang", "heard", "flood", "echo", "fail", "progress")
        ]
        self._lock = threading.Lock()
        self._answers: dict[str, dict[str, Any]] = {}
        self._news = threading.Condition()

    def take(self, message: dict[str, Any]) -> None:
        """Keep answers to what it has asked, for ``ask``."""
        if "method" not in message:
            with self._news:
                self._answers[json.dumps(message["id"])] = message
                self._news.notify_all()
            return
        match message["method"]:
            case "resources/list":
                self.answer(message["id"], {"resources": [{"uri": "x:1", "name": "one"}]})
            case "resources/templates/list":
                self.answer(message["id"], {"resourceTemplates": []})
            case "resources/subscribe" | "resources/unsubscribe":
                self.answer(message["id"], {})
            case "tools/call":
                self.token = (message["params"].get("_meta") or {}).get("progressToken")
                super().take(message)
            case _:
                super().take(message)

    def call(self, identifier: Any, name: str, arguments: dict[str, Any]) -> None:  # noqa: C901, PLR0912 - one case a tool
        """Run a tool."""
        match name:
            case "say":  # these messages, then the answer
                for message in arguments["messages"]:
                    self.send({"jsonrpc": "2.0", **message})
                self.say(identifier, "said")
            case "ask":  # this request; its answer is the result
                threading.Thread(target=self.ask, args=(identifier, arguments), daemon=True).start()
            case "hang":  # these messages, and no answer
                for message in arguments.get("messages", ()):
                    self.send({"jsonrpc": "2.0", **message})
            case "heard":
                self.say(identifier, json.dumps(self.heard))
            case "flood":
                self.say(identifier, "flooding")
                threading.Thread(target=self.flood, args=(arguments,), daemon=True).start()
            case "write":  # this text as it is, then the answer
                self.write(arguments["text"].encode("utf-8", "surrogatepass"))
                self.say(identifier, "written")
            case "fail":
                self.send({"jsonrpc": "2.0", "id": identifier, "error": arguments["error"]})
            case "progress":  # so many, then the answer
                for number in range(arguments["count"]):
                    params = {"progressToken": self.token, "progress": number}
                    self.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
                    time.sleep(arguments.get("pause", 0))
                if arguments.get("ends", True):
                    self.say(identifier, "done")
            case _:
                self.say(identifier, "echo")

    def ask(self, identifier: Any, arguments: dict[str, Any]) -> None:
        """Ask the client, and answer the call with what it said."""
        question = arguments["message"]
        self.send({"jsonrpc": "2.0", **question})
        key = json.dumps(question["id"])
        with self._news:
            self._news.wait_for(lambda: key in self._answers)
        self.say(identifier, json.dumps(self._answers.pop(key)))

    def flood(self, arguments: dict[str, Any]) -> None:
        """Write as fast as the pipe takes it, for so many seconds."""
        kind = arguments["kind"]
        if kind in LINES:
            block = LINES[kind] * 2000
        elif kind in SLOW:
            block = SLOW[kind] * 4
        elif kind == "server requests":
            block = b"".join(
                json.dumps({"jsonrpc": "2.0", "id": f"q{n}", "method": "roots/list"}).encode() + b"\n"
                for n in range(2000)
            )
        else:
            block = (json.dumps({"jsonrpc": "2.0", **FLOODS[kind]}).encode() + b"\n") * 2000
        end = time.monotonic() + arguments["seconds"]
        while time.monotonic() < end:
            self.write(block)

    def write(self, raw: bytes) -> None:
        """Write whole lines, from any thread."""
        with self._lock:
            sys.stdout.buffer.write(raw)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    Hostile().run()
