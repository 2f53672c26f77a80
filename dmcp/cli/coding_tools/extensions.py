"""Extensions of Claude Desktop (MCPB, ``.mcpb`` and ``.dxt``): the manifest of an installed one as a server's entry.

Source: the manifest specification 0.3, and the directories of the application: ``Claude Extensions/ID/manifest.json``,
with what the user has chosen in ``Claude Extensions Settings/ID.json``. Not here: packed extensions, which nobody has
configured yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from dmcp.cli.coding_tools.fields import scalar
from dmcp.cli.coding_tools.formats import read_document
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from dmcp.cli.coding_tools.places import Machine

_VARIABLE: Final = re.compile(r"\$\{([\w./-]{1,200})\}")
_CHOICE: Final = "user_config."
_ENCRYPTED: Final = "__encrypted__"  # a secret in the keyring: what follows is of no use to another program


def is_manifest(contents: Mapping[str, Any]) -> bool:
    """Return whether a file is the manifest of an extension."""
    versions = (contents.get(key) for key in ("manifest_version", "dxt_version"))
    return any(isinstance(each, str) for each in versions) and isinstance(contents.get("server"), Mapping)


def entry_of_manifest(manifest: Mapping[str, Any], folder: Path, machine: Machine) -> dict[str, Any]:
    """Return the entry, with every variable filled in but those only the user knows; they stay ``${user_config.KEY}``.

    Args:
        manifest: the manifest.
        folder: the directory it is in.
        machine: for the platform, and the user's directories.
    """
    settings = _settings(folder)
    config = _table(_table(manifest, "server"), "mcp_config")
    config = {**config, **_table(_table(config, "platform_overrides"), machine.platform)}
    separator = machine.editor_variables()["pathSeparator"]
    known: dict[str, Any] = {"__dirname": str(folder), "pathSeparator": separator, "/": separator}
    known["HOME"] = str(machine.home)
    known |= {
        name.upper(): f"{machine.home}{separator}{name}" for name in ("Desktop", "Documents", "Downloads")
    }
    for key, about in _table(manifest, "user_config").items():
        value = _table(settings, "userConfig").get(key, _table({"": about}, "").get("default"))
        if isinstance(value, list):
            known[_CHOICE + key] = [_filled(scalar(item), known) for item in value]
        elif value is not None and not scalar(value).startswith(_ENCRYPTED):
            known[_CHOICE + key] = _filled(scalar(value), known)
    env = config.get("env")
    entry = {
        "command": _filled(config.get("command"), known),
        "args": _arguments(config.get("args"), known),
        "env": {name: _filled(text, known) for name, text in env.items()}
        if isinstance(env, Mapping)
        else env,
        "description": manifest.get("description"),
        "disabled": settings.get("isEnabled") is False,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _settings(folder: Path) -> Mapping[str, Any]:
    """Return what the user has chosen; nothing where that cannot be read."""
    try:
        return read_document(folder.parent.parent / "Claude Extensions Settings" / f"{folder.name}.json")
    except ConfigError:
        return {}


def _table(contents: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = contents.get(key)
    return found if isinstance(found, Mapping) else {}


def _arguments(args: Any, known: Mapping[str, Any]) -> Any:
    """Return the arguments; one that is nothing but a variable with several values becomes several."""
    if not isinstance(args, list):
        return args
    filled: list[Any] = []
    for arg in args:
        match = _VARIABLE.fullmatch(arg) if isinstance(arg, str) else None
        values = known.get(match[1]) if match else None
        filled += values if isinstance(values, list) else [_filled(arg, known)]
    return filled


def _filled(text: Any, known: Mapping[str, Any]) -> Any:
    """Return a text with the known variables filled in; the values are not looked at again."""
    if not isinstance(text, str):
        return text
    return _VARIABLE.sub(
        lambda match: found if isinstance(found := known.get(match[1]), str) else match[0], text
    )
