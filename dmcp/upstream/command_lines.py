"""Says why a command was not found, and how the configuration should have it. Not here: looking for it."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import Final

_OPERATORS: Final = frozenset({"&&", "||", "|", ";", "&", ">", "<", ">>", "cd", "export", "source", "exec"})
_VARIABLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_SECRETIVE: Final = re.compile(r"token|secret|passw|key|auth|credential", re.IGNORECASE)
_LONGEST: Final = 2000  # characters of a command that are looked at


def advice(command: str, args: int) -> str | None:
    """Return what is wrong with a command that was not found, and the mended line; ``None`` if nothing is to be seen.

    Args:
        command: as the configuration has it.
        args: how many arguments stand beside it.
    """
    command = command[:_LONGEST]
    words = _words(command)
    if len(words) > 1 or command != command.strip():
        return _of_line(command, words, args)
    if command.startswith("~"):
        return f'~ is not expanded: write "command": {json.dumps(os.path.expanduser(command))}'  # noqa: PTH111 - keeps the rest as it is
    if _VARIABLE.search(command):
        return f'$ alone is not filled in: write "command": {json.dumps(_braced(command))}'
    if command[:1] in "\"'" and words:
        return f'the quotes belong to a shell: write "command": {json.dumps(words[0])}'
    return None


def advice_on_directory(directory: str) -> str | None:
    """As ``advice``, for a working directory that does not exist."""
    if directory.startswith("~"):
        return f'~ is not expanded: write "cwd": {json.dumps(os.path.expanduser(directory))}'  # noqa: PTH111 - likewise
    if _VARIABLE.search(directory):
        return f'$ alone is not filled in: write "cwd": {json.dumps(_braced(directory))}'
    return None


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command, posix=sys.platform != "win32")
    except ValueError:  # a quote that does not end
        return command.split()


def _of_line(command: str, words: list[str], args: int) -> str:
    if not words:
        return "it is blank"
    if len(words) == 1:
        return f'there is a space around it: write "command": {json.dumps(words[0])}'
    if any(word in _OPERATORS or word.endswith(";") for word in words):
        line = json.dumps(["-c", " ".join(_masked(command.split()))])
        return f'it is a line for a shell: write "command": "sh", "args": {line}'
    given = [word for word in words if _ASSIGNMENT.match(word)]
    given = given[: next((at for at, word in enumerate(words) if word not in given), len(given))]
    program, *rest = [_expanded(word) for word in words[len(given) :]] or [""]
    more = f", and after them the {args} there are" if args else ""
    env = "".join(f', "{name}": "..."' for name in (word.partition("=")[0] for word in given))
    shown = f', "env": {{{env[2:]}}}' if env else ""
    mended = f'"command": {json.dumps(program)}, "args": {json.dumps(_masked(rest))}{shown}'
    return f"it is a whole command line: write {mended}{more}"


def _expanded(word: str) -> str:
    return _braced(os.path.expanduser(word) if word.startswith("~") else word)  # noqa: PTH111 - likewise


def _braced(text: str) -> str:
    return _VARIABLE.sub(r"${\1}", text)


def _masked(words: list[str]) -> list[str]:
    """The words without the values of options that sound like a secret: this is shown and logged."""
    shown: list[str] = []
    hides = False
    for word in words:
        name, sign, _ = word.partition("=")
        secretive = bool(_SECRETIVE.search(name)) and word.startswith("-")
        if hides and not word.startswith("-"):
            shown.append("...")
        else:
            shown.append(f"{name}=..." if secretive and sign else word)
        hides = secretive and not sign
    return shown
