"""Whether a command is dmcp itself, standing in front of a configuration: what ``dmcp install`` writes into a tool."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from dmcp.__main__ import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUNNERS = frozenset({"uvx", "uv", "pipx"})


def serves_dmcp(words: Sequence[str]) -> bool:
    """Whether these words start a dmcp that serves; ``dmcp fault`` and other commands of it do not."""
    stems = [PurePath(word.replace("\\", "/")).name.lower().removesuffix(".exe") for word in words]
    if "dmcp" not in stems:
        return False
    at = stems.index("dmcp")
    started = at == 0 or words[at - 1] == "-m" or stems[0] in _RUNNERS
    rest = [word for word in words[at + 1 :] if not word.startswith("-")]
    return started and not (rest and rest[0] in COMMANDS)
