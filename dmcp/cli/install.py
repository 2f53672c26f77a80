"""``dmcp install`` and ``dmcp uninstall``: what they say. The work is in ``dmcp.cli.coding_tools.install``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dmcp.cli import trust
from dmcp.cli.client import python, runner
from dmcp.cli.coding_tools.install import InstallResult, install, uninstall
from dmcp.cli.coding_tools.model import CodingTool, LaunchCommand
from dmcp.cli.coding_tools.places import Machine
from dmcp.cli.coding_tools.replaced import ReplacedServers
from dmcp.cli.coding_tools.table import TOOLS, nearest
from dmcp.cli.context import USUAL_FILE, coding_tools, configuration
from dmcp.cli.formatting import plain
from dmcp.config.loading import content_of, read
from dmcp.errors import ConfigError
from dmcp.programs import find_program

if TYPE_CHECKING:
    from dmcp.cli.coding_tools.model import Scope

_TOOLS = f"""\b
Tools: {", ".join(list(TOOLS)[:10])},
       {", ".join(list(TOOLS)[10:])}
"""

_INSTALL_EPILOG = f"""{_TOOLS}
\b
Examples:
  dmcp install claude                     for this project, serving dynamic-mcp.json
  dmcp install codex --global             for all your projects
  dmcp install cursor --config ~/dmcp.json --replace

Exit status: 0 dmcp is in the tool, 2 nothing was changed.
"""

_UNINSTALL_EPILOG = f"""{_TOOLS}
\b
Examples:
  dmcp uninstall claude
  dmcp uninstall codex --global

Exit status: 0 dmcp is out of the tool, 2 nothing was changed.
"""


@click.command("install", epilog=_INSTALL_EPILOG)
@click.argument("tool", metavar="TOOL", shell_complete=coding_tools)
@click.option("--global", "user_scope", is_flag=True, help="For all your projects, not only for this one.")
@click.option(
    "--config", help="The configuration dmcp shall serve. [default: as for dmcp check: dynamic-mcp.json]"
)
@click.option(
    "--replace", "replacing", is_flag=True, help="Switch off there what dmcp now stands in front of."
)
def install_command(*, tool: str, user_scope: bool, config: str | None, replacing: bool) -> None:
    """Write dmcp into a coding tool's configuration, so that the tool starts it.

    The tool's own command is used where it has one, else its file is edited: comments and order stay, and the earlier
    file is kept as .bak. Doing it twice changes nothing more. dmcp uninstall undoes it.
    """
    chosen, machine = _tool(tool), Machine.here()
    path, _ = configuration(config, starts=False)
    replaced = ReplacedServers(path)
    scope = _scope(chosen, user_scope=user_scope)
    launch = _launch_command(path, replaced, chosen, scope)
    outcome = install(chosen, scope, machine, launch, replaced if replacing else None)
    _say_installed(chosen, scope, outcome, replacing=replacing)
    if config is None and path == Path(USUAL_FILE) and not os.environ.get("DYNAMIC_MCP_CONFIG"):
        _say_served(path)


@click.command("uninstall", epilog=_UNINSTALL_EPILOG)
@click.argument("tool", metavar="TOOL", shell_complete=coding_tools)
@click.option("--global", "user_scope", is_flag=True, help="For all your projects, not only for this one.")
def uninstall_command(*, tool: str, user_scope: bool) -> None:
    """Take dmcp out of a coding tool, and switch on again what dmcp install --replace switched off."""
    chosen = _tool(tool)
    outcome = uninstall(chosen, _scope(chosen, user_scope=user_scope), Machine.here())
    how = f", with {outcome.through}" if outcome.through else ""
    click.echo(f"dmcp is out of {chosen.title}: {plain(str(outcome.file))}{how}")
    if outcome.restored:
        click.echo(f"As before: {_names(outcome.restored)}")
    for change in outcome.left:
        place = plain(f"{change.file}: {'.'.join(change.keys)}")
        click.echo(f"Left as it is, since it was changed after dmcp install: {place}")


def _tool(name: str) -> CodingTool:
    if name in TOOLS:
        return TOOLS[name].for_install()
    close = nearest(name)
    hint = f"; did you mean {close}?" if close else f". There are: {', '.join(TOOLS)}"
    raise ConfigError(f"{plain(name)} is no coding tool dmcp knows{hint}")


def _scope(chosen: CodingTool, *, user_scope: bool) -> Scope:
    """Return the scope asked for, or the only one there is."""
    if user_scope and not chosen.user:
        raise ConfigError(f"{chosen.title} keeps servers in projects only; leave out --global")
    return "user" if user_scope or not chosen.project else "project"


def _launch_command(
    config: Path, replaced: ReplacedServers, chosen: CodingTool, scope: Scope
) -> LaunchCommand:
    """Return how a tool starts the dmcp that runs now: its program beside the interpreter, else the interpreter.

    Where that is a cache, by the tool that fills it. In a file that a project's people may share: by its name, with the
    configuration's place in the project, as far as that finds this dmcp and the tool allows it.
    """
    program = Path(sys.executable).with_name("dmcp.exe" if sys.platform == "win32" else "dmcp")
    served = os.path.abspath(config)  # noqa: PTH100 - without "..", and a symbolic link stays one: it may be moved
    by_name = _by_name(program)
    if by_name is not None and scope == "project" and chosen.install.project_prefix is not None:
        inner = os.path.relpath(served, Path.cwd())
        if not inner.startswith("..") and not os.path.isabs(inner):  # noqa: PTH117 - another drive stays absolute
            portable = chosen.install.project_prefix + Path(inner).as_posix()
            return LaunchCommand(by_name[0], (*by_name[1:], portable), replaced.variables())
    words = (
        [*run, "dmcp"] if (run := runner()) else [str(program)] if program.exists() else python("-m", "dmcp")
    )
    return LaunchCommand(words[0], (*words[1:], served), replaced.variables())


def _by_name(program: Path) -> list[str] | None:
    """Return the words that start this dmcp on any machine that has it; ``None`` if they would not start it here."""
    if (run := runner()) is not None:
        return [*run, "dmcp"]
    found = find_program("dmcp", os.environ)
    if found is None or not Path(found).is_absolute() or not program.exists():
        return None
    return ["dmcp"] if os.path.realpath(found) == os.path.realpath(program) else None


def _say_installed(chosen: CodingTool, scope: Scope, outcome: InstallResult, *, replacing: bool) -> None:
    title, where = chosen.title, plain(str(outcome.file))
    reach = "all your projects" if scope == "user" else "this project"
    how = f", with {outcome.through}" if outcome.through else ""
    if outcome.was_there:
        click.echo(f"dmcp was in {title} already, for {reach}: {where}")
    else:
        click.echo(f"dmcp is in {title} now, for {reach}: {where}{how}")
    if outcome.idle:
        click.echo(f"{outcome.idle} ended well and had changed nothing, so dmcp has written the file itself.")
    if outcome.switches.off:
        click.echo(f"Switched off there: {_names(outcome.switches.off)}")
    if outcome.switches.left_on:
        names = _names(outcome.switches.left_on)
        click.echo(f"Left on, since dmcp's configuration has nothing like it: {names}")
    if replacing and not outcome.switches.off:
        click.echo(
            f"Nothing to switch off: no server that is on in {where} is one that dmcp stands in front of"
        )
    if scope == "project" and chosen.install.remark:
        click.echo(chosen.install.remark)
    if not outcome.was_there:
        click.echo(f"Start a new session of {title} to use it.")


def _say_served(path: Path) -> None:
    """Say what the tool will have dmcp run, where that was found in this folder and nobody has trusted it yet."""
    content = content_of(path)
    if trust.is_trusted(path, content):
        return
    click.echo(f"It serves {plain(str(path))}, which was found in this folder and says:")
    for name, line in trust.described(read(path, content).values).items():
        click.echo(f"  {plain(name)} {line}")


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(map(plain, names))
