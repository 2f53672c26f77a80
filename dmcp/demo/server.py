"""The least an MCP server over stdio needs: one request after the other, tools only.

It owns the conversation; what the tools do is the business of ``notes`` and ``units``. It is an example of a correct
server, not a library: no batches, no progress, no cancelling, since every tool here answers at once.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_REVISIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
_PARSE_ERROR: Final = -32700
_INVALID_REQUEST: Final = -32600
_METHOD_NOT_FOUND: Final = -32601
_INVALID_PARAMS: Final = -32602


class Refused(Exception):  # noqa: N818 - says what happened
    """A tool cannot do what it was asked to; the text says why, and is shown to the model."""


class _RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        run: gets the arguments, by name; returns the text of the answer, or raises ``Refused``. Its name is the
            tool's, its docstring the description; an argument without a default must be given.
        properties: the JSON schema of each argument.
        reads: whether it changes nothing.
    """

    run: Callable[..., str]
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reads: bool = True

    @property
    def required(self) -> list[str]:
        """Return the arguments that must be given."""
        parameters = signature(self.run).parameters.values()
        return [each.name for each in parameters if each.default is each.empty]

    def definition(self) -> dict[str, Any]:
        """Return the tool as ``tools/list`` shows it."""
        schema = {"type": "object", "properties": self.properties, "required": self.required}
        return {
            "name": self.run.__name__,
            "title": self.run.__name__.replace("_", " ").capitalize(),
            "description": self.run.__doc__ or "",
            "inputSchema": {**schema, "additionalProperties": False},
            "annotations": {"readOnlyHint": self.reads, "openWorldHint": False},
        }


def serve(name: str, tools: Iterable[Tool]) -> None:
    """Answer requests on standard input until it ends. Blocks."""
    by_name = {tool.run.__name__: tool for tool in tools}
    for line in sys.stdin.buffer:
        answer = _answer(name, by_name, line)
        if answer is not None:
            sys.stdout.buffer.write(json.dumps({"jsonrpc": "2.0", **answer}).encode() + b"\n")
            sys.stdout.buffer.flush()


def _answer(name: str, tools: Mapping[str, Tool], line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return {"id": None, "error": {"code": _PARSE_ERROR, "message": "Parse error"}}
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return {"id": None, "error": {"code": _INVALID_REQUEST, "message": "Invalid request"}}
    if "id" not in message:
        return None  # a notification
    try:
        return {
            "id": message["id"],
            "result": _result(name, tools, message["method"], message.get("params") or {}),
        }
    except _RpcError as error:
        return {"id": message["id"], "error": {"code": error.code, "message": str(error)}}


def _result(name: str, tools: Mapping[str, Tool], method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    match method:
        case "initialize":
            asked = params.get("protocolVersion")
            return {
                "protocolVersion": asked if asked in _REVISIONS else _REVISIONS[0],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": f"dmcp-demo-{name}", "version": "1"},
            }
        case "ping":
            return {}
        case "tools/list":
            return {"tools": [tool.definition() for tool in tools.values()]}
        case "tools/call":
            return _call(tools, params)
    raise _RpcError(_METHOD_NOT_FOUND, f"Method not found: {method}")


def _call(tools: Mapping[str, Tool], params: Mapping[str, Any]) -> dict[str, Any]:
    tool, arguments = tools.get(str(params.get("name"))), params.get("arguments") or {}
    if tool is None:
        raise _RpcError(_INVALID_PARAMS, f"Unknown tool: {params.get('name')}")
    try:
        _check(tool, arguments)
        return {"content": [{"type": "text", "text": tool.run(**arguments)}]}
    except Refused as refusal:
        return {"content": [{"type": "text", "text": str(refusal)}], "isError": True}


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "array": (list,),
}


def _check(tool: Tool, arguments: Any) -> None:
    """Check arguments by as much of JSON schema as the tools here use."""
    if not isinstance(arguments, dict):
        raise Refused("The arguments must be an object.")
    missing = [key for key in tool.required if key not in arguments]
    unknown = [key for key in arguments if key not in tool.properties]
    if missing or unknown:
        text = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(
            unknown
        )
        raise Refused(f"Wrong arguments ({'; '.join(text)}).")
    for key, value in arguments.items():
        wanted = tool.properties[key]["type"]
        if not isinstance(value, _TYPES[wanted]) or isinstance(value, bool):
            raise Refused(f"{key} must be of type {wanted}.")
        items = value if isinstance(value, list) else ()
        if not all(isinstance(item, str) for item in items):
            raise Refused(f"{key} must hold strings.")
