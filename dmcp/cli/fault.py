"""``dmcp fault``: the command line of the misbehaving server. What it does is the business of ``dmcp.fault``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic_core import from_json, to_json

from dmcp.errors import ConfigError

if TYPE_CHECKING:
    from dmcp.fault.script import Script

_EPILOG = """\b
Examples:
  dmcp fault --list
  dmcp fault --script examples/fault/flaky.json
  dmcp fault --fault "crash on=call when=during times=1" --journal /tmp/faults.jsonl
  dmcp fault --fault slow -a on=list -a 'delay={"uniform":[0.1,2]}' --http 8000
  dmcp fault --fault "garbage on=call" --wrap -- npx -y some-mcp-server
"""


@click.command("fault", epilog=_EPILOG)
@click.option("--script", "path", type=click.Path(path_type=Path), help="The fault script to run.")
@click.option(
    "--fault", "flags", multiple=True, metavar="NAME [KEY=VALUE ...]", help="One fault; repeatable."
)
@click.option("-a", "--arg", "arguments", multiple=True, metavar="KEY=VALUE", help="An argument of --fault.")
@click.option(
    "--http", "port", type=click.IntRange(0, 65535), metavar="PORT", help="Streamable HTTP; 0: any port."
)
@click.option("--seed", type=int, help="Reproduce a run by the seed it printed.")
@click.option("--journal", type=click.Path(), metavar="FILE", help="Keep counts here, over restarts too.")
@click.option("--wrap", is_flag=True, help="Put the faults in front of the server COMMAND starts.")
@click.option("--list", "listing", is_flag=True, help="Show all faults and where they act.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of a fault script.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def fault_command(
    *,
    path: Path | None,
    flags: tuple[str, ...],
    arguments: tuple[str, ...],
    port: int | None,
    seed: int | None,
    journal: str | None,
    command: tuple[str, ...],
    wrap: bool,
    listing: bool,
    schema: bool,
) -> None:
    """Run an MCP server that misbehaves, to test MCP clients with.

    It serves stdio, or Streamable HTTP with --http. Without a fault it is a correct little server. The seed is
    printed on stderr and reproduces the run.

    Exit status: 0 the client left, 2 a mistake in the script or on the command line, else what a fault says.
    """
    if listing or schema:
        click.echo(_documents(listing=listing), nl=False)
        return
    try:
        script = _script(path, flags, arguments)
        if wrap != bool(command):
            raise ConfigError("--wrap and a COMMAND go together: --wrap -- COMMAND ARGS...")  # noqa: TRY301 - one handler
        changes = {"seed": seed, "journal": journal}
        script = script.model_copy(update={key: value for key, value in changes.items() if value is not None})
        from dmcp.fault.run import run  # noqa: PLC0415 - the start of every other command does not pay for it

        run(script, port, command)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"dmcp fault: {problem}", err=True)
        raise SystemExit(2) from None
    sys.stderr.flush()
    os._exit(0)  # a thread may still be blocked in a pipe nobody reads


def _script(path: Path | None, flags: tuple[str, ...], arguments: tuple[str, ...]) -> Script:
    from dmcp.fault import script  # noqa: PLC0415 - see above

    if path is not None:
        if flags or arguments:
            raise ConfigError("--script and --fault exclude each other: put the fault into the script")
        return script.load(path)
    if arguments and len(flags) != 1:
        raise ConfigError('--arg needs exactly one --fault; for more, write --fault "NAME KEY=VALUE ..."')
    faults = tuple(script.read_fault(_flag(flag.split(" ", 1), arguments)) for flag in flags)
    return script.Script(faults=faults)


def _flag(parts: list[str], arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return the object a script would have for ``--fault "NAME KEY=VALUE ..."``; the usual phase is "call"."""
    pairs = [*(parts[1].split() if len(parts) > 1 else ()), *arguments]
    value: dict[str, Any] = {"fault": parts[0]}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--fault {parts[0]}: {pair!r} must be KEY=VALUE")
        value[key] = _value(text)
    return {"on": _usual_phase(parts[0]), **value}


def _usual_phase(name: str) -> str:
    """Return where a fault acts when it is not said: in calls if it can, else in the first phase it can."""
    from dmcp.fault.faults import KINDS, PHASES, TRANSPORTS  # noqa: PLC0415 - see above

    phases = [
        phase for phase in PHASES if name in KINDS and any(KINDS[name].acts(phase, t) for t in TRANSPORTS)
    ]
    return "call" if "call" in phases or not phases else phases[0]


def _value(text: str) -> Any:
    """Return JSON if it is JSON, else the text itself."""
    try:
        return from_json(text)
    except ValueError:
        return text


def _documents(*, listing: bool) -> str:
    from dmcp.fault import faults, script  # noqa: PLC0415 - see above

    return faults.table() if listing else to_json(script.schema(), indent=2).decode() + "\n"


if __name__ == "__main__":
    fault_command()
