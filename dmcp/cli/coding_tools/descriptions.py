"""What a server is good for, when the tool it comes from does not say: what is known of it without starting it.

That is what its package says, where package managers have left one on this disk, else a plain sentence from its command
or host: of a command only its name and what looks like a package is used, so that no secret gets in. A description
nobody has written ends with ``GENERATED``, or is that plain sentence; who wants another one writes it. No network.

Looked at are the folders in which npm, pnpm, bun, uv, pipx and pip keep what they have installed or once run, and the
project a script lies in. A package's text is a stranger's: of its summary one line is taken, of its page the names of
tools, both cut and made printable. How much is looked at is limited; what cannot be read says nothing.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from dmcp.cli.coding_tools.model import Address
from dmcp.programs import find_program
from dmcp.protocol.descriptions import STARTED_BY, composed, plain_sentence
from dmcp.store import files
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dmcp.cli.coding_tools.model import Command, ImportedServer
    from dmcp.cli.coding_tools.places import Machine

_RUNNERS = frozenset(
    {"npx", "bunx", "uvx", "pnpx", "pipx", "uv", "pnpm", "yarn", "bun", "deno", "docker", "podman"}
)
_VERBS = frozenset({"run", "dlx", "exec", "x", "tool"})
_FLAGS = frozenset({"-y", "--yes", "-q", "--quiet", "--bun", "--silent", "--prefer-offline", "--isolated"})
_IMAGE = re.compile(r"[a-z0-9][\w.-]*(?:/[\w.-]+)+(?::[\w.-]+)?")
_PACKAGE = re.compile(r"@?[A-Za-z0-9][\w.-]*(/[\w.-]+)*([@:=]{1,2}[\w.^~*-]+)?")


def suggestion(server: ImportedServer, known: About | None = None) -> str:
    """Return one sentence on a server, without the values of arguments, variables or headers."""
    if known is not None:
        return composed(known.summary or f"The {server.name} server", known.tools)
    return _plain_suggestion(server)


def _plain_suggestion(server: ImportedServer) -> str:
    target = server.target
    if isinstance(target, Address):
        host = _host(target.url)
        return f"{plain_sentence(server.name)} at {host}" if host else plain_sentence(server.name)
    return f"{plain_sentence(server.name)}{STARTED_BY}{_program(target)}"


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _program(command: Command) -> str:
    if "$" in command.command:
        return "a command of its own"
    name = PurePath(command.command.replace("\\", "/")).name or command.command
    stem = name.removesuffix(".exe").removesuffix(".cmd")
    if stem not in _RUNNERS:
        return stem
    if stem in {"docker", "podman"}:
        package = next((word for word in command.args if _IMAGE.fullmatch(word)), "")
    else:
        package = _package(command.args)
    if package.partition("@")[0] == "mcp-remote" and (hosts := [*filter(None, map(_host, command.args))]):
        return f"{stem} mcp-remote for {hosts[0]}"
    return f"{stem} {package}" if package else stem


def _package(args: tuple[str, ...]) -> str:
    """Return what a runner runs; nothing behind an option that is not known, whose value it may be."""
    words = iter(args)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif word not in _VERBS and word not in _FLAGS:
            return word if _PACKAGE.fullmatch(word) else ""
    return ""


_LARGEST: Final = 256 * 1024  # bytes of a page or a manifest that are read; longer ones are not
_FOLDERS: Final = 2000  # folders of one cache that are looked into
_TOOLS: Final = 40  # names of tools taken from a page
_SUMMARY: Final = 160  # characters
_NPM_NAME: Final = re.compile(r"(?:@[a-z0-9~][a-z0-9._~-]{0,99}/)?[a-z0-9~][a-z0-9._~-]{0,99}", re.IGNORECASE)
_PYTHON_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_HEADING: Final = re.compile(r"(#{1,6})\s+(.{0,200})")
# The name of a tool as pages write it: in bold or as code, at the beginning of an item, a heading or a table's row.
_NAMED: Final = re.compile(
    r"(?:[-*|]|\d{1,3}\.|#{2,6})\s{1,4}(?:\*\*)?`?(?:\*\*)?([A-Za-z][A-Za-z0-9]{0,30}(?:[_-][A-Za-z0-9]{1,30}){0,6})[`*(:\s]"
)
_ABOUT_TOOLS: Final = re.compile(r"\b(?:tools?|api|functions)\b", re.IGNORECASE)
_ABOUT_OTHERS: Final = re.compile(
    r"\b(?:resources?|prompts?|annotations?|hints?|usage|examples?|install\w*|config\w*|parameters?)\b",
    re.IGNORECASE,
)
# A line above a list of what is no tool: "**Parameters:**", "Region Code Examples:".
_LEADS_TO_OTHERS: Final = re.compile(
    r"[*_]{0,2}[^*:|`-]{0,40}\b(?:inputs?|parameters?|params|arguments?|args|returns?|outputs?|options?|examples?"
    r"|usage|notes?)\b[^*:`]{0,20}:?[*_]{0,2}:?\s*$",
    re.IGNORECASE,
)
_NPM_RUNNERS: Final = frozenset({"npx", "bunx", "pnpx", "pnpm", "yarn", "bun", "npm"})
_PYTHON_RUNNERS: Final = frozenset({"uvx", "uv", "pipx"})
_WITH_VALUE: Final = frozenset(
    {"--from", "--package", "-p", "--spec", "--with", "--python", "--directory", "--project"}
)
_NAMING: Final = frozenset({"--from", "--package", "-p", "--spec"})


class About(NamedTuple):
    """What is known of a package.

    Attributes:
        summary: one line in its own words; may be empty.
        tools: names of tools that its page lists.
    """

    summary: str
    tools: tuple[str, ...] = ()


def about(target: Command, machine: Machine) -> About | None:
    """Return what the package of a server says, ``None`` when nothing of it is found on this disk. Blocks."""
    with suppress(OSError, ValueError, RecursionError):
        return next((found for found in _all(target, machine) if found.summary or found.tools), None)
    return None


def _all(target: Command, machine: Machine) -> Iterator[About]:
    program = re.split(r"[/\\]", target.command)[-1]
    for end in (".exe", ".cmd"):
        program = program.removesuffix(end)
    if program in _NPM_RUNNERS:
        name = _npm_name(_named_package(target.args))
        yield from _of_npm(name, machine) if name else ()
    elif program in _PYTHON_RUNNERS:
        project = _value_of(target.args, ("--directory", "--project"))
        yield from _of_project(Path(project).expanduser()) if project and "$" not in project else ()
        name = _python_name(_named_package(target.args))
        yield from _of_python(name, machine) if name else ()
    elif program in {"node", "deno", "tsx"} or program.startswith("python"):
        yield from _of_script(target, machine, program)
    else:
        yield from _of_program(target.command, program, machine)


def _named_package(args: tuple[str, ...]) -> str:
    """Return the word of a runner's arguments that names the package, as it stands there."""
    named = _value_of(args, tuple(_NAMING))
    if named:
        return named
    skip = False
    for word in args:
        if skip or word in _VERBS:
            skip = False
        elif word.startswith("-"):
            skip = word in _WITH_VALUE
        else:
            return word
    return ""


def _value_of(args: tuple[str, ...], options: tuple[str, ...]) -> str:
    for place, word in enumerate(args):
        if word in options and place + 1 < len(args):
            return args[place + 1]
        for option in options:
            if option.startswith("--") and word.startswith(f"{option}="):
                return word.partition("=")[2]
    return ""


def _npm_name(word: str) -> str:
    name = word[:1] + word[1:].partition("@")[0]
    return name if _NPM_NAME.fullmatch(name) and ".." not in name else ""


def _python_name(word: str) -> str:
    name = re.split(r"[\[@=<>~!; ]", word, maxsplit=1)[0]
    return name if _PYTHON_NAME.fullmatch(name) else ""


# npm and its like -----------------------------------------------------------------------------------------------------


def _of_npm(name: str, machine: Machine) -> Iterator[About]:
    for modules in _module_folders(machine):
        yield from _of_npm_package(modules / name)
    bun = machine.home / ".bun/install/cache"
    for folder in _matching(bun / name.rpartition("/")[0], f"{name.rpartition('/')[2]}@*"):
        yield from _of_npm_package(folder)


def _module_folders(machine: Machine) -> Iterator[Path]:
    home, environ = machine.home, machine.environ
    yield from (folder / "node_modules" for folder in (machine.cwd, *machine.cwd.parents))
    local = Path(environ.get("LOCALAPPDATA") or home / "AppData/Local")
    cache = Path(
        environ.get("npm_config_cache")
        or (local / "npm-cache" if machine.platform == "win32" else home / ".npm")
    )
    yield from (folder / "node_modules" for folder in _matching(cache / "_npx", "*"))
    yield from (folder / "node_modules" for folder in _matching(home / ".cache/pnpm/dlx", "*/*"))
    node = find_program("node", environ)
    prefixes = [Path(node).resolve().parent.parent] if node else []
    prefixes += [home / ".npm-global", home / ".local", *_matching(home / ".nvm/versions/node", "*")]
    yield from (prefix / "lib/node_modules" for prefix in prefixes)
    yield home / ".bun/install/global/node_modules"
    if environ.get("APPDATA"):
        yield Path(environ["APPDATA"]) / "npm/node_modules"


def _of_npm_package(folder: Path) -> Iterator[About]:
    text = _text(folder / "package.json")
    if not text:
        return
    manifest = json.loads(text)
    if isinstance(manifest, dict):
        page = _text(folder / "README.md") or _text(folder / "readme.md")
        yield About(_summary(manifest.get("description")) or _first_paragraph(page), _tools(page))


# uv, pipx and pip -----------------------------------------------------------------------------------------------------


def _of_python(name: str, machine: Machine) -> Iterator[About]:
    home, environ = machine.home, machine.environ
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    cache = Path(environ.get("UV_CACHE_DIR") or Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "uv")
    tools = Path(environ.get("UV_TOOL_DIR") or data / "uv/tools")
    venvs = (tools / name, data / "pipx/venvs" / name, home / ".local/pipx/venvs" / name)
    for venv in venvs:
        yield from _of_distribution(name, _site_packages(venv))
    for archive in _matching(cache, "archive-v*/*"):
        yield from _of_distribution(name, (archive, *_site_packages(archive)))
    yield from _of_distribution(name, _matching(home / ".local/lib", "python*/site-packages"))


def _site_packages(venv: Path) -> tuple[Path, ...]:
    return (*_matching(venv / "lib", "python*/site-packages"), venv / "Lib/site-packages")


def _of_distribution(name: str, folders: Iterable[Path]) -> Iterator[About]:
    wanted = _normal(name)
    for folder in folders:
        for info in _matching(folder, "*.dist-info"):
            if _normal(info.name.partition("-")[0]) == wanted:
                yield _of_metadata(_text(info / "METADATA"))


def _of_metadata(text: str) -> About:
    head, _, page = text.partition("\n\n")
    found = re.search(r"^Summary: (.{1,500})", head, re.MULTILINE)
    return About(_summary(found[1] if found else "") or _first_paragraph(page), _tools(page))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# Scripts and programs -------------------------------------------------------------------------------------------------


def _of_script(target: Command, machine: Machine, program: str) -> Iterator[About]:
    if program.startswith("python") and target.args[:1] == ("-m",) and len(target.args) > 1:
        name = _python_name(target.args[1])
        python = find_program(target.command, machine.environ) if name else None
        if python:
            yield from _of_distribution(name, _site_packages(Path(python).parent.parent))
        return
    script = next((word for word in target.args if not word.startswith("-") and word not in _VERBS), "")
    if not script or "$" in script:
        return
    path = Path(target.cwd or machine.cwd) / Path(script).expanduser()
    for folder in path.parents[:4]:
        yield from _of_npm_package(folder) if program != "python" else ()
        yield from _of_project(folder)
        if folder in (machine.home, machine.cwd):  # above, it is another project
            break


def _of_project(folder: Path) -> Iterator[About]:
    text = _text(folder / "pyproject.toml")
    if text:
        import tomllib  # noqa: PLC0415 - seldom needed

        project = tomllib.loads(text).get("project")
        if isinstance(project, dict):
            page = _text(folder / "README.md")
            yield About(_summary(project.get("description")), _tools(page))


def _of_program(command: str, program: str, machine: Machine) -> Iterator[About]:
    """Yield what is known of a program that a package has installed: it lies beside the interpreter it runs with."""
    name = _python_name(program)
    path = find_program(command, machine.environ) if name and "$" not in command else None
    if path:
        for place in dict.fromkeys((Path(path), Path(path).resolve())):
            yield from _of_distribution(name, _site_packages(place.parent.parent))
            yield from _of_npm(_npm_name(name), machine)


# Texts ----------------------------------------------------------------------------------------------------------------


def _matching(folder: Path, pattern: str) -> tuple[Path, ...]:
    """Return the folders of this pattern, in no order; none where nothing can be read."""
    try:
        return tuple(islice(folder.glob(pattern), _FOLDERS))
    except OSError:
        return ()


def _text(path: Path) -> str:
    try:
        return files.read(path, _LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""


def _summary(value: object) -> str:
    line = " ".join(value[:1000].split()) if isinstance(value, str) else ""
    return printable(line, _SUMMARY).rstrip(".")


def _first_paragraph(page: str) -> str:
    """Return the first line of a page that is prose: no heading, picture, list, table, quotation, code or HTML."""
    prose = (line.strip() for line in page.splitlines()[:60])
    found = next((line for line in prose if line[:1].isalpha() and " " in line), "")
    return _summary(re.split(r"(?<=[.!?])\s", found[:1000], maxsplit=1)[0])


def _tools(page: str) -> tuple[str, ...]:
    """Return the names of tools in those parts of a page whose heading says that they are about tools."""
    names: dict[str, None] = {}
    depth, inside, others = 0, False, False
    for line in page.splitlines():
        heading = _HEADING.match(line)
        others = not heading and (others or bool(_LEADS_TO_OTHERS.match(line)))
        if heading and (depth == 0 or len(heading[1]) <= depth):
            inside = bool(_ABOUT_TOOLS.search(heading[2]))
            depth = len(heading[1]) if inside else 0
            continue
        if heading:
            inside = not _ABOUT_OTHERS.search(heading[2])
        found = _NAMED.match(f"{line} ") if inside and depth and not others else None
        # Without a second part it is an ordinary word as often as a name.
        if found and (
            "_" in found[1] or "-" in found[1] or f"`{found[1]}`" in line or f"**{found[1]}**" in line
        ):
            names[found[1]] = None
        if len(names) >= _TOOLS:
            break
    return tuple(names)
