"""The small MCP client behind the commands that try things out: it starts a real dmcp process and talks to it.

It takes the way every assistant takes, so that what a command shows is what an assistant gets. It declares no
capabilities, and therefore answers no questions of a server's. Not here: what the answers mean, and printing them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic_core import from_json, to_json

from dmcp import __version__
from dmcp.errors import InternalError, UpstreamError
from dmcp.protocol.pages import INCOMPLETE
from dmcp.protocol.tool_listing import NEXT_CURSOR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

REVISION: Final = "2025-11-25"
MAX_WAIT: Final = 600.0
"""Seconds. dmcp's own deadlines come first; this one is for a dmcp that hangs."""

_MAX_LINE = 80 * 1024 * 1024  # bytes; dmcp's messages are shorter
_INITIALIZE_TIMEOUT = 30.0  # seconds; dmcp takes a fraction of one
_EXIT_TIMEOUT = 20.0  # seconds dmcp gets to end its servers, after its input was closed
_METHOD_NOT_FOUND = -32601


class RpcError(UpstreamError):
    """A request was answered with an error. ``code``, ``data`` and the text are the answer's."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Unavailable(UpstreamError):  # noqa: N818 - says what is so
    """A group is not available. ``reason``: why, without the group's name."""

    def __init__(self, group: str, reason: str) -> None:
        super().__init__(f"{group} is unavailable: {reason}")
        self.reason = reason


def reason_of(error: UpstreamError) -> str:
    """Return why a group is not available, without its name where the error has that apart."""
    return error.reason if isinstance(error, Unavailable) else str(error)


_UV_CACHES = ("archive-v", "environments-v", "builds-v")  # in uv's cache, each with a number


def python(*arguments: str) -> list[str]:
    """Return how to start this interpreter so that it finds dmcp where this process found it, and nothing else.

    ``-P`` keeps modules that lie in the user's working directory from standing in for the standard library's.
    """
    found_here = Path(sys.path[0] or ".").resolve() == Path.cwd()
    return [sys.executable, *([] if found_here else ["-P"]), *arguments]


def runner() -> tuple[str, ...] | None:
    """Return how to run dmcp by the tool whose cache this process runs from; ``None`` if it is installed to stay.

    ``uvx`` and ``pipx run`` put a program where it is cleaned up some day, so that path must be written nowhere.
    """
    parts = [part.lower() for part in Path(sys.prefix).parts]
    for variable, command in (("UV_CACHE_DIR", ("uvx",)), ("PIPX_HOME", ("pipx", "run"))):
        given = os.environ.get(variable)
        folder = Path(given).absolute() / (".cache" if variable == "PIPX_HOME" else "") if given else None
        if folder is not None and Path(sys.prefix).is_relative_to(folder):
            return command
    in_cache = any(part in {".cache", "cache", "caches"} or part.startswith(_UV_CACHES) for part in parts)
    if (in_cache and "uv" in parts) or any(part.startswith(_UV_CACHES) for part in parts):
        return ("uvx",)
    return ("pipx", "run") if in_cache and "pipx" in parts else None


def dmcp_serving(config: Path | str) -> list[str]:
    """Return how to start a dmcp that serves this configuration."""
    return python("-m", "dmcp", str(config))


class Client:
    """One server process and the conversation with it: an asynchronous context manager, on asyncio.

    Entering starts the process and initializes it; leaving closes its input and waits for its end. Either way the
    process does not outlive the context.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        log_level: str | None = None,
        on_tools: Callable[[str, list[dict[str, Any]]], Awaitable[None]] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare.

        Args:
            command: the server to start.
            on_event: is given each line a dmcp writes to stderr, which is told to log everything as JSON; without it
                stderr is that of this process.
            log_level: dmcp's ``DMCP_LOG``, if it shall be another one than this process's.
            on_tools: is given each group whose tools were asked for, with their definitions.
            env: variables for the process besides those of this one.
        """
        self._command = list(command)
        self._on_event = on_event
        if on_event is not None:
            env = {**(env or {}), "DMCP_LOG": "debug", "DMCP_LOG_FORMAT": "json"}
        self._on_tools = on_tools
        self._env = {**os.environ, **({"DMCP_LOG": log_level} if log_level else {}), **(env or {})}
        self._process: asyncio.subprocess.Process
        self._input: asyncio.StreamWriter
        self._readers: list[asyncio.Task[None]] = []
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self.incomplete: dict[str, dict[str, str]] = {}
        """Groups whose listings may not be all that they offer: by kind, why."""
        self._gone: str | None = None

    def __repr__(self) -> str:
        return f"<Client {self._command} {len(self._waiting)} waiting>"

    async def __aenter__(self) -> Self:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE if self._on_event else None,
                env=self._env,
                start_new_session=True,  # Ctrl-C is for this process, which ends that one in order
                limit=_MAX_LINE,
            )
        except OSError as error:
            raise UpstreamError(f"{self._command[0]} does not start: {error.strerror}") from None
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise InternalError("a process was started without pipes")
        self._input = stdin
        self._readers = [
            asyncio.create_task(self._read_answers(stdout)),
            asyncio.create_task(self._read_errors(self._process.stderr)),
        ]
        try:
            await self._initialize()
        except BaseException:  # whatever it was, cancelling included: nobody else will end the process
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the server's input, wait for its end, and see to it if it does not come."""
        self._input.close()
        try:
            async with asyncio.timeout(_EXIT_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await asyncio.gather(*self._readers)

    async def request(
        self, method: str, params: Mapping[str, Any] | None = None, *, within: float = MAX_WAIT
    ) -> Any:
        """Return the result of a request.

        Raises:
            RpcError: it was answered with an error.
            InternalError: it was not answered, because the process has ended, or ``within`` so many seconds.
        """
        if self._gone is not None:
            raise InternalError(self._gone)
        self._last_id += 1
        answer = self._waiting[self._last_id] = asyncio.get_running_loop().create_future()
        self._send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params or {}})
        try:
            async with asyncio.timeout(within):
                return await answer
        except TimeoutError:
            raise InternalError(f"{method} was not answered within {within:g} s") from None

    async def list_all(self, kind: str, group: str | None = None) -> list[dict[str, Any]]:
        """Return all pages of a listing.

        Args:
            kind: "tools", "resources", "resources/templates" or "prompts".
            group: only the entries of this group (an extension of dmcp's).
        """
        params: dict[str, Any] = {} if group is None else {"group": group}
        key = "resourceTemplates" if kind == "resources/templates" else kind
        entries: list[dict[str, Any]] = []
        while True:
            page = await self.request(f"{kind}/list", params)
            self._note_incomplete(group, kind, page)
            entries += page[key]
            if not page.get("nextCursor"):
                return entries
            params["cursor"] = page["nextCursor"]

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of one of the tools the server shows. Its failure is a result too (``isError``)."""
        result: dict[str, Any] = await self.request("tools/call", {"name": tool, "arguments": arguments})
        return result

    async def group_tools(self, group: str) -> list[dict[str, Any]]:
        """Return the definitions of a group's tools, as dmcp shows them.

        Raises:
            UpstreamError: the group does not exist, or is not available; the text says why.
        """
        tools: list[dict[str, Any]] = []
        wanted = {"group": group, "detail": "full"}
        while True:
            try:
                result = await self.call("get_dynamic_tools", wanted)
            except RpcError as error:
                if isinstance(error.data, dict) and isinstance(reason := error.data.get("reason"), str):
                    raise Unavailable(group, reason) from None  # the user gets every detail
                raise
            text = result["content"][0]["text"]
            if result.get("isError"):
                raise UpstreamError(text)
            self._note_incomplete(group, "tools", result)
            tools += from_json(text)
            cursor = (result.get("_meta") or {}).get(NEXT_CURSOR)
            if cursor is None:
                break
            wanted["cursor"] = cursor
        if self._on_tools is not None:
            await self._on_tools(group, tools)
        return tools

    def _note_incomplete(self, group: str | None, kind: str, result: Mapping[str, Any]) -> None:
        why = (result.get("_meta") or {}).get(INCOMPLETE)
        if group is not None and why:
            self.incomplete.setdefault(group, {})[kind] = str(why)

    async def group_call(self, group: str, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of a group's tool."""
        return await self.call("call_dynamic_tool", {"group": group, "name": tool, "args": arguments})

    async def _initialize(self) -> None:
        me = {"name": "dmcp-cli", "version": __version__}
        params = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": me}
        await self.request("initialize", params, within=_INITIALIZE_TIMEOUT)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _send(self, message: Mapping[str, Any]) -> None:
        self._input.write(to_json(message) + b"\n")

    async def _read_answers(self, stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            with suppress(ValueError):  # a server that is not dmcp may print what is no JSON
                self._on_message(from_json(line))
        status = await self._process.wait()
        self._gone = f"the server process ended with status {status}"
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(InternalError(self._gone))

    def _on_message(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        if "method" not in message:
            self._on_answer(message)
        elif "id" in message and message["method"] == "ping":
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": {}})
        elif "id" in message:
            error = {
                "code": _METHOD_NOT_FOUND,
                "message": f"dmcp's command line does not do {message['method']}",
            }
            self._send({"jsonrpc": "2.0", "id": message["id"], "error": error})

    def _on_answer(self, message: Mapping[str, Any]) -> None:
        identifier = message.get("id")
        answer = self._waiting.pop(identifier, None) if isinstance(identifier, int) else None
        if answer is None or answer.done():
            return
        if "error" in message:
            error = message["error"]
            answer.set_exception(
                RpcError(error.get("code", 0), str(error.get("message", "")), error.get("data"))
            )
        else:
            answer.set_result(message.get("result"))

    async def _read_errors(self, stderr: asyncio.StreamReader | None) -> None:
        while stderr is not None and self._on_event is not None and (line := await stderr.readline()):
            try:
                event = from_json(line)
            except ValueError:  # the interpreter's own words, say
                event = None
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                self._on_event(event)
