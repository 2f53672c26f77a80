"""``dmcp init``: write a configuration to start from. Not here: importing what other tools have (``import_``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource
from pydantic_core import to_json

from dmcp.cli.client import python, runner
from dmcp.cli.context import USUAL_FILE
from dmcp.cli.schema import SCHEMA, check_name, write_beside
from dmcp.cli.trust import keep_own
from dmcp.cli.writing import write_whole
from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from dmcp.store import files

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


@click.command("init", short_help="Write a commented configuration to start from.")
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
