"""Whether a command is dmcp itself, standing in front of a configuration: what ``dmcp install`` writes into a tool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

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


def is_dmcp(entry: Any) -> bool:
    """Whether a tool's entry, however the tool spells a command, starts a dmcp that serves."""
    if not isinstance(entry, Mapping):
        return False
    command, args = entry.get("command") or entry.get("cmd"), entry.get("args")
    words = [
        *(command if isinstance(command, list) else [command]),
        *(args if isinstance(args, list) else []),
    ]
    return serves_dmcp([word for word in words if isinstance(word, str)])
