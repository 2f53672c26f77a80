"""Entries made fit for a terminal: what may be a secret is masked, what refers to one is shown.

For looking at only; nothing masked is ever written to a file.
"""

from __future__ import annotations

import re
from typing import Any

MASK = "***"
_REFERENCE_ONLY = re.compile(r"(?:Bearer |Basic |token )?(?:\$\{[A-Za-z_][A-Za-z0-9_]*\})+")
_TELLING = re.compile(r"token|secret|passw|key|auth|credential|pat\b|bearer|header|cookie", re.IGNORECASE)
_OPAQUE = re.compile(
    r"(?=.*\d)[A-Za-z0-9+/_=.~-]{20,}|(?:sk|gh[pousr]|xox[a-z]|glpat|eyJ)[-_A-Za-z0-9]{8,}.*"
)


def redacted(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with the values of env, headers, secrets, telling arguments and URL queries masked."""
    shown = dict(entry)
    for key in ("env", "headers"):
        if key in shown:
            shown[key] = {name: _value(value) for name, value in shown[key].items()}
    if "args" in shown:
        shown["args"] = arguments(shown["args"])
    if "url" in shown:
        shown["url"] = address(shown["url"])
    if "oauth" in shown and "client_secret" in shown["oauth"]:
        shown["oauth"] = {**shown["oauth"], "client_secret": _value(shown["oauth"]["client_secret"])}
    return shown


def named_values(pairs: dict[str, str]) -> dict[str, str]:
    """Variables or headers, those masked whose name tells of a secret or whose value looks like one."""
    return {
        name: _value(value) if _TELLING.search(name) or _OPAQUE.fullmatch(value) else value
        for name, value in pairs.items()
    }


def arguments(args: list[str]) -> list[str]:
    """Arguments, those masked that look like a secret or follow an option that names one."""
    shown = []
    after_telling = False
    for arg in args:
        option, equals, value = arg.partition("=")
        if after_telling and not arg.startswith("-"):
            shown.append(_value(arg))
        elif equals and _TELLING.search(option):
            shown.append(f"{option}={_value(value)}")
        elif "://" in arg:
            shown.append(address(arg))
        else:
            shown.append(MASK if _OPAQUE.fullmatch(value or arg) and "/" not in arg[:1] else arg)
        after_telling = arg.startswith("-") and not equals and bool(_TELLING.search(arg))
    return shown


def address(url: str) -> str:
    """A URL without what may identify a person: user, password, query and fragment."""
    shown = re.sub(r"//[^/@]*@", f"//{MASK}@", url)
    return re.sub(r"[?#].*", f"?{MASK}", shown)


def _value(value: str) -> str:
    return value if _REFERENCE_ONLY.fullmatch(value) else MASK
