"""What a value must look like to be usable at all, once its references are filled in.

Each function says what is wrong, as a predicate that continues a sentence begun with the key, or ``None``.
No value is quoted: it may be a secret. Pure; not here: whether a server answers there.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_LINE: Final = re.compile(r"[\x00\r\n]")


def url_fault(url: str) -> str | None:
    """Check an absolute http or https URL with a host (RFC 3986)."""
    try:
        parts = urlsplit(url)
        has_host, _ = bool(parts.hostname), parts.port
    except ValueError:
        return "is not a valid URL: check its host and port"
    if parts.scheme not in ("http", "https"):
        return "must begin with http:// or https://"
    if not has_host:
        return "names no host: write it as https://HOST/PATH"
    if _CONTROL.search(url):
        return "has a blank or a control character in it: write it as %20, or remove it"
    return None


def url_secrets(url: str) -> set[str]:
    """Return what may be a credential in a URL: user, password and the query's values, raw and decoded."""
    try:
        parts = urlsplit(url)
        found = {parts.username or "", parts.password or ""}
    except ValueError:
        return set()
    found.update(pair.partition("=")[2] for pair in parts.query.split("&"))
    found.update(value for _, value in parse_qsl(parts.query))
    return (found | {unquote(value) for value in found}) - {""}


def header_fault(name: str, value: str) -> str | None:
    """Check a field name and value as HTTP allows them (RFC 9110, sections 5.1 and 5.5)."""
    if _TOKEN.fullmatch(name) is None:
        return "is not a valid header name: letters, digits and hyphens only"
    if _LINE.search(value):
        return "has a line break in its value: remove it"
    return None


def env_fault(name: str, value: str) -> str | None:
    """Check a variable as every platform allows it."""
    if "=" in name or "\0" in name:
        return 'is not a valid variable name: it must not hold "="'
    return text_fault(value)


def text_fault(value: str) -> str | None:
    """Check a text that is handed to a process."""
    return "has a NUL character in it: remove it" if "\0" in value else None


def filled_fault(value: str) -> str | None:
    """Check a text that is handed to a process and must not be empty."""
    return text_fault(value) if value else "is empty"
