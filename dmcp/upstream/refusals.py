"""What a server says when it refuses: its own words for a person, and the refusals that mean something to a link. Pure.

The words come from a stranger: they are looked for by scanners, cut, and made safe to show. Not here: what follows.
"""

from __future__ import annotations

import html
import re
from typing import Any, Final

from pydantic_core import from_json

from dmcp.protocol.limits import MAX_REFUSAL
from dmcp.text import printable

SHOWN: Final = 300
"""Characters of a refusal that are shown."""
_NOT_FOUND: Final = 404
_UNSUPPORTED_VERSION: Final = -32022  # of JSON-RPC, in later revisions
_SESSION_STATUS: Final = frozenset({400, 404, 410, 422})
"""Statuses a server that no longer knows a session has been seen to answer with; all but 404 need the words as well."""
_RAW: Final = 4000  # characters that are made printable: much of them may be space
_DEPTH: Final = 3  # objects within objects that are looked into
_KEYS: Final = ("error_description", "message", "detail", "title", "error", "msg", "errors", "reason")
_ENVELOPE: Final = 2048  # bytes; an answer that says that a session is lost is no longer

_WORD: Final = re.compile(r"[a-z0-9_'-]+")  # one class: linear
_SESSION: Final = frozenset(
    {"session", "sessions", "session-id", "session_id", "sessionid", "mcp-session-id", "session's"}
)
_LOST: Final = frozenset(
    {
        *("absent", "closed", "dead", "deleted", "destroyed", "ended", "expired", "gone", "inactive"),
        *(
            "invalid",
            "lost",
            "missing",
            "no",
            "non-existent",
            "nonexistent",
            "obsolete",
            "removed",
            "required",
        ),
        *(
            "stale",
            "terminated",
            "timed",
            "unknown",
            "unrecognised",
            "unrecognized",
            "without",
            "doesn't",
            "isn't",
        ),
    }
)
_NEGATED: Final = frozenset(
    {"active", "available", "exist", "exists", "found", "initialised", "initialized", "known", "present"}
    | {"find", "locate", "resolve"}
    | {"provided", "recognised", "recognized", "specified", "supplied", "valid"}
)
_ABOUT_ARGUMENTS: Final = frozenset(
    {"argument", "arguments", "field", "parameter", "parameters", "params", "property", "quota"}
)
_BEGIN_ANEW: Final = frozenset({"re-initialize", "reinitialize", "uninitialised", "uninitialized"})
_NEAR: Final = 5  # words between "session" and what has become of it
_MOST_WORDS: Final = 60
_VERSION: Final = re.compile(r"\b20\d\d-\d\d-\d\d\b")


def words(body: bytes) -> str:
    """Return what a refusal's body says to a person, ready to be shown; empty where it says nothing.

    Taken from the usual members of a JSON document, from plain text, or from the title of a web page.
    """
    body = body[:MAX_REFUSAL]
    try:
        said = _from_document(from_json(body), _DEPTH)
    except ValueError:
        said = _from_text(body)
    return printable(" ".join(said[:_RAW].split()), SHOWN)


def forgets_session(status: int, body: bytes) -> bool:
    """Return whether a refusal of a request that named its session means that there is no such session any more.

    A 404 says so (MCP 2025-11-25, basic/transports, "Session Management"). Many servers say it with another status, the
    official examples among them: then the text has to speak of a session that is unknown, expired or missing.
    """
    return status == _NOT_FOUND or (status in _SESSION_STATUS and _says_session_is_lost(words(body)))


def answer_forgets_session(frame: bytes) -> bool:
    """Return whether an answer with HTTP 200 is the error of a server that no longer knows the session."""
    if len(frame) > _ENVELOPE or b'"error"' not in frame or not (b"ession" in frame or b"nitiali" in frame):
        return False
    try:
        message = from_json(frame)
    except ValueError:
        return False
    error = message.get("error") if isinstance(message, dict) else None
    # -32602 and -32603 are about the call: its parameters, its failure.
    if not isinstance(error, dict) or error.get("code") in {-32602, -32603}:
        return False
    return _says_session_is_lost(words(frame))


def refuses_revision(body: bytes) -> bool:
    """Return whether a refusal of ``initialize`` is about the protocol's revision: it may be asked with another one."""
    error = error_of(body) or {}
    data = error.get("data")
    if error.get("code") == _UNSUPPORTED_VERSION or (isinstance(data, dict) and "supported" in data):
        return True
    data = (error_of(body) or {}).get("data")
    if isinstance(data, dict) and "supported" in data:
        return True
    said = words(body).lower()
    return "version" in said or "revision" in said or _VERSION.search(said) is not None


def error_of(body: bytes) -> dict[str, Any] | None:
    """Return the error object of a refusal that is a JSON-RPC error, whatever id it bears."""
    try:
        content = from_json(body)
    except ValueError:
        return None
    error = content.get("error") if isinstance(content, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return None
    return error if isinstance(error.get("message"), str) else None


def _from_document(content: Any, depth: int) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        content = content[0] if content else None
    if isinstance(content, str):
        return content
    if not isinstance(content, dict) or depth == 0:
        return ""
    found = (_from_document(content[key], depth - 1) for key in _KEYS if key in content)
    return next((said for said in found if said.strip()), "")


def _from_text(body: bytes) -> str:
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if not text.startswith("<"):
        # What is no text is not worth showing.
        return "" if "\0" in text or text.count("\ufffd") > len(text) // 10 else text[:_RAW]
    lower = text.lower()
    start = lower.find("<title")
    opened = lower.find(">", start) if start >= 0 else -1
    closed = lower.find("</title", opened) if opened >= 0 else -1
    return html.unescape(text[opened + 1 : min(closed, opened + 1 + _RAW)]) if closed >= 0 else ""


def _says_session_is_lost(said: str) -> bool:
    found = _WORD.findall(said.lower())[:_MOST_WORDS]
    if ("initialized" in found and "not" in found) or ("initialization" in found and "before" in found):
        return True
    if not _BEGIN_ANEW.isdisjoint(found):
        return True
    if not _ABOUT_ARGUMENTS.isdisjoint(found) and "mcp-session-id" not in found:
        return False
    for at, word in enumerate(found):
        if word in _SESSION:
            near = found[max(0, at - _NEAR) : at + _NEAR + 1]
            negated = "not" in near or "cannot" in near or "could" in near
            if not _LOST.isdisjoint(near) or (negated and not _NEGATED.isdisjoint(near)):
                return True
    return False
