"""What dmcp does about arguments that do not fit their tool: repair what can mean one thing, explain the rest. Pure.

Asked only for a call that looks unusual, before it is sent, or that has failed, afterwards. A call is never sent twice
because of what is found here: the model decides. Not here: what a schema says (``dmcp.protocol.schemas``).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dmcp.protocol import schemas
from dmcp.protocol.hints import close_matches, quoted
from dmcp.protocol.limits import MAX_EXPLAINED
from dmcp.protocol.loose_calls import split_name
from dmcp.protocol.operations import Error, Result
from dmcp.protocol.wire import decode, decode_bounded, encode, is_raw, member, with_member
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.operations import CallTool, Outcome
    from dmcp.protocol.schemas import Misfit

_FAILED: Final = re.compile(rb'"isError"\s*:\s*true')
_ABOUT_PARAMS: Final = (
    -32602,
    -32603,
    -32600,
)  # of JSON-RPC: servers use all three for arguments that do not fit
_MOST_TEXT: Final = 1500  # characters of an explanation
_SHOWN: Final = 80  # characters of a name
_NEAR: Final = 0.6  # what names must have in common: a wrong hint costs a call
_COUNTED: Final = 256
_AGAIN: Final = 3  # the same failure so often is said


def repaired(group: str, operation: CallTool, tools: Sequence[JsonObject]) -> CallTool:
    """Return the call as it can only be meant: without the group's name in the tool's, which no tool has so.

    Texts are replaced that can only stand for a number, a truth value, a list or an object.

    Args:
        group: the server's.
        operation: the call.
        tools: what the server offers.
    """
    tool = find(operation.name, tools)
    if tool is None and (split := split_name(operation.name, (group,))) is not None:
        tool = find(split[1], tools)
        operation = operation if tool is None else operation._replace(name=split[1])
    schema = tool.get("inputSchema") if tool is not None else None
    if not isinstance(schema, dict):
        return operation
    arguments = schemas.repaired(operation.arguments, schema)
    return operation if arguments is operation.arguments else operation._replace(arguments=arguments)


def explained(operation: CallTool, outcome: Outcome, tool: JsonObject | None, times: int) -> Outcome:
    """Return a failed outcome with what does not fit the tool's schema in words, where there is something to say.

    Args:
        operation: the call.
        outcome: of it, from its server.
        tool: its definition; ``None`` if it is not known.
        times: how often the same call has failed in the same way.
    """
    try:
        if not _is_failure(outcome) or tool is None:
            return outcome
        found = _misfits(operation, tool)
        if not found and times < _AGAIN:
            return outcome
        return _with_text(outcome, _explanation(operation, tool, found, times))
    except (ValueError, KeyError):  # a result or arguments that cannot be read
        return outcome


def find(name: str, tools: Sequence[JsonObject]) -> JsonObject | None:
    """Return the tool of this name."""
    return next((tool for tool in tools if tool["name"] == name), None)


class Failures:
    """Counts calls that have failed in the same way, the last ``_COUNTED`` of them."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[int, str, str, bytes], int] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Failures {len(self._counts)}>"

    def count(self, client: int, group: str, operation: CallTool, outcome: Outcome) -> int:
        """Take note of one more failure; returns how often this client has had it with this call."""
        arguments = operation.arguments
        digest = sha256(bytes(arguments) if is_raw(arguments) else encode(arguments))
        digest.update(outcome.body if isinstance(outcome, Result | Error) else b"")
        key = (client, group, operation.name, digest.digest())
        self._counts[key] = times = self._counts.pop(key, 0) + 1
        if len(self._counts) > _COUNTED:
            self._counts.popitem(last=False)
        return times


def _is_failure(outcome: Outcome) -> bool:
    if isinstance(outcome, Result):
        return (
            _FAILED.search(outcome.body) is not None
            and decode(member(bytes(outcome.body), "isError")) is True
        )
    return isinstance(outcome, Error) and decode(member(bytes(outcome.body), "code")) in _ABOUT_PARAMS


def _misfits(operation: CallTool, tool: JsonObject) -> list[Misfit]:
    arguments = operation.arguments
    if is_raw(arguments):
        text = bytes(arguments)
        arguments = decode_bounded(text) if len(text) <= MAX_EXPLAINED else None
    schema = tool.get("inputSchema")
    return (
        schemas.misfits(arguments, schema) if isinstance(arguments, dict) and isinstance(schema, dict) else []
    )


def _explanation(operation: CallTool, tool: JsonObject, found: Sequence[Misfit], times: int) -> str:
    from dmcp.protocol.signatures import signature  # noqa: PLC0415 - seldom needed

    parts = []
    if times >= _AGAIN:
        again = (
            ""
            if found
            else " The arguments fit the tool's schema: something else is wrong, so change the call."
        )
        parts.append(f"This call has failed {times} times in the same way.{again}")
    if found:
        parts.append("The arguments do not fit the tool's schema:")
        parts += [f"- {_line(misfit, found, operation)}" for misfit in found]
        parts.append(f"Signature: {signature(tool)}")
    return printable("\n".join(parts), _MOST_TEXT, lines=True)


def _line(misfit: Misfit, found: Sequence[Misfit], operation: CallTool) -> str:
    *above, last = misfit.path or ("the arguments",)
    where = _spelt((*above, last))
    if misfit.problem == "missing":
        others = [
            str(one.path[-1])
            for one in found
            if one.problem == "unknown" and one.path[:-1] == misfit.path[:-1]
        ]
        others = others or _unknown_names(operation, misfit)
        meant = close_matches(str(last), others, _NEAR)
        return f"{where} is missing" + (f"; is {quoted(meant[0])} meant for it?" if meant else "")
    if misfit.problem == "unknown":
        near = close_matches(str(last), misfit.known, _NEAR)
        hint = f"did you mean {' or '.join(map(quoted, near))}?" if near else ""
        if not near and misfit.known:
            hint = f"it takes {', '.join(printable(name, _SHOWN) for name in misfit.known[:12])}"
        return f"{where} is not a parameter" + (f"; {hint}" if hint else "")
    return f"{where} {misfit.problem}"


def _unknown_names(operation: CallTool, misfit: Misfit) -> list[str]:
    """Return the names that were given in the same place and the schema does not have: many schemas allow any name."""
    given = operation.arguments
    given = decode_bounded(bytes(given)) if is_raw(given) else given
    for key in misfit.path[:-1]:
        given = given[key]
    return [name for name in given if name not in misfit.known]


def _spelt(path: Sequence[str | int]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{printable(part, _SHOWN)}"
    return text


def _with_text(outcome: Outcome, text: str) -> Outcome:
    """Return the outcome with one text more: a block of its own in a result, the end of the message in an error."""
    body = bytes(outcome.body) if isinstance(outcome, Result | Error) else b""
    if isinstance(outcome, Error):
        message = decode(member(body, "message"))
        return Error(with_member(body, "message", encode(f"{message}\nNote from dmcp: {text}")))
    block = encode({"type": "text", "text": f"Note from dmcp: {text}"})
    content = member(body, "content").strip()
    if content[:1] != b"[":
        return outcome
    blocks: Any = content[1:-1].strip()
    return Result(with_member(body, "content", b"[%b%b%b]" % (blocks, b"," if blocks else b"", block)))
