"""A raw client of a stdio MCP server: newline-delimited JSON over pipes, every byte in the test's own hand.

It hides nothing: what it sends is what the test says, all traffic is kept, and stderr too. It is not an MCP client:
it answers a server's request only if the test has said how.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from harness.child import WAIT, Child
from harness.wire import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

_LONG_LINE: Final = 100_000  # bytes


class RpcError(Exception):
    """A request was answered with an error."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


def dmcp_command(config: Path | str, *options: str) -> list[str]:
    """Return how to start dmcp; ``DMCP_TEST_COMMAND`` names another binary to compare with."""
    binary = os.environ.get("DMCP_TEST_COMMAND")
    return [binary, str(config)] if binary else [sys.executable, "-m", "dmcp", *options, str(config)]


class RawClient(Child):
    """One process and the conversation with it. Use it as an asynchronous context manager, on asyncio.

    After an orderly end the ledger is checked.

    Attributes:
        ledger: what was said, checked against the official types.
        inbox: messages from the server that no test code has taken yet.
        answers: how to answer the server's requests, by method; gets the params, returns the result.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        strict: bool = True,
    ) -> None:
        """Prepare.

        Args:
            command: the process to start.
            env: additions to the environment of the tests.
            cwd: its working directory.
            strict: check the ledger in the end; tests of a misbehaving peer switch it off.
        """
        super().__init__(command, env=env, cwd=cwd)
        self._strict = strict
        self._next = 0
        self._replies: dict[str, list[dict[str, Any]]] = {}
        self.ledger = Ledger()
        self.inbox: list[dict[str, Any]] = []
        self.answers: dict[str, Callable[[dict[str, Any]], Any]] = {}

    def __repr__(self) -> str:
        return f"<RawClient pid={self._process and self._process.pid} {self.ledger!r}>"

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        if error is None and self._strict:
            self.check()

    def check(self) -> None:
        """Fail unless all that was said is valid, and every request was answered, once."""
        assert not self.loose_end, f"the last line has no end: {self.loose_end[:200]!r}"
        assert not self.ledger.problems, "\n".join(self.ledger.problems)
        assert not self.ledger.unanswered("client"), f"unanswered: {self.ledger.unanswered('client')}"

    def send_bytes(self, raw: bytes) -> None:
        """Write these bytes and nothing else. Whole requests in them are expected to be answered."""
        for line in raw.splitlines():
            with suppress(ValueError):
                self.ledger.record("client", json.loads(line), judged=False)
        self.write(raw)

    def send(self, message: Any) -> None:
        """Write one message, valid or not."""
        self.send_bytes(json.dumps(message).encode() + b"\n")

    def _say(self, message: dict[str, Any]) -> None:
        self.ledger.record("client", message)
        self.write(json.dumps(message).encode() + b"\n")

    def ask(
        self, method: str, params: Mapping[str, Any] | None = None, *, identifier: int | str | None = None
    ) -> int | str:
        """Send a request without waiting. Returns its id."""
        if identifier is None:
            self._next += 1
            identifier = self._next
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": identifier, "method": method}
        if params is not None:
            message["params"] = dict(params)
        self._say(message)
        return identifier

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send a notification."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = dict(params)
        self._say(message)

    def respond(self, request: Mapping[str, Any], result: Any) -> None:
        """Answer a request of the server's."""
        self._say({"jsonrpc": "2.0", "id": request["id"], "result": result})

    def refuse(self, request: Mapping[str, Any], code: int, message: str) -> None:
        """Answer a request of the server's with an error."""
        self._say({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}})

    async def answer(self, identifier: int | str | None, within: float = WAIT) -> dict[str, Any]:
        """Return the whole response to a request that was sent before.

        Raises:
            AssertionError: there is none in time, or the process has ended without one.
        """
        key = json.dumps(identifier)
        await self.until(lambda: bool(self._replies.get(key)), f"an answer to {key}", within)
        return self._replies[key].pop(0)

    async def request(
        self, method: str, params: Mapping[str, Any] | None = None, *, within: float = WAIT
    ) -> Any:
        """Send a request and wait for its result.

        Raises:
            RpcError: the answer is an error.
        """
        response = await self.answer(self.ask(method, params), within)
        if "error" in response:
            raise RpcError(response["error"])
        return response["result"]

    async def call(self, group: str, name: str, args: Any = None, **params: Any) -> Any:
        """Call a tool through dmcp and return its result."""
        arguments = {"group": group, "name": name, "args": args if args is not None else {}}
        return await self.request(
            "tools/call", {"name": "call_dynamic_tool", "arguments": arguments, **params}
        )

    async def tools(self, group: str) -> list[dict[str, Any]]:
        """Return the whole definitions of a group's tools, page by page."""
        tools: list[dict[str, Any]] = []
        wanted = {"group": group, "detail": "full"}
        while True:
            result = await self.request("tools/call", {"name": "get_dynamic_tools", "arguments": wanted})
            tools += json.loads(result["content"][0]["text"])
            cursor = result.get("_meta", {}).get("dmcp/nextCursor")
            if cursor is None:
                return tools
            wanted["cursor"] = cursor

    async def heard(
        self, method: str, matching: Callable[[dict[str, Any]], bool] = lambda _: True, within: float = WAIT
    ) -> dict[str, Any]:
        """Take the first request or notification of this method out of the inbox, waiting for it if need be."""

        def found() -> dict[str, Any] | None:
            hits = (m for m in self.inbox if m.get("method") == method and matching(m.get("params") or {}))
            return next(hits, None)

        await self.until(lambda: found() is not None, method, within)
        message = found()
        assert message is not None
        self.inbox.remove(message)
        return message

    async def initialize(
        self,
        revision: str = "2025-11-25",
        capabilities: Mapping[str, Any] | None = None,
        name: str = "raw-client",
    ) -> dict[str, Any]:
        """Initialize the session. Returns the result of ``initialize``."""
        info = {"name": name, "version": "1"}
        params = {"protocolVersion": revision, "capabilities": dict(capabilities or {}), "clientInfo": info}
        result: dict[str, Any] = await self.request("initialize", params)
        self.notify("notifications/initialized")
        return result

    def on_line(self, line: bytes) -> None:
        """Match a response to its request, answer a server request, or keep the message in the inbox."""
        try:
            message = json.loads(line)
        except ValueError:
            self.ledger.problems.append(f"stdout carries something that is no JSON: {line[:200]!r}")
            return
        self.ledger.record("server", message)
        for item in message if isinstance(message, list) else [message]:
            if "method" not in item:
                self._replies.setdefault(json.dumps(item.get("id")), []).append(item)
            elif "id" in item and item["method"] in self.answers:
                self.respond(item, self.answers[item["method"]](item.get("params") or {}))
            else:
                self.inbox.append(item)


class LongLineClient(RawClient):
    """A client that does not decode long lines: it would take minutes, and prove nothing.

    Attributes:
        long: the lines of more than 100,000 bytes, in order; they are in no inbox and answer no request.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.long: list[bytes] = []

    def on_line(self, line: bytes) -> None:
        """Keep a long line, sort in a short one."""
        if len(line) > _LONG_LINE:
            self.long.append(line)
        else:
            super().on_line(line)
