"""The command line's front door. Serving a client takes the short way in, without the command line's libraries.

A serving dmcp is imported in two stages. The first is what answers ``initialize`` (``dmcp.downstream.first_answer``),
the second ``dmcp.app`` with everything that serving needs, one package after the other, and a look in between at
whether the client has sent its ``initialize`` by now. Commands import what they need.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from dmcp.errors import ISSUES
from dmcp.text import printable

if TYPE_CHECKING:
    from types import ModuleType

    from dmcp.downstream.first_answer import FirstAnswer

SECOND_STAGE = (
    *("dmcp.log", "asyncio", "uvloop", "msgspec", "pykka"),
    *("dmcp.actors.upstream", "dmcp.actors.catalog", "dmcp.config.loading", "dmcp.app"),
)
"""What a serving dmcp imports after it has looked whether the client has sent something; it looks again after each."""

COMMANDS = frozenset(
    {"auth", "call", "check", "demo", "fault", "import", "init", "install", "list", "plan", "prompt", "read"}
    | {"schema", "trust", "uninstall"}
)
"""Words that are commands; a configuration file of the same name is given as ``./name``. A test keeps it true."""

_COMPLETING = "_DMCP_COMPLETE"  # set by a shell that completes a command line: click answers it

_SUFFIXES = (".json", ".jsonc", ".toml")

_USAGE = """\
dmcp is one MCP server in front of all of yours. It is meant to be started by a coding assistant.

  Add it to the assistant as a stdio server:  command "dmcp", args ["/path/to/dynamic-mcp.json"]
  See it work:                                dmcp demo
  Everything else:                            dmcp --help
"""


def main() -> int:
    """Run the command line and return the exit status: 0 all well, 1 a fault of dmcp's, 2 configuration or usage."""
    try:
        return _dispatch(sys.argv[1:])
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last boundary: a person gets a sentence, not a traceback
        return _report_fault(error)
    finally:
        _log().close()


def _dispatch(arguments: list[str]) -> int:
    is_word = len(arguments) == 1 and not arguments[0].startswith("-") and arguments[0] not in COMMANDS
    if is_word or (not arguments and _COMPLETING not in os.environ):
        return serve(arguments[0] if arguments else None)
    _log()
    from dmcp.cli.main import command_line  # noqa: PLC0415 - see the module's docstring

    return command_line(arguments, serve)


@cache
def _log() -> ModuleType:
    """Return the log. It is as the environment says from the first call on, until somebody says otherwise."""
    from dmcp import log  # noqa: PLC0415 - of the second stage

    log.set_level(os.environ.get("DMCP_LOG"))
    log.set_format(os.environ.get("DMCP_LOG_FORMAT"))
    return log


def _report_fault(error: Exception) -> int:
    import traceback  # noqa: PLC0415 - nothing else needs it

    _log().debug("".join(traceback.format_exception(error)))
    text = _log().mask(f"{type(error).__name__}: {error}")
    told = f"Error: a fault of dmcp's own: {text}. Please report it ({ISSUES}); DMCP_LOG=debug shows where."
    print(printable(told, None, lines=True), file=sys.stderr)  # noqa: T201 - for the person
    return 1


def serve(config: str | None) -> int:
    """Be the MCP server of whoever started this process.

    Args:
        config: the configuration file; without it ``DYNAMIC_MCP_CONFIG`` names it, else it is the person's own.
    """
    path = config or os.environ.get("DYNAMIC_MCP_CONFIG") or _own_configuration()
    if not path:
        print(_USAGE, file=sys.stderr)  # noqa: T201 - for the person
        from dmcp.config.places import user_file  # noqa: PLC0415 - only for this message

        own = user_file(os.environ)
        told = "Error: no configuration: give its path, or set DYNAMIC_MCP_CONFIG"
        told += f", or have your own at {printable(own, None)}" if own else ""
        told += " (dmcp import and dmcp init write one)."
        print(told, file=sys.stderr)  # noqa: T201 - for the person
        return 2
    if sys.stdin is None or sys.stdout is None:
        return 2
    if config and not os.path.exists(os.path.expanduser(config)):  # noqa: PTH110, PTH111 - pathlib is not needed to serve
        from dmcp.cli.main import unknown_word_message  # noqa: PLC0415 - only when somebody has mistyped

        print(f"Error: {printable(unknown_word_message(config), None)}", file=sys.stderr)  # noqa: T201 - for the person
        return 2
    if config and sys.stdin.isatty() and not _reads_like_a_file(config):
        # The folder, which may be a stranger's, could have a file called like a mistyped command.
        told = f"Error: {config} is no command of dmcp's. To serve the file of that name, write ./{config}"
        print(printable(told, None), file=sys.stderr)  # noqa: T201 - for the person
        return 2
    if sys.stdin.isatty():
        print(_USAGE, file=sys.stderr)  # noqa: T201 - for the person
        print(f"Now serving {printable(path, None)} on this terminal; Ctrl-C ends it.", file=sys.stderr)  # noqa: T201
    gc.disable()  # until start-up is complete: it leaves next to no garbage, and looking for some takes time
    first = _import_for_serving()
    _log().serve()
    from dmcp.app import run  # noqa: PLC0415 - of the second stage

    try:
        status = run(path, first)
    except KeyboardInterrupt:
        status = 130
    except Exception as error:  # noqa: BLE001 - the last boundary, as in main
        status = _report_fault(error)
    return _exit(status)


def _import_for_serving() -> FirstAnswer:
    """Import both stages, and return what has passed between the client and dmcp meanwhile."""
    from dmcp.downstream.first_answer import FirstAnswer  # noqa: PLC0415 - the first stage

    first = FirstAnswer(sys.stdin, sys.stdout)
    first.look()
    for name in SECOND_STAGE:
        with suppress(ImportError):  # uvloop is not everywhere; who misses another one says so
            import_module(name)
        first.look()
    return first


def _exit(status: int) -> NoReturn:
    """End the process without taking the interpreter apart, which takes 25 ms and more.

    Everything is closed and written by now. Nobody waits for threads that wait for a file or a change of it; one of
    them is in foreign code, which must not be woken while the interpreter is being taken apart.
    """
    _log().close()
    os._exit(status)


def _reads_like_a_file(word: str) -> bool:
    return word.endswith(_SUFFIXES) or os.path.basename(word) != word  # noqa: PTH119 - serving does without pathlib


def _own_configuration() -> str | None:
    from dmcp.config.places import candidates, existing  # noqa: PLC0415 - only where none is named

    return next(iter(existing(candidates(os.environ))), None)


if __name__ == "__main__":
    sys.exit(main())
