"""``dmcp schema``: the JSON schema of the configuration file, for editors. Not here: the schema itself."""

from __future__ import annotations

import click
from pydantic_core import to_json


def rendered() -> str:
    """The schema as it is printed and as ``schema/dmcp.schema.json`` has it: two spaces, a final newline."""
    from dmcp.config.schema import json_schema  # noqa: PLC0415 - imports pydantic, which --help does not need

    return to_json(json_schema(), indent=2).decode() + "\n"


@click.command("schema", short_help="Print the JSON schema of the configuration file.")
def schema_command() -> None:
    """Print the JSON schema of the configuration file.

    Name a copy of it in the file's "$schema" key, and editors complete and check the file as it is written.

    \b
    Example:
      dmcp schema > dmcp.schema.json
    """  # noqa: D301 - \b is click's sign for "do not wrap", not a backslash to keep
    click.echo(rendered(), nl=False)
