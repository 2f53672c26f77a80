"""What dmcp says of a request that an upstream did not answer, of one it answered with an error, and of a sign-in."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from dmcp.protocol.jsonrpc import (
    ABSENT,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    UPSTREAM_FAILED,
    UPSTREAM_TIMEOUT,
    error_object,
)
from dmcp.protocol.limits import MAX_RESULT_SEARCHED
from dmcp.protocol.operations import CallTool, label
from dmcp.protocol.wire import encode, member_at
from dmcp.text import printable

if TYPE_CHECKING:
    from dmcp.protocol.jsonrpc import Body, Response
    from dmcp.protocol.operations import Operation

_LARGEST_CODE: Final = 2**53  # of an error: a client need not know larger integers (RFC 8259, 6)
_LONGEST_PATH = 1000  # characters of a configuration's path in an advised command
_SHOWN: Final = 300  # characters of a server's words in a reason or a line of the log
_LONGEST_CODE: Final = 64  # characters of a number that are read
_NUMBER: Final = frozenset(b"+-.0123456789Ee")


def _outcome(operation: Operation | None, *, may_have_run: bool) -> str:
    """Return what is known of a request, as the end of a sentence."""
    told = "; the call may have run, its outcome is unknown" if may_have_run else "; the call has not run"
    is_call = operation is None or isinstance(operation, CallTool)
    return told if is_call else told.replace("call", "request")


# A sign-in that is waited for -----------------------------------------------------------------------------------------


class SignIn(NamedTuple):
    """A sign-in that is waited for.

    Attributes:
        url: where the user is asked to sign in; empty when another dmcp process has asked them.
    """

    url: str = ""

    @property
    def state(self) -> str:
        """Return what the server is waiting for."""
        if self.url:
            return f"waiting for the person to sign in at {self.url}"
        return "waiting for another dmcp process, which is signing in to it"

    @property
    def action(self) -> str:
        """Return what has to be done before a call to the server can succeed."""
        if self.url:
            return f"sign in first, at {self.url}"
        return "another dmcp process is signing in to it: finish the sign-in in the browser, then try again"

    @property
    def timeout_hint(self) -> str:
        """Return why a call that was sent has got no answer in time, and what to do."""
        if self.url:
            return f"the server waits for a sign-in: ask the person to do it at {self.url}, then try again"
        return (
            "the server waits for a sign-in that another dmcp process has begun: ask the person to finish it in the"
            " browser, then try again"
        )


def sign_in_command(verb: str, group: str, config: str = "") -> str:
    """Return the command about a group's sign-in as a user types it in a shell, in backquotes.

    Args:
        verb: "login", "adopt" or "logout".
        group: the server's name.
        config: the configuration to be named; empty where the command finds it by itself.
    """
    named = f"{printable(shlex.quote(config), _LONGEST_PATH)} " if config else ""
    return f"`dmcp auth {verb} {named}{shlex.quote(group)}`"


def sign_in_request(group: str, url: str) -> str:
    """Return what a client that can open addresses shows the user: which server, and whose page they will see."""
    parts = urlsplit(url)
    page = printable(f"{parts.scheme}://{parts.netloc}", 200)
    return f"{printable(group, 100)}: sign in at {page} to use this MCP server."


# Requests that were not answered --------------------------------------------------------------------------------------


def timed_out(group: str, operation: Operation, seconds: float, sign_in: SignIn | None = None) -> bytes:
    """Return the error for a request whose deadline has passed, perhaps because the user has not signed in yet."""
    text = f"{group}: no answer to {label(operation)} within {seconds:g} s; the call was cancelled and may have run"
    if sign_in is not None:
        text += f"; {sign_in.timeout_hint}"
    return error_object(UPSTREAM_TIMEOUT, text)


def call_time_exceeded(group: str, operation: Operation, seconds: float) -> bytes:
    """Return the error for a call that has taken the longest it may, whatever progress it has shown."""
    text = (
        f"{group}: no answer to {label(operation)} within {seconds:g} s, the longest a call may take whatever "
        "progress it reports (limits.call_time in dmcp's configuration); the call was cancelled and may have run"
    )
    return error_object(UPSTREAM_TIMEOUT, text)


def too_many_subscriptions(group: str, limit: int, longest: int) -> bytes:
    """Return the error for a subscription beyond the bound."""
    text = (
        f"{group}: there may be {limit} subscriptions to its resources, with URIs of at most {longest} characters; "
        "unsubscribe from some"
    )
    return error_object(UPSTREAM_FAILED, text)


def no_listing(group: str, reason: str) -> bytes:
    """Return the error for what cannot be shown because the server does not say what it offers."""
    text = f"{group} is connected, but does not say what it offers: {reason}; dmcp asks again by itself"
    return error_object(UPSTREAM_FAILED, text)


def connection_lost(
    group: str, reason: str, *, may_have_run: bool, operation: Operation | None = None
) -> bytes:
    """Return the error for a request whose connection has gone."""
    outcome = _outcome(operation, may_have_run=may_have_run)
    return error_object(UPSTREAM_FAILED, f"{group}: {reason}{outcome}")


def unavailable(group: str, reason: str, operation: Operation | None = None) -> bytes:
    """Return the error for a request to a server that cannot be reached."""
    outcome = _outcome(operation, may_have_run=False)
    return error_object(UPSTREAM_FAILED, f"{group} is unavailable: {reason}{outcome}")


def group_unavailable(group: str, category: str, reason: str) -> bytes:
    """Return the error for ``get_dynamic_tools`` of a group that cannot be reached.

    The message is dmcp's own words, because it answers a question about dmcp itself; what the server wrote on its way
    down is in the data, for ``dmcp check`` and whoever else looks there.
    """
    text = f"{group} is unavailable: {category}"
    return error_object(UPSTREAM_FAILED, text, {"reason": reason} if reason else None)


def retry_expired(group: str, reason: str, operation: Operation, *, may_have_run: bool) -> bytes:
    """Return the error for a request that waited in vain for a server to come back."""
    if may_have_run:
        return connection_lost(group, reason, may_have_run=True, operation=operation)
    return unavailable(group, reason, operation)


def overloaded(group: str, limit: int) -> bytes:
    """Return the error for a request beyond the bound on calls in flight."""
    text = (
        f"{group} has {limit} calls in flight, the most dmcp sends it at once; try again when some are done"
    )
    return error_object(UPSTREAM_FAILED, text)


def unsendable(group: str, reason: str) -> bytes:
    """Return the error for a request that cannot be written down again."""
    text = f"Invalid params: {reason}; the call was not passed on to {group} and has not run"
    return error_object(INVALID_PARAMS, text)


def unreadable_response(group: str, reason: str) -> bytes:
    """Return the error for a request whose answer is no valid JSON-RPC."""
    return error_object(
        INTERNAL_ERROR, f"{group}: sent an answer that cannot be passed on ({reason}); the call has run"
    )


def name_group(group: str, answer: Response) -> Body:
    """Return an upstream's error object with the group named in its message, and every other byte as it was.

    One that is no error object (JSON-RPC 2.0, 5.1: an integer and a text) is written anew: a client may drop what it
    does not understand, and would wait for ever.
    """
    error, at, code = answer.error or b"{}", answer.message_at, error_code(answer)
    if at == -1:
        try:
            at = member_at(bytes(error), "message")
        except (KeyError, ValueError):
            at = ABSENT
    known = code is not None and abs(code) <= _LARGEST_CODE and code.is_integer()
    if not known or at < 0 or error[at : at + 1] != b'"':
        return error_object(
            int(code) if known and code else UPSTREAM_FAILED, f"{group}: {error_text(answer)}"
        )
    return b"".join((error[: at + 1], encode(f"{group}: ")[1:-1], error[at + 1 :]))


def error_code(answer: Response) -> float | None:
    """Return the code of an upstream's error, however the number is spelt; ``None`` when it has none.

    Not looked for in the bytes: ``-32042`` can be written as ``-3.2042e4``.
    """
    error, at = answer.error or b"{}", answer.code_at
    if at == -1:
        try:
            at = member_at(bytes(error), "code")
        except (KeyError, ValueError):
            return None
    if at < 0:
        return None
    spelt = bytes(error[at : at + _LONGEST_CODE])
    end = next((i for i, byte in enumerate(spelt) if byte not in _NUMBER), len(spelt))
    try:
        return float(spelt[:end])
    except ValueError:
        return None


def error_text(answer: Response) -> str:
    """Return what an upstream's error says, for the log and for reasons: as much as a user reads."""
    if answer.message_at >= 0:
        raw = bytes((answer.error or b"")[answer.message_at + 1 :][: 2 * _SHOWN])
        return printable(raw.decode("utf-8", "replace"), _SHOWN)
    value = answer.value if answer.message_at == -1 else None
    message = value.get("message") if isinstance(value, dict) else None
    return printable(message if isinstance(message, str) and message else _beginning(answer.error), _SHOWN)


def _beginning(error: Body | None) -> str:
    return bytes((error or b"")[:_SHOWN]).decode("utf-8", "replace")


def resources_named(answer: Response) -> tuple[str, ...]:
    """Return the URIs of the resources a tool's result links to or embeds. Of a large result nothing is said."""
    result = answer.result or b""
    if len(result) > MAX_RESULT_SEARCHED or b'"resource' not in bytes(result):
        return ()
    value = answer.value
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, list):
        return ()
    found = []
    for block in content:
        if not isinstance(block, dict):
            continue
        holder = block.get("resource") if block.get("type") == "resource" else block
        if block.get("type") in ("resource", "resource_link") and isinstance(holder, dict):
            found.append(holder.get("uri"))
    return tuple(uri for uri in found if isinstance(uri, str))
