"""The client's requests: which there are, what their params must be, and what of them goes to an upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dmcp.errors import DownstreamError
from dmcp.protocol.jsonrpc import INVALID_PARAMS
from dmcp.protocol.limits import MAX_ID

if TYPE_CHECKING:
    from dmcp.protocol.jsonrpc import JsonObject

LISTS: Final = frozenset({"tools/list", "resources/list", "resources/templates/list", "prompts/list"})
ROUTED: Final = frozenset(
    {"resources/read", "resources/subscribe", "resources/unsubscribe", "prompts/get", "completion/complete"}
)
LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

KNOWN: Final = LISTS | ROUTED | {"initialize", "logging/setLevel", "ping", "tools/call"}


def text(params: JsonObject, name: str, where: str = "") -> str:
    """A parameter that must be a string.

    Raises:
        DownstreamError: it is missing or something else.
    """
    value = params.get(name)
    if not isinstance(value, str):
        raise DownstreamError(INVALID_PARAMS, f"Invalid params: {where}{name} must be a string")
    return value


def mapping(params: JsonObject, name: str) -> JsonObject:
    """A parameter that must be an object if it is there.

    Raises:
        DownstreamError: it is something else.
    """
    value = params.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DownstreamError(INVALID_PARAMS, f"Invalid params: {name} must be an object")
    return value


def log_level(params: JsonObject) -> str:
    """The level of a ``logging/setLevel``.

    Raises:
        DownstreamError: it is not one of RFC 5424's eight.
    """
    level = text(params, "level")
    if level not in LOG_LEVELS:
        raise DownstreamError(INVALID_PARAMS, f"Invalid params: level must be one of {', '.join(LOG_LEVELS)}")
    return level


def is_loud_enough(level: object, threshold: str | None) -> bool:
    """Whether a log message of a server passes the level the client has asked for. Unknown levels pass."""
    if threshold is None or level not in LOG_LEVELS:
        return True
    return LOG_LEVELS.index(str(level)) >= LOG_LEVELS.index(threshold)


def take_progress_token(params: JsonObject) -> tuple[str | int | None, JsonObject]:
    """The client's progress token, and the params without it: upstreams get tokens of dmcp's own."""
    meta = params.get("_meta")
    if not isinstance(meta, dict) or "progressToken" not in meta:
        return None, params
    token = meta["progressToken"]
    rest = {key: value for key, value in meta.items() if key != "progressToken"}
    lean = {key: value for key, value in params.items() if key != "_meta"}
    if rest:
        lean["_meta"] = rest
    kept = isinstance(token, int) or (isinstance(token, str) and len(token) <= MAX_ID)
    return (token if kept else None), lean


def upstream_call(params: JsonObject, name: str, arguments: Any) -> JsonObject:
    """The params of the upstream's ``tools/call`` for a ``call_dynamic_tool`` with these params."""
    kept = {key: value for key, value in params.items() if key not in ("name", "arguments", "task")}
    return {"name": name, "arguments": arguments, **kept}
