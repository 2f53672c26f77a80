"""The honest part of the misbehaving servers: reads lines, answers the handshake, keeps a journal. No dependencies.

Not here: any misdeed. Each server beside this file overrides what it wants to get wrong.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

JOURNAL = "ROGUE_JOURNAL"
"""Environment variable: a file that gets a line for each start and each call, across all lives of the server."""


class Peer:
    """One life of a server."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.tools: list[Any] = []
        self.capabilities: dict[str, Any] = {"tools": {"listChanged": True}, "logging": {}}
        self.running = True

    def run(self) -> None:
        """Serve until stdin ends."""
        self.note(f"start {os.getpid()}")
        while self.running and (line := sys.stdin.buffer.readline()):
            message = json.loads(line)
            self.heard.append(message)
            self.take(message)

    def take(self, message: dict[str, Any]) -> None:
        """Do what a message says."""
        params = message.get("params") or {}
        match message.get("method"):
            case "initialize":
                self.initialize(message["id"], params)
            case "ping":
                self.answer(message["id"], {})
            case "tools/list":
                self.list_tools(message["id"], params)
            case "tools/call":
                self.note(f"call {params['name']}")
                self.call(message["id"], params["name"], params.get("arguments") or {})
            case "logging/setLevel":
                self.answer(message["id"], {})

    def initialize(self, identifier: Any, params: dict[str, Any]) -> None:
        """Shake hands."""
        result = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": self.capabilities,
            "serverInfo": {"name": "rogue", "version": "1"},
        }
        self.answer(identifier, result)

    def list_tools(self, identifier: Any, params: dict[str, Any]) -> None:
        """Show the tools on one page."""
        self.answer(identifier, {"tools": self.tools})

    def call(self, identifier: Any, name: str, arguments: dict[str, Any]) -> None:
        """Run a tool."""
        raise NotImplementedError

    def answer(self, identifier: Any, result: Any) -> None:
        """Send a result."""
        self.send({"jsonrpc": "2.0", "id": identifier, "result": result})

    def say(self, identifier: Any, text: str) -> None:
        """Send a tool result of one text."""
        self.answer(identifier, {"content": [{"type": "text", "text": text}]})

    def send(self, message: Any) -> None:
        """Send a message."""
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, raw: bytes) -> None:
        """Write these bytes to stdout and nothing else."""
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()

    @staticmethod
    def note(line: str) -> None:
        """Add a line to the journal, if there is one."""
        if JOURNAL in os.environ:
            with Path(os.environ[JOURNAL]).open("a", encoding="utf-8") as journal:
                journal.write(line + "\n")


def tool(name: str, **annotations: bool) -> dict[str, Any]:
    """The declaration of a tool."""
    declared: dict[str, Any] = {"name": name, "inputSchema": {"type": "object"}}
    if annotations:
        declared["annotations"] = annotations
    return declared
