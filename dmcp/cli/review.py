"""Show what a configuration starts, reaches and sends, for a user who decides whether to trust it.

Whoever wrote the file may want something in it to be overlooked. So nothing that can be a program text is masked as a
secret (``sh -c "TOKEN=x; ..."``), every variable that is sent is named, words with spaces are quoted, and what is too
long is cut in the middle, with a digest: a change anywhere is seen.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from dmcp.config import redaction
from dmcp.config.references import resolve
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LONGEST_WORD: Final = 600
_LONGEST_LINE: Final = 4000
_PROGRAM_TEXT: Final = re.compile(r"[\s;&|<>()`\"'\\]|\$(?!\{[A-Za-z_][A-Za-z0-9_]*\})")
"""What a token is not made of, and a program text is."""

_SCHEME: Final = re.compile(r"(?:Bearer|Basic|token) ", re.IGNORECASE)
_SIGNING_IN: Final = (
    "issuer",
    "client_id",
    "client_secret",
    "private_key_file",
    "client_metadata_url",
    "resource",
)


def described(values: Mapping[str, Any]) -> dict[str, str]:
    """Return a line for each server of a configuration as it is written; secrets masked."""
    servers = values.get("mcpServers")
    entries = servers.items() if isinstance(servers, dict) else ()
    return {str(name): described_server(entry) for name, entry in entries}


def described_server(entry: Any) -> str:
    """Return the line for one entry."""
    if not isinstance(entry, dict):
        return "is no server"
    parts = [_reached(entry) if entry.get("url") is not None else _started(entry)]
    for key, word in (("env", "with"), ("headers", "sending")):
        if isinstance(given := entry.get(key), dict) and given:
            parts.append(f"{word} {_pairs(given)}")
    if isinstance(oauth := entry.get("oauth"), dict):
        given = {key: oauth[key] for key in _SIGNING_IN if key in oauth}
        parts += [f"signing in with {_pairs(given)}"] if given else []
    if entry.get("enabled") is False:
        parts.append("switched off")
    return printable(_cut(", ".join(parts), _LONGEST_LINE), None)


def _started(entry: Mapping[str, Any]) -> str:
    args = entry.get("args")
    words = _arguments([str(arg) for arg in args] if isinstance(args, list) else [])
    place = f" (in {_word(str(entry['cwd']))})" if entry.get("cwd") else ""
    return f"runs: {' '.join([_word(str(entry.get('command', ''))), *words])}{place}"


def _reached(entry: Mapping[str, Any]) -> str:
    url = str(entry["url"])
    shown = redaction.address(url)
    return f"connects to {_word(_with_variables(shown, url))}"


def _arguments(args: Sequence[str]) -> list[str]:
    shown = redaction.arguments(args, _is_program_text)
    return [_word(_with_variables(text, arg)) for arg, text in zip(args, shown, strict=True)]


def _pairs(given: Mapping[str, Any]) -> str:
    parts = []
    for name, value in given.items():
        text = value if isinstance(value, str) else json.dumps(value)
        (shown,) = redaction.named_values({str(name): text}).values()
        if shown != text and _is_program_text(_SCHEME.sub("", text)):
            shown = text
        parts.append(f"{name}={_word(_with_variables(shown, text))}")
    return " ".join(parts)


def _is_program_text(part: str) -> bool:
    return _PROGRAM_TEXT.search(part) is not None


def _with_variables(shown: str, text: str) -> str:
    """Return what is shown of a text, with the variables that masking has hidden."""
    hidden = [f"${{{name}}}" for name in dict.fromkeys(resolve(text, {}).names) if f"${{{name}" not in shown]
    return shown + "".join(hidden)


def _word(text: str) -> str:
    text = _cut(text, _LONGEST_WORD)
    return json.dumps(text, ensure_ascii=False) if not text or any(sign.isspace() for sign in text) else text


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    end = limit // 4
    return f"{text[: limit - end]} [{len(text) - limit:,} characters more, {digest}] {text[-end:]}"
