"""How the tools spell a reference to an environment variable, rewritten to dmcp's ``${VAR}``.

A ``Syntax`` is an ordered list of rules; text that no rule takes is literal, and a literal ``${`` is escaped,
so that a value which meant nothing to the tool does not begin to mean something to dmcp.
Not here: resolving references. That is ``dmcp.config.references``, at the time dmcp starts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dmcp.config.references import escape

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_WHOLE = "put the whole value into one environment variable and refer to that"


@dataclass(frozen=True, slots=True)
class Problem:
    """A reference dmcp has no equivalent for, and what the user can do about it."""

    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference in dmcp's spelling; with a problem, it is one only once the user has done something."""

    text: str
    problem: Problem | None = None


Replacement = Reference | str
"""What replaces a tool's reference; a plain ``str`` is the value itself."""
Rule = tuple[re.Pattern[str], Callable[[re.Match[str], Mapping[str, str]], Replacement]]
"""What to look for, and what it becomes, given the tool's predefined variables (``workspaceFolder``)."""


@dataclass(frozen=True, slots=True)
class Syntax:
    """A tool's way to refer to variables.

    Attributes:
        rules: what is a reference; the first that matches at a position wins.
        spelled: the same for people, in Markdown.
    """

    rules: tuple[Rule, ...]
    spelled: str

    def __add__(self, other: Syntax) -> Syntax:
        """Return both ways at once; the rules of the first win."""
        return Syntax((*self.rules, *other.rules), f"{self.spelled}; {other.spelled}")


def convert(text: str, syntax: Syntax, variables: Mapping[str, str]) -> tuple[str, list[Problem]]:
    """Return a tool's text in dmcp's spelling.

    Args:
        text: the value as the tool's file has it.
        syntax: the tool's way to refer to variables.
        variables: the tool's predefined variables.

    Returns:
        The text, and the references dmcp has no equivalent for. They became references to variables that
        the user has to set, so that a server without its secret says so instead of sending nonsense.
    """
    done: list[str] = []
    problems: list[Problem] = []
    literal = ""
    at = 0
    while at < len(text):
        end, replacement = _replacement(text, at, syntax, variables)
        at, taken = end, text[at:end]
        if isinstance(replacement, str):
            literal += replacement
        elif literal.endswith("$"):
            # In dmcp's own spelling a dollar before a reference makes a literal of it.
            problems.append(Problem(f"a dollar sign right before {taken}", _WHOLE))
            literal += taken
        else:
            problems += [replacement.problem] if replacement.problem is not None else []
            done += (escape(literal), replacement.text)
            literal = ""
    return "".join((*done, escape(literal))), problems


def _replacement(text: str, at: int, syntax: Syntax, variables: Mapping[str, str]) -> tuple[int, Replacement]:
    """Return what stands at a position and where it ends; text ends where a reference could begin."""
    for pattern, become in syntax.rules:
        match = pattern.match(text, at)
        if match is not None:
            return match.end(), become(match, variables)
    following = [found for sign in "${" if (found := text.find(sign, at + 1)) >= 0]
    end = min(following, default=len(text))
    return end, text[at:end]


def foreign(text: str, syntax: Syntax) -> str | None:
    """Return the first thing in a text that is a reference for other tools only, and literal text for this one."""
    for found in _LOOKS_LIKE_ONE.finditer(text):
        if not any(pattern.match(text, found.start()) for pattern, _ in syntax.rules):
            return "$(...)" if found.group().startswith("$(") else found.group()
    return None


def _reference(match: re.Match[str], variables: Mapping[str, str]) -> Replacement:
    name = match["name"]
    if name in _PLUGINS_OWN:
        value = variables.get(_PLUGINS_OWN[name])
        return _to_be_set(match, "is known to that tool only") if value is None else value
    default = match.groupdict().get("default")
    if default is None:
        return Reference(f"${{{match['name']}}}")
    return Reference(f"${{{match['name']}:-{escape(default)}}}")


def _predefined(match: re.Match[str], variables: Mapping[str, str]) -> Replacement:
    value = variables.get(match["name"])
    return _to_be_set(match, "is known to that editor only") if value is None else value


def _asked(match: re.Match[str], variables: Mapping[str, str]) -> Replacement:
    """Return a reference to a variable to be set, with the default that the editor would suggest."""
    default = variables.get(f"input:{match['name']}", "")
    options = variables.get(f"options:{match['name']}", "")
    return _to_be_set(match, "is asked for by the editor", default, f" (one of {options})" if options else "")


def _to_be_set(match: re.Match[str], why: str, default: str = "", options: str = "") -> Reference:
    name = _variable_name(match["name"])
    if default and "}" not in default:  # which would end it
        advice = f"it became ${{{name}}} with its default; set that environment variable for another value{options}"
        return Reference(f"${{{name}:-{escape(default)}}}", Problem(f"{match.group()} {why}", advice))
    advice = f"it became ${{{name}}}; set that environment variable before dmcp starts{options}"
    return Reference(f"${{{name}}}", Problem(f"{match.group()} {why}", advice))


def _variable_name(text: str) -> str:
    """Return a name that an environment variable can have."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").upper()
    return name if re.match(r"[A-Z]", name) else f"VALUE_{name}".rstrip("_")


_PLUGINS_OWN: Mapping[str, str] = {
    **dict.fromkeys(
        ("CLAUDE_PLUGIN_ROOT", "CLAUDE_PROJECT_DIR", "extensionPath", "workspacePath"), "workspaceFolder"
    ),
    "CLAUDE_PLUGIN_DATA": "",
}
"""What tools define for the files of plugins and projects, as the editors' variable of the same meaning."""
_LOOKS_LIKE_ONE = re.compile(
    r"\$\{[^{}\s][^{}]*\}|\{(?:env|file):[^{}]+\}|\$\([^()]+\)|\$PROJECT_DIR\$|%[A-Z_]{4,}%"
    r"|(?:(?<=\s)|^)\$[A-Z][A-Z0-9_]{2,}(?=[/\s]|$)"
)
_DEFAULTED = re.compile(rf"\$\{{(?P<name>{_NAME})(?::-(?P<default>[^}}]*))?\}}", re.ASCII)
_BRACED = re.compile(rf"\$\{{(?P<name>{_NAME})\}}")
_BARE = re.compile(rf"\$(?P<name>{_NAME})")
_ENV_COLON = re.compile(rf"\$\{{env:(?P<name>{_NAME})\}}")
_EDITOR = re.compile(
    r"\$\{(?P<name>workspaceFolder|workspaceFolderBasename|userHome|cwd|pathSeparator|/"
    r"|(?:command|config):[^}]*|workspaceFolder:[^}]*"
    r"|file|fileWorkspaceFolder|relativeFile|relativeFileDirname|fileBasename|fileBasenameNoExtension|fileExtname"
    r"|fileDirname|fileDirnameBasename|lineNumber|columnNumber|selectedText|execPath|defaultBuildTask)\}"
)
_SEPARATOR = re.compile(r"\$\{(?P<name>/|pathSeparator)\}")
_INPUT = re.compile(r"\$\{input:(?P<name>[^}]*)\}")
_USER_CONFIG = re.compile(r"\$\{user_config\.(?P<name>[^}]*)\}")
_OPENCODE_ENV = re.compile(rf"\{{env:(?P<name>{_NAME})\}}")
_OPENCODE_FILE = re.compile(r"\{file:(?P<name>[^}]*)\}")
_SECRETS = re.compile(rf"\$\{{\{{\s*(?:secrets|inputs)\.(?P<name>{_NAME})\s*\}}\}}")

_EDITORS_OWN = (
    "`${workspaceFolder}`, `${userHome}` and the like become the paths, `${input:ID}` a variable to be set "
    "(with the default of the input)"
)

NOTHING = Syntax((), "none, `${X}` is literal and is escaped as `$${X}`")
EXTENSION = Syntax(
    ((_USER_CONFIG, lambda match, _: _to_be_set(match, "is known to the application only")),), NOTHING.spelled
)
BRACES = Syntax(((_DEFAULTED, _reference),), "`${VAR}`, `${VAR:-default}`")
PLAIN_BRACES = Syntax(((_BRACED, _reference),), "`${VAR}`")
SHELL = Syntax(
    ((_DEFAULTED, _reference), (_BARE, _reference), (_SEPARATOR, _predefined)),
    "`$VAR`, `${VAR}`, `${VAR:-default}`",
)
PLAIN_SHELL = Syntax(((_BRACED, _reference), (_BARE, _reference)), "`$VAR`, `${VAR}`")
EDITOR = Syntax(
    ((_ENV_COLON, _reference), (_EDITOR, _predefined), (_INPUT, _asked)), f"`${{env:VAR}}`; {_EDITORS_OWN}"
)
CURLY = Syntax(
    (
        (_OPENCODE_ENV, _reference),
        (_OPENCODE_FILE, lambda match, _: _to_be_set(match, "is the contents of a file")),
    ),
    "`{env:VAR}`; `{file:PATH}` becomes a variable to be set",
)
TEMPLATED = Syntax(((_SECRETS, _reference),), "`${{ secrets.VAR }}`, `${{ inputs.VAR }}`")
