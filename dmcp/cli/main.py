"""The command line's frame: which commands there are, what is common to all, and how a failure ends the process.

A command's module is imported when the command is used, so the one line of help that the overview shows stands here.
Not here: the commands, and the short way into serving (``dmcp.__main__``).
"""

from __future__ import annotations

import difflib
import errno
import importlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from dmcp import __version__, log
from dmcp.cli import formatting
from dmcp.errors import ConfigError, DmcpError

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C, as shells have it (128 + SIGINT)."""

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_STREAMS: Final = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


COMMANDS: Final = {
    "demo": ("demo", "See it work: a client, dmcp, and two small servers behind it."),
    "init": ("schema", "Write a commented configuration to start from."),
    "import": ("import_", "Import servers from other coding tools."),
    "install": ("install", "Put dmcp into a coding tool."),
    "uninstall": ("install", "Take dmcp out of a coding tool again."),
    "check": ("check", "Connect to every server, and show what works and what does not."),
    "list": ("list_", "Show the tools, resources and prompts of the servers."),
    "call": ("call", "Call one tool of one group."),
    "read": ("call", "Read one resource."),
    "prompt": ("call", "Get one prompt."),
    "auth": ("auth", "Sign in to remote servers, or out; see which sign-ins there are."),
    "trust": ("trust", "Let dmcp run the configuration found in this folder."),
    "plan": ("plan", "Show what a changed configuration would start, stop or leave alone."),
    "schema": ("schema", "Print the JSON schema of the configuration file."),
    "fault": ("fault", "Run an MCP server that misbehaves, to test MCP clients with."),
}
"""Where a command is (``NAME_command`` in this module of ``dmcp.cli``), and what the overview says of it."""

_EPILOG = """\b
Examples:
  dmcp demo                        see it work, without any configuration
  dmcp import claude --global      make a configuration of what Claude Code has
  dmcp check                       does every server of it work?
  dmcp dynamic-mcp.json            serve it on stdin and stdout, as an assistant has it done

\b
Environment:
  DYNAMIC_MCP_CONFIG   the configuration, when none is given (without it: dynamic-mcp.json here, for the
                       commands; then ~/.config/dmcp/dmcp.json)
  DMCP_LOG             debug, info, warning (the default) or error; -v and -q come first
  DMCP_LOG_FORMAT      text (the default) or json; --log-format comes first
  NO_COLOR             no colours

\b
Exit status:
  0    all well; when serving: the client left
  1    a fault of dmcp's, or what a command says in its own help
  2    the configuration or the command line is wrong
  130  interrupted
"""


class LazyGroup(click.Group):
    """A group that imports a command when it is used, and takes any other first word for a configuration."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the overview."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, if there is one."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        name, help_text = COMMANDS[cmd_name]
        module = importlib.import_module(f"dmcp.cli.{name}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        command.short_help = help_text
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return a command, or the configuration to serve."""
        if args[0] in COMMANDS or args[0].startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if not Path(args[0]).expanduser().exists():
            raise click.UsageError(unknown_word_message(args[0]), ctx)
        return "", _serve, args

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the table: importing every command for its one line takes too long."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])


def _configure_log(verbose: int, quiet: bool, log_format: str | None) -> None:
    """Apply the options about the log, to this process and to the dmcp processes that commands start."""
    if verbose or quiet:
        level = "error" if quiet else "info" if verbose == 1 else "debug"
        log.set_level(level)
        os.environ["DMCP_LOG"] = level
    if log_format:
        log.set_format(log_format)
        os.environ["DMCP_LOG_FORMAT"] = log_format


_verbose = click.option("-v", "--verbose", count=True, help="Log what happens; -vv logs everything.")
_quiet = click.option("-q", "--quiet", is_flag=True, help="Log errors only.")
_log_format = click.option(
    "--log-format", type=click.Choice(["text", "json"]), help="Log sentences, or each event as a JSON object."
)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    no_args_is_help=False,
    subcommand_metavar="[CONFIG | COMMAND [ARGS]...]",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="dmcp", message="%(prog)s %(version)s")
@_verbose
@_quiet
@_log_format
@click.pass_context
def dmcp(ctx: click.Context, verbose: int, quiet: bool, log_format: str | None) -> Any:
    """One MCP server in front of all of yours: two tools for the assistant instead of hundreds.

    With CONFIG, dmcp serves: it is what a coding assistant starts as its stdio server.
    """
    if "NO_COLOR" in os.environ:
        ctx.color = False
    _configure_log(verbose, quiet, log_format)
    if ctx.invoked_subcommand is None:
        return ctx.obj(None)
    return None


@click.command("CONFIG")
@click.argument("config")
@_verbose
@_quiet
@_log_format
@click.pass_context
def _serve(ctx: click.Context, config: str, verbose: int, quiet: bool, log_format: str | None) -> int:
    """Serve the servers of CONFIG on stdin and stdout, until the client leaves."""
    _configure_log(verbose, quiet, log_format)
    status: int = ctx.obj(config)
    return status


def command_line(arguments: list[str], serve: Callable[[str | None], int]) -> int:
    """Do what the arguments say. Blocks; returns the exit status. No exception but ``SystemExit`` comes out.

    ``serve`` serves a configuration until the client leaves, and returns the exit status.
    """
    _fill_closed()
    _configure_streams()
    try:
        words = [_as_utf8(word) for word in arguments]
        status = dmcp.main(words, prog_name="dmcp", standalone_mode=False, obj=serve)
    except click.ClickException as error:
        error.message = formatting.block(log.mask(error.message))  # type: ignore[misc] # it is shown as it stands there
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except DmcpError as error:
        formatting.echo_error(error)
        return 2 if isinstance(error, ConfigError) else 1
    except BrokenPipeError:
        # Whoever read the output has seen enough (``dmcp schema | head``). Nothing more can be written there.
        _give_up_output()
        return 0
    except OSError as error:
        return _report_os_error(error)
    return status if isinstance(status, int) else 0


def _as_utf8(word: str) -> str:
    """Return a word of the command line as text: servers and JSON take UTF-8 only. The path of a file stays as it is.

    Raises:
        click.UsageError: it is not UTF-8.
    """
    if _is_utf8(word) or os.path.lexists(word):
        return word
    try:
        # The locale may say another encoding than the terminal has (``LC_ALL=C``): UTF-8 is what is meant then.
        return os.fsencode(word).decode("utf-8")
    except UnicodeError:
        name = Path(word).name != word or Path(word).suffix
        what = "and there is no such file" if name else "but servers and JSON take nothing else"
        raise click.UsageError(
            f"{word} is not UTF-8, {what}: check the terminal's and the locale's encoding."
        ) from None


def _is_utf8(word: str) -> bool:
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _report_os_error(error: OSError) -> int:
    """Say what the user can do about an error of the operating system that no command has expected.

    Returns:
        The exit status.

    Raises:
        OSError: ``error``, if it is nothing the user has to do with.
    """
    if _has_no_room(error):
        _give_up_output()
        text = f"standard output cannot be written: {error.strerror}; make room, or write elsewhere"
    elif error.filename is not None:
        what = f"{os.fsdecode(error.filename)}: {error.strerror}"
        text = f"{what}: check the path, and that you may use it and the directories above it."
    elif not _is_somewhere():
        text = "The working directory does not exist any more: change to one that does."
    else:
        raise error
    formatting.echo_error(text)
    return 1 if _has_no_room(error) else 2


def _is_somewhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _configure_streams() -> None:
    """Make pipes and files carry UTF-8, as JSON has to, whatever the code page is; no character ends a command.

    A terminal keeps its encoding, and so does whoever chose one with ``PYTHONIOENCODING``.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            chosen = stream.isatty() or "PYTHONIOENCODING" in os.environ
            stream.reconfigure(encoding=None if chosen else "utf-8", errors="backslashreplace")


def _fill_closed() -> None:
    """Put the null device where a standard stream is closed (``dmcp check >&-``).

    Otherwise Python has ``None`` there, and the next file opened would take the number, so that a server that is
    started would write its errors into it.
    """
    for number, name, mode in _STREAMS:
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number and not _is_open(number):
            os.dup2(opened, number)
            os.close(opened)
            opened = number
        os.set_inheritable(opened, True)
        setattr(sys, name, open(opened, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - kept until the end


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _give_up_output() -> None:
    """Write nothing more to standard output: what is left in its buffer must not fail once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _has_no_room(error: OSError) -> bool:
    """Return whether writing failed because of what is behind the stream; else it is a fault of dmcp's own."""
    return error.errno in _NO_ROOM


def unknown_word_message(word: str) -> str:
    """Return what to say of a first word that is neither a command nor a file: a mistyped command, or a wrong path."""
    if Path(word).name != word or Path(word).suffix:
        return f"{word}: there is no such file: check the path to the configuration."
    close = difflib.get_close_matches(word.lower(), COMMANDS, n=1, cutoff=0.6)
    hint = f"Did you mean: dmcp {close[0]}?" if close else "dmcp --help shows the commands."
    return f"{word} is neither a command nor a configuration file. {hint}"
