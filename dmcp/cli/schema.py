"""``dmcp schema`` and ``dmcp init``: the configuration's JSON schema, for editors, and a configuration to start from.

Not here: the schema itself (``dmcp.config.schema``), and importing what other tools have (``import_``).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource
from pydantic_core import from_json, to_json

from dmcp.cli.client import python, runner
from dmcp.cli.context import USUAL_FILE
from dmcp.cli.trust import keep_own
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
    from dmcp.config.schema import json_schema  # noqa: PLC0415 - --help does not need it

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
    """Check that a configuration can be put here, with its schema beside it. Raises ``ConfigError``: it cannot."""
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


@click.command("schema")
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


_STARTER: Final = """\
// The MCP servers dmcp stands in front of. Comments and trailing commas are allowed here.
// Every key is explained in docs/configuration.md; `dmcp check` says whether all is well.
{
  "$schema": %(schema)s,
  "mcpServers": {
    // A local server. This one comes with dmcp, so that there is something to try; take it out when you like:
    //   dmcp call notes list_notes
    "notes": {
      "description": "Write, find, tag and change short notes (a demonstration, nothing is kept)",
      "command": %(command)s,
      "args": %(args)s,
    },

    // The official file server. It needs Node.
    // "files": {
    //   "description": "Read, write and search the files below a directory",
    //   "command": "npx",
    //   "args": ["-y", "@modelcontextprotocol/server-filesystem", "${HOME}/work"],
    // },

    // A remote server. Without "headers", dmcp signs in with the browser when the server asks for it.
    // "tickets": {
    //   "description": "Find, read and comment on tickets",
    //   "url": "https://tickets.example.com/mcp",
    //   "headers": { "Authorization": "Bearer ${TICKETS_TOKEN}" },
    //   "timeout": { "tools": "2m" },
    // },
  },
}
"""


def _notes() -> list[str]:
    """Return how to start the demonstration server, in words that are good for as long as the file."""
    where_python_is = {
        ("uvx",): ["uvx", "--from", "dmcp"],
        ("pipx", "run"): ["pipx", "run", "--spec", "dmcp"],
    }
    run = where_python_is.get(runner() or ())
    return [*run, "python", "-m", "dmcp.demo.notes"] if run else python("-m", "dmcp.demo.notes")


def _json(text: str) -> str:
    return to_json(text).decode()


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path), default=USUAL_FILE)
@click.option("--force", is_flag=True, help="Replace an existing file; it is kept as .bak.")
def init_command(file: Path, force: bool) -> None:
    """Write a commented configuration to FILE (dynamic-mcp.json, if none is given).

    Servers of another coding tool are better brought along with dmcp import.
    """
    if file.suffix == ".toml":
        raise ConfigError(
            f"{file}: the starter configuration is JSON with comments: choose a name in .json or .jsonc"
        )
    check_name(file)
    if file.exists() and not force:
        raise ConfigError(f"{file} exists: --force replaces it (it is kept as .bak), or name another file")
    command, *arguments = _notes()
    shown = {
        "schema": _json(SCHEMA),
        "command": _json(command),
        "args": f"[{', '.join(map(_json, arguments))}]",
    }
    named = click.get_current_context().get_parameter_source("file") != ParameterSource.DEFAULT
    links: files.Links = "follow" if named else "refuse"
    text = _STARTER % shown
    below = None if named else file.absolute().parent
    backup = write_whole(file, text, "name another file", links=links, below=below)
    if not named:
        keep_own(file, text)
    click.echo(f"Wrote {file}." + (f" The earlier file is kept as {backup}." if backup else ""))
    click.echo(write_beside(file, links=links))
    click.echo(f"Next: dmcp check {file}")
