"""What a server may ask of the client, and how it is put to the user: pure.

Every question to the user begins with the group that asks, in brackets; dmcp's own begin with ``DMCP``. No server
can write either: where its text would read like such a beginning it is marked as quoted. An address the user is asked
to open is https, or http to this machine.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unicodedata import normalize
from urllib.parse import urlsplit

from dmcp.protocol.jsonrpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    UPSTREAM_FAILED,
    error_object,
)
from dmcp.protocol.limits import (
    MAX_ELICITATIONS,
    MAX_ID,
    MAX_QUESTION,
    MAX_QUESTION_TEXT,
    MAX_SERVER_REQUEST,
    MAX_URL,
)
from dmcp.protocol.operations import CAPABILITY, Elicit, Sample, label
from dmcp.protocol.wire import encode
from dmcp.text import printable

if TYPE_CHECKING:
    from dmcp.config.model import Features
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.operations import Question

URL_NEEDED: Final = -32042
"""The error of a call that goes on when the user has opened an address (MCP 2025-11-25, URLElicitationRequired)."""

DMCP: Final = "dmcp: "
"""How dmcp's own dialogs begin."""

_QUOTED: Final = "> "
_LOOPBACK_NAME: Final = "localhost"
_NOT_IN_URLS: Final = ' \\"<>^`{|}'


class Refusal(NamedTuple):
    """Why a request of a server is not passed on: a JSON-RPC error code and a sentence."""

    code: int
    text: str


def switched_off(features: Features) -> frozenset[str]:
    """Return the client's capabilities that this server is not told of."""
    return frozenset(name for name in CAPABILITY.values() if not getattr(features, name))


def prepare(group: str, question: Question, features: Features, size: int) -> Question | Refusal:
    """Return the question as the client is asked it, or why it is not asked.

    Args:
        group: who asks.
        question: what the server asks.
        features: what the configuration lets it ask.
        size: bytes of the frame the question came in.
    """
    name, most = label(question), MAX_QUESTION if isinstance(question, Elicit) else MAX_SERVER_REQUEST
    if not getattr(features, CAPABILITY[type(question)]):
        return Refusal(METHOD_NOT_FOUND, f"Method not found: {name} is switched off in dmcp's configuration")
    if size > most:
        return Refusal(INVALID_PARAMS, f"Invalid params: {name} may have {most} bytes at most")
    params: JsonObject | Refusal = _plain(question.params)
    if isinstance(question, Elicit):
        params = _elicitation(group, question.params)
    elif isinstance(question, Sample):
        params = _sampling(question.params)
    return params if isinstance(params, Refusal) else question._replace(params=params)


def unknown(method: str) -> Refusal:
    """Return the refusal of what no server may ask."""
    return Refusal(METHOD_NOT_FOUND, f"Method not found: {printable(method, 100)}")


def _plain(params: JsonObject) -> JsonObject:
    """Leave out what dmcp does not declare: a task would have an id that is unique per server only."""
    return {key: value for key, value in params.items() if key != "task"} if "task" in params else params


def _sampling(params: JsonObject) -> JsonObject:
    # "thisServer" would be dmcp: the context of all groups. Nobody but the server itself can give it its own.
    if params.get("includeContext") == "thisServer":
        params = {**params, "includeContext": "none"}
    return _plain(params)


def _elicitation(group: str, params: JsonObject) -> JsonObject | Refusal:
    mode = params.get("mode", "form")
    if mode not in ("form", "url"):
        return Refusal(INVALID_PARAMS, "Invalid params: mode must be form or url")
    asked = {**_plain(params), "message": question(group, params.get("message"))}
    if mode == "form" and "url" not in params:
        return asked
    wrong = url_fault(params.get("url"))
    if wrong:
        return Refusal(INVALID_PARAMS, f"Invalid params: url {wrong}")
    identifier = params.get("elicitationId")
    if mode == "url" and not _is_elicitation_id(identifier):
        return Refusal(INVALID_PARAMS, f"Invalid params: elicitationId must be a text of 1 to {MAX_ID} bytes")
    if "elicitationId" in params:
        asked["elicitationId"] = elicitation_id(group, str(identifier))
    return asked


def _is_elicitation_id(identifier: Any) -> bool:
    return isinstance(identifier, str) and 0 < len(identifier) <= MAX_ID


def elicitation_id(group: str, identifier: str) -> str:
    """Return the id the client knows an elicitation by: those of two servers, or of dmcp, are never the same."""
    whose = group.replace("%", "%25").replace(":", "%3A")
    return f"{whose}:{identifier}"


def question(group: str, message: Any) -> str:
    """Return what the user is asked: who asks, and then the server's own words, made safe to show."""
    text = printable(message, MAX_QUESTION_TEXT, lines=True) if isinstance(message, str) else ""
    lines = [f"{_QUOTED}{line}" if _imitates(line) else line for line in text.split("\n")]
    return f"[{printable(group, 200)}] " + "\n".join(lines)


def _imitates(line: str) -> bool:
    """Return whether a line reads like the beginning of another group's question, or of dmcp's own dialog."""
    # Blanks, quotation marks, bullets and marks of emphasis before it do not change what it reads like.
    start = next((at for at, char in enumerate(line) if char.isalnum()), len(line))
    if any(normalize("NFKC", char).startswith("[") for char in line[:start]):
        return True
    return normalize("NFKC", line[start : start + 20]).casefold().startswith(DMCP.strip().rstrip(":"))


def url_fault(url: Any) -> str:
    """Return what is wrong with an address the user is asked to open, as the end of a sentence; empty if nothing."""
    if not isinstance(url, str) or not 0 < len(url) <= MAX_URL:
        return f"must be a text of 1 to {MAX_URL} characters"
    if not (url.isascii() and url.isprintable()) or any(char in _NOT_IN_URLS for char in url):
        return "has characters that no address has: they must be percent-encoded"
    return _address_fault(url)


def _address_fault(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is no address"
    if "@" in parts.netloc:
        return "must not hold a user name"
    if not host or "%" in host:
        return "names no host"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return ""
    return "must begin with https:// (or http:// on this machine)"


def _is_loopback(host: str) -> bool:
    try:
        return host == _LOOPBACK_NAME or ip_address(host).is_loopback
    except ValueError:
        return False


def names_addresses(value: JsonObject) -> bool:
    """Return whether an error object with the code ``URL_NEEDED`` has anything in the place of its addresses."""
    data = value.get("data")
    return isinstance(data, dict) and bool(data.get("elicitations"))


def url_error(group: str, value: object) -> tuple[bytes, list[str]]:
    """Return the error object of a call that wants the user to open addresses, and the server's ids of these.

    Addresses the user must not be sent to are left out; the rest is put as a question of this group's.

    Args:
        group: whose error it is.
        value: the server's error object with the code ``URL_NEEDED``; anything else if it could not be read.
    """
    value = value if isinstance(value, dict) else {}
    data = value.get("data")
    given = data.get("elicitations") if isinstance(data, dict) else None
    wanted: list[JsonObject] = []
    identifiers: list[str] = []
    for one in given[:MAX_ELICITATIONS] if isinstance(given, list) else ():
        if not isinstance(one, dict) or url_fault(one.get("url")) or one.get("mode", "url") != "url":
            continue
        identifier = one.get("elicitationId")
        if not isinstance(identifier, str) or not _is_elicitation_id(identifier):
            continue
        asked = {"message": question(group, one.get("message"))}
        wanted.append({**one, **asked, "elicitationId": elicitation_id(group, identifier)})
        identifiers.append(identifier)
    if not wanted or not isinstance(data, dict):
        text = f"{group}: wants an address opened that dmcp does not send anybody to"
        return error_object(UPSTREAM_FAILED, text), []
    message = f"{group}: {printable(str(value.get('message', '')))}"
    return encode({**value, "message": message, "data": {**data, "elicitations": wanted}}), identifiers
