"""``dmcp schema``: the JSON schema of the configuration file, for editors. Not here: the schema itself."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click
from pydantic_core import from_json, to_json

from dmcp.cli.writing import write_whole
from dmcp.errors import ConfigError
from dmcp.store import files

SCHEMA = "./dmcp.schema.json"
"""The ``$schema`` of a configuration: the file that ``write_beside`` puts next to it. An address on a network would tie
editing a file to a host, and to the newest dmcp instead of the one that is installed."""
_ALL_MAY_READ = 0o644
_LARGEST = 1024 * 1024  # bytes; the schema has a tenth of it
_TITLE = "dmcp configuration"
"""How a schema of any dmcp is told from somebody else's; ``dmcp.config.schema`` writes it."""


def rendered() -> str:
    """Return the schema as it is printed and as ``schema/dmcp.schema.json`` has it: two spaces, a final newline."""
    from dmcp.config.schema import json_schema  # noqa: PLC0415 - imports pydantic, which --help does not need

    return to_json(json_schema(), indent=2).decode() + "\n"


def write_beside(config: Path, *, links: files.Links = "follow") -> str:
    """Put the schema where the ``$schema`` of a configuration in this place says it is.

    The configuration is there by then, and works without its schema: what goes wrong is said, not raised. A link in its
    place is left alone: nobody has named it.

    Args:
        config: the configuration.
        links: whether the user has named it, so that the directories above it may be links.

    Returns:
        A sentence for the user.
    """
    path = config.with_name(SCHEMA.removeprefix("./"))
    if (path.exists() or path.is_symlink()) and not _is_a_schema_of_dmcp(path):
        return f"{path} was there already and is left as it is; dmcp schema --output writes the schema elsewhere."
    try:
        _write(path, below=None if links == "follow" else config.absolute().parent)
    except ConfigError as error:
        return f"{error} Without it, editors do not complete and check the configuration."
    return f"For editors, its schema is beside it: {path}"


def check_name(config: Path) -> None:
    """Check that a configuration can be put here, with its schema beside it.

    Raises:
        ConfigError: it cannot.
    """
    folder = config.expanduser().parent
    if not folder.exists():
        raise ConfigError(
            f"{config}: there is no directory {folder}: create it (mkdir -p), or name another file"
        )
    if config.name == SCHEMA.removeprefix("./"):
        raise ConfigError(f"{config}: this is where the schema of a configuration is put; name another file")


def _is_a_schema_of_dmcp(path: Path) -> bool:
    if path.is_symlink():
        return False
    try:
        found = from_json(files.read(path, _LARGEST))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("title") == _TITLE


def _write(path: Path, *, links: files.Links = "refuse", below: Path | None = None) -> None:
    text = rendered()
    with suppress(OSError):
        if files.read(path, _LARGEST) == text.encode():
            return
    write_whole(path, text, "write it elsewhere", keep=False, links=links, below=below, mode=_ALL_MAY_READ)


@click.command("schema", short_help="Print the JSON schema of the configuration file.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to this file instead.")
def schema_command(output: Path | None) -> None:
    """Print the JSON schema of the configuration file.

    Name a copy of it in the file's "$schema" key, and editors complete and check the file as it is written. dmcp init
    and dmcp import put one beside what they write; after an update of dmcp, this command makes it new.

    \b
    Examples:
      dmcp schema --output dmcp.schema.json
      dmcp schema | jq '.properties | keys'
    """  # noqa: D301 - \b is click's sign for "do not wrap", not a backslash to keep
    if output is None:
        click.echo(rendered(), nl=False)
        return
    _write(output.expanduser(), links="follow")
    click.echo(f"Wrote {output}.")
