"""Puts dmcp into a tool and takes it out again: the order of steps.

What can be found wrong is found before anything is written. Not here: what is printed (``dmcp.cli.install``).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmcp.cli.importers.documents import read_text
from dmcp.cli.importers.gather import locations
from dmcp.cli.importers.own import is_dmcp
from dmcp.cli.importers.writing import backup_of, unwritable, write_whole
from dmcp.cli.installers import own_command
from dmcp.cli.installers.change import ABSENT, Change, planned, undone, value_at
from dmcp.cli.installers.fronted import Switches, switches
from dmcp.cli.installers.hosts import NAME, Start
from dmcp.cli.installers.record import Made, Record
from dmcp.cli.installers.text import contents_of, edited, parsed
from dmcp.errors import ConfigError
from dmcp.store import files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dmcp.cli.importers.machine import Machine
    from dmcp.cli.importers.tool import Scope
    from dmcp.cli.installers.fronted import Fronted
    from dmcp.cli.installers.hosts import Host, OwnCommand

_ADVICE = "make it writable"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done.

    Attributes:
        file: where dmcp's entry is, or was.
        was_there: whether the entry was there already.
        through: the tool's own command that was used, if one was.
        switches: what was switched off, and what was left on.
        restored: the servers that are as they were before.
        left: what could not be undone because somebody changed it since.
    """

    file: Path
    was_there: bool = False
    through: str | None = None
    switches: Switches = field(default_factory=Switches)
    restored: tuple[str, ...] = ()
    left: tuple[Change, ...] = ()


def put_in(host: Host, scope: Scope, machine: Machine, start: Start, fronted: Fronted | None) -> Outcome:
    """Write dmcp into a tool, and with ``fronted`` switch off there what dmcp stands in front of.

    Raises:
        ConfigError: a file is not as it should be, another server has the name, or the tool's command failed.
    """
    entry = host.spell(start)
    path, keys, present = _entry_in(host, scope, machine)
    was_there = _covers(present, entry)
    if present is not ABSENT and not was_there:
        raise ConfigError(
            f'{path}: {host.tool.title} has a server named "{NAME}" already, with other settings. '
            f"dmcp uninstall {host.tool.name}{' --global' if scope == 'user' else ''} takes it out, "
            "if it is dmcp; otherwise rename it"
        )
    record = Record(host.tool, scope, machine)
    kept = record.changes()
    if fronted is not None:
        switches(host, scope, machine, fronted)  # what cannot be read is said before anything is written
    own = None if was_there else _own(host, scope, machine, start)
    if not was_there:
        _check_place(path, machine)  # the tool's own command would follow a link too
    made = record.made()
    original = read_text(path) if own is not None and path.exists() else None
    if own is not None:
        made.note_missing(path)
        own_command.run(own.add, machine)
        path, keys, present = _entry_in(host, scope, machine)
        if present is ABSENT:
            raise ConfigError(f"{' '.join(own.add[:3])} did not put dmcp into {path}; add it by hand")
    changes = [] if was_there else _entry_changes(path, keys, present, entry)
    off = switches(host, scope, machine, fronted) if fronted is not None else Switches()
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
    return Outcome(path, was_there, through, off)


def take_out(host: Host, scope: Scope, machine: Machine) -> Outcome:
    """Take dmcp out of a tool, and put back what was switched off for it.

    Raises:
        ConfigError: dmcp is not in it, a file is not as it should be, or the tool's command failed.
    """
    path, keys, present = _entry_in(host, scope, machine)
    record = Record(host.tool, scope, machine)
    changes = record.changes()
    mine = is_dmcp(present)
    if not changes and not mine:
        raise ConfigError(f"{path}: dmcp is not in {host.tool.title}{_elsewhere(host, scope)}")
    own = _own(host, scope, machine, Start(NAME, ())) if mine else None
    switched = [change for change in changes if change.keys[: len(keys)] != keys]
    made = record.made()
    if own is not None:
        _check_place(path, machine)
        own_command.run(own.remove, machine)
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
    return Outcome(
        path,
        was_there=is_dmcp(present),
        through=" ".join(own.remove[:3]) if own else None,
        restored=restored,
        left=tuple(left),
    )


def _elsewhere(host: Host, scope: Scope) -> str:
    if not host.tool.project or not host.tool.user:
        return ""
    return (
        " for this project; --global looks in your own files"
        if scope == "project"
        else ", not in your own files"
    )


def _entry_in(host: Host, scope: Scope, machine: Machine) -> tuple[Path, tuple[str, ...], Any]:
    """Where dmcp's entry is, or belongs when it is not there: the last of the tool's files, else its first place.

    Raises:
        ConfigError: a file of the tool cannot be read.
    """
    places = [(path, (*keys, NAME)) for path, keys in locations(host.tool, scope, machine)]
    shadowing = [place.unless.rpartition("/")[2] for place in host.tool.project if place.unless]
    if not places and scope == "project" and shadowing:
        raise ConfigError(
            f"{host.tool.title} reads {shadowing[0]} here and no file of its own beside it, and that one belongs to "
            "everybody who works on the project: add --global, or put dmcp into it by hand"
        )
    if not places:
        raise ConfigError(f"{host.tool.title} has no place for servers on this platform")
    chosen = places[0]
    for path, keys in places:
        contents = contents_of(path)
        if contents is not None and (present := value_at(contents, keys)) is not ABSENT:
            return path, keys, present
        if contents is not None and path != chosen[0]:
            chosen = (path, keys)
    return *chosen, ABSENT


def _covers(present: Any, entry: Mapping[str, Any]) -> bool:
    """Whether an entry says all that dmcp's would; what a person added to it does not matter."""
    return isinstance(present, Mapping) and all(present.get(key) == value for key, value in entry.items())


def _own(host: Host, scope: Scope, machine: Machine, start: Start) -> OwnCommand | None:
    found = host.command(scope, start)
    return found if found is not None and own_command.there(found.add, machine) else None


def _entry_changes(path: Path, keys: tuple[str, ...], present: Any, entry: Mapping[str, Any]) -> list[Change]:
    """The changes that make the entry what it should be; after the tool's own command, what that cannot say."""
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
    texts: dict[Path, str] = {}
    before: dict[Path, str] = {}
    for change in changes:
        text = texts.get(change.file)
        if text is None:
            text = before[change.file] = read_text(change.file) if change.file.exists() else ""
        texts[change.file] = edited(text, change.file, change.keys, change.after)
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
    """Take away what dmcp has put on the disk and nobody has used since: hollow files, backups, empty directories."""
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
    """The backup is of the file before the tool's own command, if it was there, not of what that made of it."""
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
    """Undo changes, the last one first. Returns what was left, because somebody changed it since."""
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
        for keys, value in steps:
            text = edited(text, change.file, keys, value)
        texts[change.file] = text
        if change.made == len(change.keys):
            empty.add(change.file)
    for path, text in texts.items():
        if path in empty and not parsed(text, path):
            path.unlink()
        elif text != (before := read_text(path)):
            _write_file(path, text, before, machine, keep=False)
    return left


def _servers_of(change: Change, entry: tuple[str, ...]) -> list[str]:
    """The names of the servers a change was about."""
    above = len(entry) - 1
    if change.keys[:above] == entry[:above]:
        name = change.keys[above]
        return [] if name == NAME else [name]
    return change.put_in()
