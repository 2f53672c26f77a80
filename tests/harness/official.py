"""The official SDK's client in front of a real dmcp process, with every message recorded and checked."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import TYPE_CHECKING, Any, Self, TextIO, cast

import anyio
import mcp_types as types
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from harness.child import WAIT, leaves_stderr_unread
from harness.configs import Entry, tapped, write_config
from harness.raw import dmcp_command
from harness.wire import Ledger, Side, read_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType


class OfficialClient:
    """A ``mcp.ClientSession`` over stdio that declares every client capability. An asynchronous context manager.

    Leaving the context without an error checks all that was said.

    Attributes:
        session: the SDK's session, initialised.
        ledger: every message that passed, checked.
        notes: notifications received, in order.
        questions: requests of the server's, in order.
        roots, reply, form: what the "person" answers; tests may change them.
    """

    def __init__(self, command: list[str], taps: Sequence[Path] = ()) -> None:
        self._command = command
        self._taps = taps
        self._stack = AsyncExitStack()
        self._news = anyio.Event()
        self.ledger = Ledger()
        self.notes: list[Any] = []
        self.questions: list[Any] = []
        self.roots = [types.Root.model_validate({"uri": "file:///work/project", "name": "project"})]
        self.reply = "A sampled reply"
        self.form: types.ElicitResult = types.ElicitResult(action="accept", content={"colour": "green"})
        self.session: ClientSession

    @classmethod
    def straight_to(cls, server: Entry) -> Self:
        """Return a client of this server, with nothing between."""
        return cls([server["command"], *server["args"]])

    @classmethod
    def through_dmcp(cls, directory: Path, **servers: Entry) -> Self:
        """Return a client of a dmcp in front of these servers; what dmcp and they say to each other is checked too.

        Args:
            directory: an empty directory for the configuration and the records.
            servers: by group.
        """
        entries = {name: tapped(entry, directory / f"{name}.tap") for name, entry in servers.items()}
        config = write_config(directory / "config.json", entries)
        return cls(dmcp_command(config), [directory / f"{name}.tap" for name in servers])

    async def __aenter__(self) -> Self:
        executable, *arguments = self._command
        parameters = StdioServerParameters(command=executable, args=arguments, env=dict(os.environ))
        errors = self._stack.enter_context(_Errors())
        try:
            reader, writer = await self._stack.enter_async_context(
                stdio_client(parameters, errlog=errors.writer)
            )
            session = ClientSession(
                _Tap(reader, self.ledger, "server"),
                _Tap(writer, self.ledger, "client"),
                read_timeout_seconds=WAIT,
                sampling_callback=self._sample,
                elicitation_callback=self._elicit,
                list_roots_callback=self._list_roots,
                message_handler=self._note,
                sampling_capabilities=types.SamplingCapability(),
            )
            self.session = await self._stack.enter_async_context(session)
            await self.session.initialize()
        except BaseException:
            print(errors.read()[-4000:], file=sys.stderr)  # noqa: T201 - pytest shows it with the failure
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The test's own error is not shown to the SDK: it would come back wrapped in a group for each of its tasks.
        await self._stack.aclose()
        if error is None:
            self.check()

    def check(self) -> None:
        """Fail unless every message was valid and every request was answered, once."""
        assert not self.ledger.problems, "\n".join(self.ledger.problems)
        assert not self.ledger.unanswered("client"), f"unanswered: {self.ledger.unanswered('client')}"
        for tap in self._taps:
            upstream = read_tap(tap)
            assert not upstream.problems, f"{tap.stem}: " + "\n".join(upstream.problems)

    def upstream(self, group: str) -> Ledger:
        """Return what has been said between dmcp and one of its servers so far."""
        return next(read_tap(tap) for tap in self._taps if tap.stem == group)

    async def heard_upstream(self, group: str, method: str, params: dict[str, Any] | None = None) -> None:
        """Wait until dmcp has said this to a server, with at least these params.

        Raises:
            AssertionError: it has not, after ``WAIT`` seconds.
        """
        with anyio.move_on_after(WAIT):
            while not self._has_heard(group, method, params or {}):  # noqa: ASYNC110 - a file has no event
                await anyio.sleep(0.02)
            return
        raise AssertionError(f"{group} has not heard {method} {params}")

    def _has_heard(self, group: str, method: str, params: dict[str, Any]) -> bool:
        said = (message for side, message in self.upstream(group).heard if side == "client")
        return any(m.get("method") == method and params.items() <= m.get("params", {}).items() for m in said)

    async def tools(self, group: str) -> list[dict[str, Any]]:
        """Return the whole definitions of a group's tools, page by page."""
        tools: list[dict[str, Any]] = []
        wanted = {"group": group, "detail": "full"}
        while True:
            result = await self.session.call_tool("get_dynamic_tools", wanted)
            first, *_ = texts_of(result)
            tools += json.loads(first)
            cursor = (result.meta or {}).get("dmcp/nextCursor")
            if cursor is None:
                return tools
            wanted["cursor"] = cursor

    async def call(self, group: str, name: str, args: Any = None, **options: Any) -> types.CallToolResult:
        """Call a tool through dmcp and return its result."""
        arguments = {"group": group, "name": name, "args": args if args is not None else {}}
        result: types.CallToolResult = await self.session.call_tool("call_dynamic_tool", arguments, **options)
        return result

    async def heard(self, matching: Callable[[Any], bool], within: float = WAIT) -> Any:
        """Return the first notification that matches, waiting for it if need be."""
        with anyio.move_on_after(within):
            while not (hits := [note for note in self.notes if matching(note)]):
                await self._news.wait()
            return hits[0]
        raise AssertionError(f"not heard within {within} s; heard: {self.notes}")

    async def _note(self, message: Any) -> None:
        self.notes.append(message)
        self._news.set()
        self._news = anyio.Event()

    async def _sample(
        self, context: Any, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult:
        self.questions.append(params)
        content = types.TextContent(type="text", text=self.reply)
        return types.CreateMessageResult(
            role="assistant", content=content, model="test-model", stop_reason="endTurn"
        )

    async def _elicit(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        self.questions.append(params)
        if isinstance(params, types.ElicitRequestURLParams):
            return types.ElicitResult(action="accept")
        return self.form

    async def _list_roots(self, context: Any) -> types.ListRootsResult:
        self.questions.append("roots/list")
        return types.ListRootsResult(roots=self.roots)


def texts_of(result: types.CallToolResult) -> list[str]:
    """Return the texts of a result."""
    return [content.text for content in result.content if isinstance(content, types.TextContent)]


def text_of(result: types.CallToolResult) -> str:
    """Return the text of a result that is one text."""
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text


class _Errors:
    """Where the process's stderr goes: a file, or in half of the tests a pipe that nobody reads. A context manager.

    Attributes:
        writer: what the process is given.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.writer: TextIO
        self._reader = -1

    def __enter__(self) -> Self:
        if sys.platform != "win32" and leaves_stderr_unread():
            self._reader, writer = os.pipe()
            self._stack.callback(os.close, self._reader)
            os.set_blocking(self._reader, False)
            self.writer = self._stack.enter_context(open(writer, "w", encoding="utf-8"))  # noqa: PTH123 - a descriptor
        else:
            # A cast, because on Windows it is a wrapper that only behaves like a file.
            self.writer = cast("TextIO", self._stack.enter_context(tempfile.TemporaryFile("w+")))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def read(self) -> str:
        """Return what was written, from a pipe as much of it as fits there."""
        if self._reader < 0:
            self.writer.seek(0)
            return self.writer.read()
        with suppress(BlockingIOError):
            return os.read(self._reader, 1 << 20).decode(errors="replace")
        return ""


class _Tap:
    """A stream of the SDK's that writes down what passes."""

    def __init__(self, stream: Any, ledger: Ledger, side: Side) -> None:
        self._stream = stream
        self._ledger = ledger
        self._side = side

    def _record(self, item: Any) -> None:
        if isinstance(item, Exception):
            self._ledger.problems.append(f"{self._side} said something the SDK cannot read: {item}")
        else:
            message = item.message.model_dump(by_alias=True, mode="json", exclude_unset=True)
            self._ledger.record(self._side, message)

    async def receive(self) -> Any:
        item = await self._stream.receive()
        self._record(item)
        return item

    async def send(self, item: Any) -> None:
        self._record(item)
        await self._stream.send(item)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        item = await self._stream.__anext__()
        self._record(item)
        return item

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stream.__aexit__(*error)
