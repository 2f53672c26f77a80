"""Install dmcp in a coding tool and uninstall it: the order of steps, and the record of what was changed.

The tool's own command is used where it has one, else its file is edited. What can be found wrong is found before
anything is written. Blocks. Not here: what is printed (``dmcp.cli.install``).
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import from_json, to_json

from dmcp import log
from dmcp.cli.coding_tools.changes import ABSENT, Change, planned, undone, value_at
from dmcp.cli.coding_tools.detect import is_dmcp
from dmcp.cli.coding_tools.formats import contents_of, edited, parsed, read_text
from dmcp.cli.coding_tools.model import SERVER_NAME, LaunchCommand
from dmcp.cli.coding_tools.places import places_of
from dmcp.cli.coding_tools.replaced import Switches, switches
from dmcp.cli.writing import backup_of, unwritable, write_whole
from dmcp.errors import ConfigError
from dmcp.programs import find_program
from dmcp.protocol.environment import helper_environment
from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dmcp.cli.coding_tools.changes import Step
    from dmcp.cli.coding_tools.model import CodingTool, Scope, ToolCommand
    from dmcp.cli.coding_tools.places import Machine
    from dmcp.cli.coding_tools.replaced import ReplacedServers

_COMMAND_TIMEOUT: Final = 120.0  # seconds; these commands take one to three
_LINES_SHOWN: Final = 5
_ADVICE: Final = "make it writable"


@dataclass(frozen=True, slots=True)
class InstallResult:
    """What was done.

    Attributes:
        file: where dmcp's entry is, or was.
        was_there: whether the entry was there already.
        through: the tool's own command that was used, if one was.
        switches: what was switched off, and what was left on.
        restored: the servers that are as they were before.
        left: what could not be undone because it was changed by somebody else since.
        idle: the tool's own command that changed nothing, if it did not; dmcp has edited the file itself then.
    """

    file: Path
    was_there: bool = False
    through: str | None = None
    switches: Switches = field(default_factory=Switches)
    restored: tuple[str, ...] = ()
    left: tuple[Change, ...] = ()
    idle: str | None = None


def install(
    tool: CodingTool, scope: Scope, machine: Machine, launch: LaunchCommand, replaced: ReplacedServers | None
) -> InstallResult:
    """Install dmcp in a tool, as ``for_install`` returns it, and switch off there what it replaces, if anything.

    Raises:
        ConfigError: a file is not as it should be, another server has the name, or the tool's command failed.
    """
    entry = tool.install.entry(launch)
    path, keys, present = _entry_in(tool, scope, machine)
    was_there = _covers(present, entry)
    older = is_dmcp(present) and _covers(entry, present)  # of a dmcp that did not know all of these keys
    if present is not ABSENT and not was_there and not older:
        raise ConfigError(
            f'{path}: {tool.title} has a server named "{SERVER_NAME}" already, with other settings. '
            f"dmcp uninstall {tool.name}{' --global' if scope == 'user' else ''} takes it out, "
            "if it is dmcp; otherwise rename it"
        )
    record = Record(tool, scope, machine)
    kept = record.changes()
    if replaced is not None:
        switches(tool, scope, machine, replaced)  # what cannot be read is said before anything is written
    own, idle = None if was_there or older else _tool_command(tool, scope, machine, launch), None
    if not was_there:
        _check_place(path, machine)  # the tool's own command would follow a link too
    made = record.made()
    original = read_text(path) if own is not None and path.exists() else None
    if own is not None:
        made.note_missing(path)
        run_command(own.add, machine)
        path, keys, present = _entry_in(tool, scope, machine)
        if present is ABSENT:  # it ended well and did nothing, as in a folder it does not trust
            idle, own = " ".join(own.add[:3]), None
    changes = [] if was_there else _entry_changes(path, keys, present, entry)
    off = switches(tool, scope, machine, replaced) if replaced is not None else Switches()
    for change in (*changes, *off.changes):
        made.note_missing(change.file)
    if changes or off.changes:
        record.keep((*kept, *changes, *off.changes), made)
    _write([change for change in (*changes, *off.changes) if change.after != _now(change)], machine, made)
    if own is not None:
        _keep_original(path, original, machine, made)
    if changes or off.changes:
        record.keep((*kept, *changes, *off.changes), made)  # now with the backups
    through = " ".join(own.add[:3]) if own is not None else None
    return InstallResult(path, was_there, through, off, idle=idle)


def uninstall(tool: CodingTool, scope: Scope, machine: Machine) -> InstallResult:
    """Uninstall dmcp from a tool, and restore what was switched off for it. ``tool`` is as for ``install``.

    Raises:
        ConfigError: dmcp is not in it, a file is not as it should be, or the tool's command failed.
    """
    path, keys, present = _entry_in(tool, scope, machine)
    record = Record(tool, scope, machine)
    changes = record.changes()
    mine = is_dmcp(present)
    if not changes and not mine:
        raise ConfigError(f"{path}: dmcp is not in {tool.title}{_elsewhere(tool, scope)}")
    own = _tool_command(tool, scope, machine, LaunchCommand(SERVER_NAME, ())) if mine else None
    switched = [change for change in changes if change.keys[: len(keys)] != keys]
    made = record.made()
    if own is not None:
        _check_place(path, machine)
        run_command(own.remove, machine)
        if not is_dmcp(value_at(contents_of(path) or {}, keys)):
            mine = False  # it is out; otherwise the command has ended well and done nothing
        else:
            own = None
    if mine:
        depth = next((change.made for change in changes if change.keys == keys), 0)
        switched.insert(0, Change(path, keys, ABSENT, present, depth))
    left = _undo(switched, machine)
    if is_dmcp(value_at(contents_of(path) or {}, keys)):
        raise ConfigError(f"{path}: dmcp is still in it: take {'.'.join(keys)} out by hand")
    _clear(made)
    record.keep(())
    back = (name for change in switched if change not in left for name in _servers_of(change, keys))
    restored = tuple(dict.fromkeys(back))
    return InstallResult(
        path,
        was_there=is_dmcp(present),
        through=" ".join(own.remove[:3]) if own else None,
        restored=restored,
        left=tuple(left),
    )


def _elsewhere(tool: CodingTool, scope: Scope) -> str:
    if not tool.project or not tool.user:
        return ""
    return (
        " for this project; --global looks in your own files"
        if scope == "project"
        else ", not in your own files"
    )


def _entry_in(tool: CodingTool, scope: Scope, machine: Machine) -> tuple[Path, tuple[str, ...], Any]:
    """Return where dmcp's entry is, or where it belongs: the last of the tool's files, else its first place.

    Raises:
        ConfigError: a file of the tool cannot be read.
    """
    places = [(path, (*keys, SERVER_NAME)) for path, keys, _ in places_of(tool, scope, machine)]
    shadowing = [place.unless.rpartition("/")[2] for place in tool.project if place.unless]
    if not places and scope == "project" and shadowing:
        raise ConfigError(
            f"{tool.title} reads {shadowing[0]} here and no file of its own beside it, and that one belongs to "
            "everybody who works on the project: add --global, or put dmcp into it by hand"
        )
    if not places:
        raise ConfigError(f"{tool.title} has no place for servers on this platform")
    chosen = places[0]
    for path, keys in places:
        contents = contents_of(path)
        if contents is not None and (present := value_at(contents, keys)) is not ABSENT:
            return path, keys, present
        if contents is not None and path != chosen[0]:
            chosen = (path, keys)
    return *chosen, ABSENT


def _covers(present: Any, entry: Any) -> bool:
    """Return whether an entry says all that another would; what the user added to it does not matter."""
    return isinstance(present, Mapping) and all(present.get(key) == value for key, value in entry.items())


def _tool_command(
    tool: CodingTool, scope: Scope, machine: Machine, launch: LaunchCommand
) -> ToolCommand | None:
    found = tool.install.command(scope, launch) if tool.install.command is not None else None
    return found if found is not None and is_installed(found.add, machine) else None


def _entry_changes(path: Path, keys: tuple[str, ...], present: Any, entry: Mapping[str, Any]) -> list[Change]:
    """Return the changes that make the entry what it should be; after the tool's own command, what that cannot say."""
    contents = contents_of(path)
    if present is ABSENT:
        return [planned(path, contents, keys, dict(entry))]
    missing = {key: value for key, value in entry.items() if present.get(key) != value}
    more = [planned(path, contents, (*keys, key), value) for key, value in missing.items()]
    return [Change(path, keys, ABSENT, present), *more]


def _now(change: Change) -> Any:
    return value_at(contents_of(change.file) or {}, change.keys)


def _write(changes: Iterable[Change], machine: Machine, made: Made) -> None:
    """Make the changes, each file once; all texts are made before the first is written."""
    steps: dict[Path, list[Step]] = {}
    for change in changes:
        steps.setdefault(change.file, []).append((change.keys, change.after))
    before = {path: read_text(path) if path.exists() else "" for path in steps}
    texts = {path: edited(before[path], path, of_file) for path, of_file in steps.items()}
    for path, text in texts.items():
        backup = _write_file(path, text, before[path], machine, keep=True)
        if backup is not None:
            made.note_backup(backup, backup.read_bytes())


def _write_file(path: Path, text: str, before: str, machine: Machine, *, keep: bool) -> Path | None:
    below = files.base_of(path, machine.cwd, machine.home)
    if below is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{path.parent}: cannot be made: {error.strerror or error}") from None
    links = "refuse" if below is not None else files.own_place(path, machine.home)
    return write_whole(path, text, _ADVICE, links=links, below=below, expected=before, keep=keep)


def _clear(made: Made) -> None:
    """Remove what dmcp has created and nobody has used since: empty files, backups and directories."""
    with suppress(OSError, ConfigError):
        for path in map(Path, made.files):
            if path.is_file() and not path.is_symlink() and _is_hollow(contents_of(path)):
                path.unlink()
    for name, digest in made.backups.items():
        with suppress(OSError):
            if sha256(files.read(name, files.LARGEST_KEPT)).hexdigest() == digest:
                Path(name).unlink()
    for folder in sorted(made.folders, key=len, reverse=True):
        with suppress(OSError):  # somebody has put something into it
            Path(folder).rmdir()


def _is_hollow(contents: Any) -> bool:
    """Return whether there is nothing but empty tables in a file."""
    return isinstance(contents, Mapping) and all(map(_is_hollow, contents.values()))


def _check_place(path: Path, machine: Machine) -> None:
    """Refuse a place that a link of a strange folder leads away from, before anything is done.

    Raises:
        ConfigError: it is one, or no file can be there.
    """
    below = files.base_of(path, machine.cwd, machine.home)
    links = "refuse" if below is not None else files.own_place(path, machine.home)
    try:
        files.check_place(path, links=links, below=below)
    except FileNotFoundError:
        return  # the directory will be made
    except OSError as error:
        raise unwritable(path, error, _ADVICE) from None


def _keep_original(path: Path, original: str | None, machine: Machine, made: Made) -> None:
    """Make the backup one of the file before the tool's own command, if it was there, not of what that made of it."""
    backup = backup_of(path)
    try:
        if original is None:
            backup.unlink(missing_ok=True)
            return
        below = files.base_of(backup, machine.cwd, machine.home)
        mode = path.stat().st_mode & 0o777
        files.write(backup, original.encode(), links="replace", below=below, mode=mode)
        made.note_backup(backup, original.encode())
    except OSError as error:
        raise ConfigError(f"{backup}: cannot be written: {error.strerror or error}") from None


def _undo(changes: list[Change], machine: Machine) -> list[Change]:
    """Undo changes, the last one first. Returns what was left, because it was changed by somebody else since."""
    texts: dict[Path, str] = {}
    empty: set[Path] = set()
    left: list[Change] = []
    for change in reversed(changes):
        text = texts.get(change.file)
        if text is None:
            if not change.file.exists():
                continue
            text = read_text(change.file)
        steps = undone(change, parsed(text, change.file))
        if steps is None:
            left.append(change)
            continue
        texts[change.file] = edited(text, change.file, steps)
        if change.made == len(change.keys):
            empty.add(change.file)
    for path, text in texts.items():
        if path in empty and not parsed(text, path):
            path.unlink()
        elif text != (before := read_text(path)):
            _write_file(path, text, before, machine, keep=False)
    return left


def _servers_of(change: Change, entry: tuple[str, ...]) -> list[str]:
    """Return the names of the servers a change was about."""
    above = len(entry) - 1
    if change.keys[:above] == entry[:above]:
        name = change.keys[above]
        return [] if name == SERVER_NAME else [name]
    return change.added()


# The tool's own command -----------------------------------------------------------------------------------------------


def is_installed(words: Sequence[str], machine: Machine) -> bool:
    """Return whether a tool's program is on this machine, and can be given any words.

    On Windows npm installs batch files, through which quotes do not come unharmed: then it counts as absent.
    """
    found = find_program(words[0], {"PATH": "", **machine.environ})
    return found is not None and not found.lower().endswith((".cmd", ".bat"))


def run_command(words: Sequence[str], machine: Machine) -> None:
    """Run a tool's command to its end. Raises ``ConfigError``: it failed; with the last lines it wrote."""
    program = find_program(words[0], {"PATH": "", **machine.environ}) or words[0]
    told = " ".join(words[:3])
    try:
        done = subprocess.run(  # noqa: S603 - the tool's own program, with words that dmcp puts together
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_COMMAND_TIMEOUT,
            check=False,
            cwd=machine.cwd,
            env=helper_environment(machine.environ, log.mask),
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{told} did not end within {_COMMAND_TIMEOUT:g} s; run it in a terminal to see why"
        ) from None
    except OSError as error:
        raise ConfigError(f"{told} does not start: {error.strerror or error}") from None
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()][-_LINES_SHOWN:]
        said = log.mask(" | ".join(lines)) or "nothing"
        raise ConfigError(f"{told} failed with status {done.returncode}, saying: {said}")


_ONLY_MINE = 0o700
_OTHERS = 0o077


@dataclass(slots=True)
class Made:
    """What ``dmcp install`` has created besides its entries, and removes again if nobody has used it since.

    Attributes:
        files: files that were not there.
        folders: directories that were not there.
        backups: backups, with the SHA-256 of what is in them.
    """

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    backups: dict[str, str] = field(default_factory=dict)

    def note_missing(self, path: Path) -> None:
        """Remember which of a file and the directories above it are not there yet."""
        if not path.exists() and not path.is_symlink() and str(path) not in self.files:
            self.files.append(str(path))
        for folder in path.parents:
            if folder.exists():
                break
            if str(folder) not in self.folders:
                self.folders.append(str(folder))

    def note_backup(self, path: Path, content: bytes) -> None:
        """Remember a backup dmcp has made."""
        self.backups[str(path)] = hashlib.sha256(content).hexdigest()


class Record:
    """The changes of one tool in one scope, in the order they were made: a file for each, so that they can be undone.

    Only the user can read the files, since an entry that was taken out may hold secrets.
    """

    def __init__(self, tool: CodingTool, scope: Scope, machine: Machine) -> None:
        """Name the file; nothing is read yet."""
        # A tool whose file names the project means the repository's directory, the others the one dmcp runs in.
        by_name = any("{cwd}" in place.servers for place in tool.project)
        project = machine.projects()[0] if by_name else str(machine.cwd)
        where = "user" if scope == "user" else hashlib.sha256(project.encode()).hexdigest()[:16]
        self._folder = machine.home / ".dynamic-mcp" / "installed"
        self.path = self._folder / f"{tool.name}-{where}.json"
        self._about = {"tool": tool.name, "scope": scope, "project": project}

    def __repr__(self) -> str:
        return f"<Record {self.path}>"

    def changes(self) -> tuple[Change, ...]:
        """Return what was changed; nothing when nothing is kept.

        Raises:
            ConfigError: what is kept cannot be read.
        """
        if not self.path.exists():
            return ()
        try:
            kept = from_json(read_text(self.path))
            return tuple(Change.from_json(change) for change in kept["changes"])
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{self.path}: what dmcp install changed cannot be read; undo it by hand, then delete this file"
            ) from None

    def made(self) -> Made:
        """Return what dmcp has made; nothing when nothing is kept, or an older dmcp has kept it."""
        try:
            kept = from_json(read_text(self.path))["made"]
            return Made(
                [str(path) for path in kept["files"]],
                [str(path) for path in kept["folders"]],
                {str(path): str(digest) for path, digest in kept["backups"].items()},
            )
        except (ConfigError, ValueError, KeyError, TypeError, AttributeError):
            return Made()

    def keep(self, changes: Sequence[Change], made: Made | None = None) -> None:
        """Replace what is kept; without changes the file goes. Raises ``ConfigError``: it cannot be written."""
        if not changes:
            for path in (self.path, backup_of(self.path)):
                path.unlink(missing_ok=True)
            return
        try:
            self._folder.mkdir(mode=_ONLY_MINE, parents=True, exist_ok=True)
            if self._folder.stat().st_mode & _OTHERS:
                self._folder.chmod(_ONLY_MINE)
        except OSError as error:
            raise ConfigError(f"{self._folder}: cannot be made: {error.strerror or error}") from None
        text = to_json(
            {
                **self._about,
                "changes": [change.as_json() for change in changes],
                "made": asdict(made or Made()),
            },
            indent=2,
        ).decode()
        write_whole(self.path, text + "\n", "make it writable", keep=False, links="replace", private=True)
