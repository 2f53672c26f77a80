"""The server of the in-memory transport: a function with the tools that the contract calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator


def serve(frame: bytes) -> list[bytes]:
    """What the server sends because of one message."""
    message = from_json(frame)
    return [to_json({"jsonrpc": "2.0", **said}) for said in _said(message)] if "id" in message else []


def _said(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    params = message["params"]
    if message["method"] == "initialize":
        yield {"id": message["id"], "result": {"protocolVersion": params["protocolVersion"]}}
        return
    arguments = params["arguments"]
    match params["name"]:
        case "echo":
            text = arguments["text"]
        case "large":
            text = "x" * arguments["size"]
        case "count":
            text = f"{arguments['steps']} steps"
            for step in range(1, arguments["steps"] + 1):
                told = {"progress": step, "progressToken": params["_meta"]["progressToken"]}
                yield {"method": "notifications/progress", "params": told}
        case _:
            return  # it hangs
    yield {"id": message["id"], "result": {"content": [{"type": "text", "text": text}]}}
