"""Recognize dmcp itself among a tool's servers: what ``dmcp install`` writes there is not to be imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from dmcp.__main__ import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUNNERS = frozenset({"uvx", "uv", "pipx"})
_VERBS = frozenset({"tool", "run", "x"})
_WITH_VALUE = frozenset(
    (
        *(
            "--from",
            "--with",
            "--with-editable",
            "--with-requirements",
            "--python",
            "-p",
            "--spec",
            "--index",
        ),
        *("--index-url", "--extra-index-url", "--directory", "--project", "--cache-dir", "--config-file"),
        *("--env-file", "--pip-args", "-i"),
    )
)
"""Options of the runners that take the next word."""
_PACKAGE = re.compile(r"dmcp(\[[\w,-]*\])?([=@~<>!].*)?")


def serves_dmcp(words: Sequence[str]) -> bool:
    """Return whether these words start a dmcp that serves; ``dmcp fault`` and its other commands do not.

    A path with the name in it is something a server works on, unless it is the program.
    """
    words = _without_wrapper(words)
    if not words:
        return False
    program = _stem(words[0])
    rest: Sequence[str]
    if program == "dmcp":
        rest = words[1:]
    elif program in _RUNNERS:
        found = _run_by(words[1:])
        if found is None:
            return False
        rest = found
    elif program.startswith(("python", "pypy", "py")) and ("-m", "dmcp") in pairwise(words):
        rest = words[list(pairwise(words)).index(("-m", "dmcp")) + 2 :]
    else:
        return False
    rest = [word for word in rest if not word.startswith("-")]
    return not (rest and rest[0] in COMMANDS)


def _run_by(words: Sequence[str]) -> Sequence[str] | None:
    """Return what follows dmcp in the words of a runner; ``None`` if it runs something else."""
    at = 0
    while at < len(words):
        word = words[at]
        if word in _WITH_VALUE:
            at += 2
        elif word == "-m" and words[at + 1 : at + 2] == ["dmcp"]:
            return words[at + 2 :]
        elif word.startswith("-") or word in _VERBS:
            at += 1
        elif _stem(word).startswith("python"):
            return words[at + 3 :] if list(words[at + 1 : at + 3]) == ["-m", "dmcp"] else None
        else:
            return words[at + 1 :] if _PACKAGE.fullmatch(word) else None
    return None


def _without_wrapper(words: Sequence[str]) -> list[str]:
    """Return the words without ``env A=1`` and ``cmd /c`` before them."""
    rest = list(words)
    while rest:
        stem = _stem(rest[0])
        if stem == "env" or (len(rest) > 1 and stem == "cmd" and rest[1].lower() == "/c"):
            rest = rest[2 if stem == "cmd" else 1 :]
            while stem == "env" and rest and "=" in rest[0]:
                rest = rest[1:]
        else:
            break
    return rest


def _stem(word: str) -> str:
    return PurePath(word.replace("\\", "/")).name.lower().removesuffix(".exe")


def is_dmcp(entry: Any) -> bool:
    """Return whether a tool's entry, however the tool spells a command, starts a dmcp that serves."""
    if not isinstance(entry, Mapping):
        return False
    command, args = entry.get("command") or entry.get("cmd"), entry.get("args")
    words = [
        *(command if isinstance(command, list) else [command]),
        *(args if isinstance(args, list) else []),
    ]
    return serves_dmcp([word for word in words if isinstance(word, str)])
