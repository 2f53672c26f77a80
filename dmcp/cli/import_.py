"""``dmcp import``: from the configuration of other coding tools to dmcp's own. The command and its order of steps.

Input exists -> overwrite question -> parse -> servers by name -> questions -> written once. Until the last step
nothing has changed. In a script nothing is asked. Names come from files that others may have written, so nothing in
them reaches the terminal as a control sequence. Not here: how tools keep their servers (``dmcp.cli.coding_tools``).
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from dmcp.cli import trust
from dmcp.cli.coding_tools.descriptions import about, suggestion
from dmcp.cli.coding_tools.discover import overview
from dmcp.cli.coding_tools.load import find, find_all
from dmcp.cli.coding_tools.model import Command, NotConverted
from dmcp.cli.coding_tools.output import (
    check_name,
    entry_of,
    env_file_note,
    fresh,
    json_text,
    merged,
    relative_path_note,
    seen_by_git,
    validation_problem,
    with_env_file,
    with_working_directory,
)
from dmcp.cli.coding_tools.places import Machine
from dmcp.cli.coding_tools.table import TOOLS
from dmcp.cli.context import USUAL_FILE, coding_tools
from dmcp.cli.formatting import plain
from dmcp.cli.main import INTERRUPTED
from dmcp.cli.schema import write_beside
from dmcp.cli.writing import Overtaken, backup_of, write_whole
from dmcp.config.exposure import has_secrets
from dmcp.config.redaction import address, arguments, redacted
from dmcp.errors import ConfigError, InternalError
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dmcp.cli.coding_tools.descriptions import About
    from dmcp.cli.coding_tools.load import Read
    from dmcp.cli.coding_tools.model import FoundFile, ImportedServer, LoadResult
    from dmcp.cli.coding_tools.output import Output
    from dmcp.store import files

Probe = Callable[[Mapping[str, dict[str, Any]], Mapping[str, str]], Mapping[str, str]]
"""Asks the servers these entries describe, by name, what they are good for, and is given what their packages say in a
line. Those that do not answer are left out."""


class ImportFailure(click.ClickException):
    """Nothing was written, and why."""

    exit_code = 2


class Interrupted(ImportFailure):
    """Nothing was written, because a user said so with Ctrl-C."""

    exit_code = INTERRUPTED


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asked for."""

    output: Path
    force: bool
    merge: bool
    dry_run: bool
    ask: bool
    probe: Probe | None = None
    named: bool = True  # whether the user named the output: a link there is followed then
    machine: Machine | None = None  # where packages are looked for; here, without one


_TRIES = 5
"""How often a merge is begun again because another program has written the file meanwhile."""

_EPILOG = f"""\b
Tools: {", ".join(list(TOOLS)[:10])},
       {", ".join(list(TOOLS)[10:])}

\b
Examples:
  dmcp import cursor                      this project's servers, asking about each
  dmcp import claude --global --yes       the user's servers, asking nothing
  dmcp import opencode --force            replace {USUAL_FILE}, keep the old one as .bak
  dmcp import ~/Downloads/mcp.json        a file of any of these tools
  dmcp import codex --yes --probe         descriptions from the servers, each started once
  dmcp import --all --merge               all that is found here, added to what is there

Without a terminal, or with --yes, no question is asked.
Exit status: 0 written, 2 nothing written, 130 stopped with Ctrl-C: what was answered by then is written.
"""


@click.command("import", epilog=_EPILOG)
@click.argument("source", metavar="[TOOL|FILE]", required=False, shell_complete=coding_tools)
@click.option("--all", "everything", is_flag=True, help="Import from every tool that has servers here.")
@click.option("--list", "list_only", is_flag=True, help="Show which tools have servers here, and where.")
@click.option(
    "--global", "user_scope", is_flag=True, help="Read the user's configuration, not the project's."
)
@click.option("--force", is_flag=True, help="Replace an existing output file; it is kept as .bak.")
@click.option("--merge", is_flag=True, help="Add to an existing output file; what is in it stays.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=USUAL_FILE,
    show_default=True,
    help="Where to.",
)
@click.option(
    "-y", "--yes", is_flag=True, help="Ask nothing; descriptions are the tool's own or suggested ones."
)
@click.option(
    "--probe", "probing", is_flag=True, help="Start the servers and take descriptions from what they say."
)
@trust.option
@click.option(
    "--dry-run", is_flag=True, help="Show what would be written, secrets masked, and write nothing."
)
def import_command(
    *,
    source: str | None,
    everything: bool,
    list_only: bool,
    user_scope: bool,
    force: bool,
    merge: bool,
    output: Path,
    yes: bool,
    probing: bool,
    dry_run: bool,
) -> None:
    """Import MCP servers from a coding tool, or from a file of one, into dmcp's configuration."""
    machine, output = Machine.here(), output.expanduser()
    if list_only:
        click.echo(overview(machine))
        return
    if everything == (source is not None):
        raise click.UsageError("give a tool or a file, or --all; dmcp import --list shows what there is")
    ask = is_interactive() and not yes and not dry_run
    named = click.get_current_context().get_parameter_source("output") != ParameterSource.DEFAULT
    request = Request(output, force, merge, dry_run, ask, _probe() if probing else None, named, machine)
    try:
        check_name(output, merge=merge)
        read = (
            find_all(machine)
            if everything
            else find(source or "", "user" if user_scope else "project", machine)
        )
        stopped = run(request, read)
    except ConfigError as error:
        raise ImportFailure("\n".join(map(plain, str(error).splitlines()))) from None
    except click.Abort as error:
        click.echo(err=True)  # the question's line has no end yet
        ctrl_c = isinstance(error.__context__, KeyboardInterrupt)
        raise (Interrupted if ctrl_c else ImportFailure)(
            "stopped before the end; nothing was written"
        ) from None
    if stopped:
        click.get_current_context().exit(INTERRUPTED)


def _probe() -> Probe:
    from dmcp.cli.probing import ask  # noqa: PLC0415 - most imports start no server

    return ask


def run(request: Request, read: Read) -> bool:
    """Do all steps after the input was found; return whether the user stopped it before the last question.

    Raises:
        ConfigError: something is wrong with the input or the output; nothing was written.
        click.Abort: the user stopped it; nothing was written.
    """
    _settle_overwriting(request)
    result = read()
    entries, notes, stopped = _entries(request, result)
    if not entries:
        raise ConfigError("\n".join(["no server can be imported", *(f"  {note}" for note in notes)]))
    merging = request.merge and request.output.exists()
    outcome, backup = _outcome(request, entries, merging=merging)
    if request.dry_run:
        click.echo(json_text({"mcpServers": {name: redacted(entries[name]) for name in outcome.added}}))
    result = replace(result, not_converted=(*result.not_converted, *notes))
    verb = "Would import" if request.dry_run else "Imported"
    for line in report(result, outcome, entries, verb, str(request.output)):
        click.echo(line)
    if outcome.added and not request.dry_run and not merging:
        click.echo(write_beside(request.output, links=_links(request)))
    if backup is not None:
        click.echo(f"The earlier file is kept as {backup}")
    if outcome.added and not request.dry_run:
        _say_what_next(request, outcome, entries)
    if stopped:
        click.echo(
            "You stopped before the end: what you had answered is written, and --merge adds the rest.",
            err=True,
        )
    return stopped


def _say_what_next(request: Request, outcome: Output, entries: Mapping[str, dict[str, Any]]) -> None:
    """Say whether git would share secrets, and which command comes next."""
    if has_secrets({"mcpServers": {name: entries[name] for name in outcome.added}}):
        line = seen_by_git(request.output)
        if line is not None:
            click.echo(
                f"Take care: secrets stand in {request.output} now, and git would take it in. Put them into "
                f"environment variables (${{NAME}}), or add this line to .gitignore:\n  {plain(line)}"
            )
    given = "" if request.output == Path(USUAL_FILE) else f" {shlex.quote(str(request.output))}"
    click.echo(f"Next: dmcp check{given}")


def _outcome(
    request: Request, entries: Mapping[str, dict[str, Any]], *, merging: bool
) -> tuple[Output, Path | None]:
    """Write, and return what was written and the backup; merge again if another program writes in between."""
    for left in reversed(range(_TRIES)):
        outcome = merged(request.output, entries) if merging else fresh(entries)
        if request.dry_run or not outcome.added:
            return outcome, None
        private = any(redacted(entries[name]) != entries[name] for name in outcome.added)
        links = _links(request)
        earlier = None if outcome.before is None else outcome.before.encode()
        goes_on = earlier is None or trust.is_trusted(request.output, earlier)
        try:
            below = None if links == "follow" else request.output.absolute().parent
            backup = write_whole(
                request.output,
                outcome.text,
                links=links,
                below=below,
                private=private,
                expected=outcome.before,
            )
        except Overtaken:
            if not left:
                raise
            continue
        if goes_on and request.output.name == USUAL_FILE:
            trust.keep_own(request.output, outcome.text)
        return outcome, backup
    raise InternalError("the number of tries is not positive")


def _links(request: Request) -> files.Links:
    return "follow" if request.named else "refuse"


def _settle_overwriting(request: Request) -> None:
    if not request.output.exists() or request.force or request.merge or request.dry_run:
        return
    if not request.ask:
        raise ConfigError(
            f"{request.output} exists; use --force to replace it (it is kept as {backup_of(request.output).name}), "
            "--merge to add to it, or --output to write another file"
        )
    if not may_overwrite(request.output):
        raise ConfigError(f"{request.output} was left as it is")


def _entries(
    request: Request, result: LoadResult
) -> tuple[dict[str, dict[str, Any]], list[NotConverted], bool]:
    """Return the entries dmcp accepts, in the order of the servers, and what was left behind on the way.

    The last value says whether a user stopped the questions with Ctrl-C after the first was answered.
    """
    entries: dict[str, dict[str, Any]] = {}
    notes: list[NotConverted] = []
    servers = []
    for found in result.servers:
        server, note = _with_env_file(request, with_working_directory(found, request.output))
        notes += [each for each in (note, relative_path_note(server)) if each is not None]
        servers.append(server)
    known = _known(servers, request.machine or Machine.here())
    told = _asked(request, servers, result.untrusted, known)
    for at, server in enumerate(servers):
        try:
            entry, no_more = _described(request, server, told.get(server.name), known.get(server.name))
        except click.Abort as error:
            if not entries or not isinstance(error.__context__, KeyboardInterrupt):
                raise
            click.echo(err=True)  # the question's line has no end yet
            notes += [
                NotConverted(left.name, "not asked about", "import again with --merge")
                for left in servers[at:]
            ]
            return entries, notes, True
        request = replace(request, ask=request.ask and not no_more)
        why = validation_problem(server.name, entry)
        if why is None:
            entries[server.name] = entry
        else:
            notes.append(
                NotConverted(server.name, f"not imported, since {why}", "correct it in the tool's file")
            )
    return entries, notes, False


def _with_env_file(request: Request, server: ImportedServer) -> tuple[ImportedServer, NotConverted | None]:
    """Return the server, with the names in its envFile only when the user says so."""
    if server.env_file is None:
        return server, None
    if not request.ask or not may_inline(server):
        return server, env_file_note(server)
    try:
        return with_env_file(server, os.environ)
    except ConfigError as error:
        return server, NotConverted(
            server.name, f"its envFile, since {error}", "list its variables in env by hand"
        )


def _known(servers: Sequence[ImportedServer], machine: Machine) -> Mapping[str, About]:
    """Return what packages on this disk say of the servers whose tool says nothing."""
    found = {
        server.name: about(server.target, machine)
        for server in servers
        if server.description is None and isinstance(server.target, Command)
    }
    return {name: known for name, known in found.items() if known is not None}


def _asked(
    request: Request,
    servers: Sequence[ImportedServer],
    untrusted: Sequence[FoundFile],
    known: Mapping[str, About],
) -> Mapping[str, str]:
    """Return what servers say of themselves, of those whose tool says nothing and that dmcp can start.

    Raises:
        ConfigError: some of them come from a file of a strange folder, which the user does not trust.
    """
    if request.probe is None:
        return {}
    silent = [server for server in servers if server.description is None and server.enabled]
    entries = {server.name: entry_of(server, suggestion(server)) for server in silent}
    entries = {name: entry for name, entry in entries.items() if validation_problem(name, entry) is None}
    for file in untrusted:
        shown = {name: trust.described_server(entries[name]) for name in file.names if name in entries}
        if shown:
            otherwise = "import without --probe, or add --trust"
            trust.require(file.path, file.text.encode(), shown, otherwise)
    return request.probe(entries, {name: package.summary for name, package in known.items()})


def _described(
    request: Request, server: ImportedServer, told: str | None, known: About | None
) -> tuple[dict[str, Any], bool]:
    """Return the entry with a description: the tool's own, the server's, its package's, a suggested one, the user's.

    The second value says that the user wants no more
    """
    description, no_more = server.description or told or suggestion(server, known), False
    if request.ask:
        server, description, no_more = ask_about(server, description)
    return entry_of(server, description), no_more


_ALL = ("a", "all")
_WIDEST = 100  # characters of a name that are shown
_LONGEST = 1000  # characters of a command, or of a note
_FEATURES = ("tools", "resources", "prompts")


def report(
    result: LoadResult, written: Output, entries: Mapping[str, dict[str, Any]], verb: str, output: str
) -> Iterator[str]:
    """Yield the lines of the report, without secrets; ``verb`` says what was done, or would be."""
    yield from map(plain, result.remarks)
    count = len(written.added)
    yield f"{verb} {'1 server' if count == 1 else f'{count} servers'} into {output}"
    lines = {server.name: in_short(server) for server in result.servers}
    width = max((len(printable(name, _WIDEST)) for name in written.added), default=0)
    for name in written.added:
        yield f"  {printable(name, _WIDEST):<{width}}  {lines[name]}{_off(entries[name])}"
    for name in written.kept:
        yield f"  {printable(name, _WIDEST)}: already in {output}, left as it is"
    if result.not_converted:
        yield "Not carried:"
    yield from (f"  {printable(str(note), _LONGEST)}" for note in result.not_converted)


def _off(entry: Mapping[str, Any]) -> str:
    if not entry.get("enabled", True):
        return "  (switched off)"
    without = [feature for feature, on in entry.get("features", {}).items() if not on]
    return f"  (without its {' and '.join(without)})" if without else ""


def in_short(server: ImportedServer) -> str:
    """Return the server's command or address on one line, secrets masked."""
    target = server.target
    if isinstance(target, Command):
        return printable(" ".join((target.command, *arguments(list(target.args)))), _LONGEST)
    return printable(address(target.url), _LONGEST)


def is_interactive() -> bool:
    """Return whether there is a user to ask."""
    return sys.stdin.isatty()


def may_overwrite(path: Path) -> bool:
    """Ask whether an existing file may be replaced. Enter alone means no."""
    return click.confirm(f"{path} exists. Replace it (it will be kept as {path.name}.bak)?", default=False)


def ask_about(server: ImportedServer, suggested: str) -> tuple[ImportedServer, str, bool]:
    """Ask for a server's description and features; return both, and whether to stop asking.

    "a" means: this one as suggested, and all that follow.
    """
    click.echo(
        f"\n{printable(server.name, _WIDEST)}{'' if server.enabled else ' (switched off)'}: {in_short(server)}"
    )
    description = click.prompt(
        "  What is it good for? (a: as suggested, for all)", default=suggested, type=str
    )
    description = description.strip() or suggested
    if description in _ALL:
        return server, suggested, True
    answer = click.prompt(
        "  Keep all its features (tools, resources, prompts)? [Y/n/a]",
        default="y",
        show_default=False,
        type=click.Choice(("y", "yes", "n", "no", *_ALL), case_sensitive=False),
        show_choices=False,
    )
    if answer not in {"n", "no"}:
        return server, description, answer in _ALL
    kept = {feature: click.confirm(f"  Keep its {feature}?", default=True) for feature in _FEATURES}
    return (
        replace(server, features_off=tuple(name for name, keep in kept.items() if not keep)),
        description,
        False,
    )


def may_inline(server: ImportedServer) -> bool:
    """Ask whether the variables of the server's envFile are to stand in env, as references. Enter alone means yes."""
    click.echo(
        f"\n{printable(server.name, _WIDEST)} takes variables from the file {plain(server.env_file or '')}"
    )
    return click.confirm("  List their names in env, as references to the environment?", default=True)
