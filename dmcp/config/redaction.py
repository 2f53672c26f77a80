"""Which parts of a server's entry are secrets: for showing the entry, and for keeping the values out of every text.

One reading of arguments, environment, headers and addresses, used by the log (values to mask), by ``dmcp import``,
``check``, ``plan`` and errors. Pure. Shown is what cannot be a secret; what may be one is masked, and a reference to a
variable is shown, because it is none. Not here: taking known values out of a text (``dmcp.masking``).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from dmcp.config.checks import url_secrets
from dmcp.text import word_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MASK: Final = "***"

_REFERENCE_ONLY: Final = re.compile(r"(?:Bearer |Basic |token )?(?:\$\{[A-Za-z_][A-Za-z0-9_]*\})+")
_REFERENCE: Final = re.compile(r"\$\{[^{}]*\}")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_TELLING_WORDS: Final = word_set(
    "auth apikey authorization bearer cookie cookies cred creds credential credentials dsn jwt key keys otp"
    " pass passcode passphrase passwd password pat pin private pw pwd secret secrets session signature token"
    " tokens"
)
_TELLING_PARTS: Final = (
    "token",
    "secret",
    "passw",
    "passphrase",
    "apikey",
    "credential",
    "authorization",
    "cookie",
)
_NO_SECRETS: Final = frozenset(
    {"file", "path", "dir", "directory", "type", "url", "uri", "name", "id", "env", "method"}
)
"""Last words of a name that make it one of a place or a kind: ``--key-file``, ``AUTH_TYPE``."""

_HARMLESS_HEADERS: Final = word_set(
    "accept accept-encoding accept-language content-type user-agent host origin connection cache-control"
)
_HARMLESS: Final = word_set(
    "true false yes no none null nil undefined default auto enabled disabled debug info warn warning error"
    " trace verbose silent quiet production development staging test testing local localhost stdio http https"
    " sse json yaml text utf-8 basic bearer token oauth oauth2 password secret readonly read-only read write"
    " admin user root main master latest always never required optional strict node python npx uvx docker"
    " bash public private"
)
_PREFIXES: Final = re.compile(
    r"(?:sk|pk|rk|gh[pousr]|github_pat|glpat|xox[a-z]|xapp|npm|pypi|hf|shpat|dop_v1|figd|lin_api|ntn|secret|tvly|"
    r"AKIA|ASIA|AIza|eyJ|ya29|SG|pat|key)[-_.A-Za-z0-9]{8,}"
)
_PIECE: Final = re.compile(r"[A-Za-z0-9]{16,}")
_TURN: Final = re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]")
_HEX: Final = re.compile(r"[0-9a-fA-F]{20,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_NAME: Final = re.compile(r"[A-Za-z0-9_.\-/$\[\]]{1,80}")
_PAIR_IN_TEXT: Final = re.compile(r"(?:^|[\s;&,?])([A-Za-z0-9_.\-]{1,80})=([^\s;&,]+)")
_OPTION_IN_TEXT: Final = re.compile(r"(?:^|\s)(--?[A-Za-z][A-Za-z0-9-]{0,80})\s([^\s]+)")
_HEADER_IN_TEXT: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9-]{0,80}): ?(?:(?:Bearer|Basic|token) )?([^\s\"']{4,})"
)
_PAIR_IN_JSON: Final = re.compile(r'"([^"\\]{1,80})"\s{0,20}:\s{0,20}"((?:[^"\\]|\\.)*)"')
_LONGEST_JSON: Final = 256 * 1024  # characters of an argument that are read as JSON
_SCHEME: Final = re.compile(r"(?:Bearer|Basic|token|Digest|Negotiate) {1,10}", re.IGNORECASE)
_SHORT_ATTACHED: Final = re.compile(r"-([A-Za-z])(.+)", re.DOTALL)
_OPTIONS: Final = word_set(
    "ort orts ath aths rofile roject rint retty ackage ackages rod refix rotocol ublic lugin lugins id ipe"
    " ages arallel age roxy rovider rompt reset review"
)
"""What makes ``-p`` an option of one dash and several letters (``-port``)."""

_NUMBER: Final = re.compile(r"[0-9.:,]{1,6}")
_WORDS: Final = re.compile(r"[a-z]{1,7}")


def is_telling(name: str) -> bool:
    """Return whether a name (of an option, variable, header, key) says that its value is a secret."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _NO_SECRETS:
        return False
    plain = "".join(words)
    return any(word in _TELLING_WORDS for word in words) or any(part in plain for part in _TELLING_PARTS)


def is_opaque(value: str) -> bool:
    """Return whether a value looks like a token whatever it is called: nobody gives such names to things."""
    if len(value) < 12 or "://" in value or any(sign.isspace() for sign in value):  # noqa: PLR2004 - shorter is a word
        return False
    if _PREFIXES.fullmatch(value) or _HEX.fullmatch(value):
        return True
    if _BASE64.fullmatch(value) and not value.startswith("/") and len(_TURN.findall(value)) > 3:  # noqa: PLR2004
        return any(c.isupper() for c in value) or "-" not in value
    return any(len(_TURN.findall(piece)) > 1 for piece in _PIECE.findall(value)) and "/" not in value


def is_harmless(value: str) -> bool:
    """Return whether a value is so common that masking it would only garble texts: a word, a small number, a path."""
    plain = value.strip()
    if plain.lower() in _HARMLESS or _NUMBER.fullmatch(plain):
        return True
    is_path = plain.startswith(("/", "~/", "./", "../")) or plain[1:3] in (":\\", ":/")
    return is_path and not any(is_opaque(part) for part in re.split(r"[/\\]", plain))


def secrets_of_args(args: Sequence[str]) -> set[str]:
    """Return the secret values in a server's arguments; harmless words are left out."""
    found: set[str] = set()
    for index, start, stop in _spans(args):
        value = args[index][start:stop]
        found.update((value, value.partition(" ")[2], unquote(value), value.replace('\\"', '"')))
    found |= {secret for arg in args if "://" in arg for secret in url_secrets(arg)}
    return {value for value in found if value and not is_harmless(value)}


def secrets_of_env(env: Mapping[str, str]) -> set[str]:
    """Return the secret values of an environment: all that could be one, whatever the variable is called."""
    found: set[str] = set()
    for name, value in env.items():
        if is_harmless(value) or (_WORDS.fullmatch(value) and not is_telling(name)):
            continue
        found |= {value}
        if "://" in value:
            found |= {secret for secret in url_secrets(value) if not is_harmless(secret)}
        found |= secrets_of_args([value]) if value[:1] in "{[" else set()
    return found


def secrets_of_headers(headers: Mapping[str, str]) -> set[str]:
    """Return the secret values of headers, each with and without its scheme ("Bearer TOKEN")."""
    found: set[str] = set()
    for name, value in headers.items():
        if name.lower() not in _HARMLESS_HEADERS:
            found |= {value, value.partition(" ")[2]}
    return {value for value in found if value and not is_harmless(value)}


def redacted(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry as it may be shown: values of env, headers, secrets, arguments and URL queries masked."""
    shown = dict(entry)
    for key in ("env", "headers"):
        if isinstance(shown.get(key), dict):
            shown[key] = {name: _value(value) for name, value in shown[key].items()}
    if isinstance(shown.get("args"), list):
        shown["args"] = arguments(shown["args"])
    if isinstance(shown.get("url"), str):
        shown["url"] = address(shown["url"])
    oauth = shown.get("oauth")
    if isinstance(oauth, dict) and "client_secret" in oauth:
        shown["oauth"] = {**oauth, "client_secret": _value(oauth["client_secret"])}
    return shown


def named_values(pairs: Mapping[str, str]) -> dict[str, str]:
    """Return variables or headers, those masked whose name tells of a secret or whose value looks like one."""
    return {
        name: _value(value) if is_telling(name) or is_opaque(value) else arguments([value])[0]
        for name, value in pairs.items()
    }


def arguments(args: Sequence[str], shows: Callable[[str], bool] | None = None) -> list[str]:
    """Return the arguments as they may be shown: those parts masked that are, or may be, secrets.

    Args:
        args: all of them, because an option says what its value is.
        shows: whether a part is shown although it may be a secret; without it none is.
    """
    spans: dict[int, list[tuple[int, int]]] = {}
    for index, start, stop in _spans(args):
        if shows is None or not shows(args[index][start:stop]):
            spans.setdefault(index, []).append((start, stop))
    return [
        _masked(address(arg) if "://" in arg and n not in spans and shows is None else arg, spans.get(n, ()))
        for n, arg in enumerate(args)
    ]


def address(url: str) -> str:
    """Return a URL without what may identify a user: user, password, query and fragment."""
    before, separator, rest = url.partition("://")
    if not separator:
        return url
    end = min((place for sign in "?#" if (place := _outside(rest, sign)) >= 0), default=len(rest))
    body, tail = rest[:end], rest[end:]
    authority, slash, path = body.partition("/")
    user, at, host = authority.rpartition("@")
    known = f"{user if _REFERENCE_ONLY.fullmatch(user.replace(':', '')) else MASK}{at}" if at else ""
    return f"{before}://{known}{host}{slash}{path}" + (f"?{MASK}" if len(tail) > 1 else "")


def _outside(text: str, sign: str) -> int:
    """Return where a character stands outside of references; -1 if nowhere."""
    blank = _REFERENCE.sub(lambda match: " " * len(match.group()), text)
    return blank.find(sign)


def _masked(arg: str, spans: Iterable[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    for start, stop in sorted(spans):
        if start >= done and not _REFERENCE_ONLY.fullmatch(arg[start:stop]):
            parts += (arg[done:start], MASK)
            done = stop
    return "".join((*parts, arg[done:]))


def _value(value: Any) -> Any:
    return value if not isinstance(value, str) or not value or _REFERENCE_ONLY.fullmatch(value) else MASK


def _spans(args: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yield the secret parts of arguments: the argument's index, and where the part begins and ends."""
    option = ""
    for index, arg in enumerate(args):
        is_value = bool(option) and not arg.startswith("--")
        if is_value and _is_header_option(option):
            found = list(_in_header(arg, 0, explicit=True)) or ([] if ":" in arg else [(0, len(arg))])
        elif is_value and is_telling(option) and not _NAME_VALUE.match(arg):
            found = [(0, len(arg))]
        else:
            found = list(_in_text(arg, 0))
        yield from ((index, start, stop) for start, stop in found if stop > start)
        option = arg if arg.startswith("-") and "=" not in arg else ""


_NAME_VALUE: Final = re.compile(r"[A-Z][A-Z0-9_]*=")


def _is_header_option(option: str) -> bool:
    return option.lstrip("-").lower() in ("h", "header", "headers", "http-header")


def _in_text(text: str, at: int) -> Iterator[tuple[int, int]]:
    """Yield the secret parts of ``text[at:]``, which is an argument or the value of an option."""
    value = text[at:]
    name, equals, _ = value.partition("=")
    start = at + len(name) + 1
    if value[:1] in ("{", "["):
        yield from _in_json(text, at)
    elif equals and _NAME.fullmatch(name):
        if is_telling(name) or _is_telling_variable(name):
            yield start, len(text)
        elif _is_header_option(name):
            yield from _in_header(text, start, explicit=True)
        else:
            yield from list(_in_text(text, start)) or _in_pairs(text, at)
    elif header := list(_in_header(text, at)):
        yield from header
    elif "://" in value:
        yield from _in_url(text, at)
    elif attached := _attached(value):
        yield at + attached, len(text)
    elif is_opaque(value):
        yield at, len(text)
    else:
        yield from _in_pairs(text, at)


def _is_telling_variable(name: str) -> bool:
    """Return whether an argument is the ``-eTOKEN`` of ``-eTOKEN=X``."""
    return name[:1] == "-" and name[1:2] != "-" and is_telling(name[2:])


def _attached(value: str) -> int:
    """Return where the value begins that is attached to a short option (``-pX``) and may be secret; 0 if none is."""
    match = _SHORT_ATTACHED.fullmatch(value)
    if match is None or match.group(1) == "-":
        return 0
    letter, rest = match.groups()
    if is_opaque(rest):
        return match.start(2)
    is_word = rest.islower() and rest.isalpha()
    if letter != "p" or is_harmless(rest) or is_telling(value) or (is_word and rest in _OPTIONS):
        return 0
    return match.start(2)


def _in_header(text: str, at: int, *, explicit: bool = False) -> Iterator[tuple[int, int]]:
    """Yield the value of ``Name: X``, the scheme before it left out.

    Args:
        text: holds it.
        at: where it begins.
        explicit: an option says that it is a header; without one (or ``-H`` before it) only a telling name does.
    """
    name, colon, value = text[at:].partition(":")
    attached = name.startswith("-H")
    plain = name.removeprefix("-H").lstrip("= ").rstrip()
    if not colon or value.startswith(("//", "\\")) or not _NAME.fullmatch(plain):
        return
    if not is_telling(plain) and (not (explicit or attached) or plain.lower() in _HARMLESS_HEADERS):
        return
    start = at + len(name) + 1 + len(value) - len(value.lstrip())
    scheme = _SCHEME.match(text, start)
    yield (scheme.end() if scheme else start), len(text)


def _in_url(text: str, at: int) -> Iterator[tuple[int, int]]:
    """Yield user, password and query of a URL, or of the first one in a text."""
    start = text.index("://", at) + 3
    stop = next((n for n in range(start, len(text)) if text[n].isspace() or text[n] in "\"'"), len(text))
    end = min((place for sign in "?#" if (place := text.find(sign, start, stop)) >= 0), default=stop)
    slash = text.find("/", start, end)
    authority = end if slash < 0 else slash
    user = text.rfind("@", start, authority)
    if user >= 0:
        yield start, user
    if end < stop:
        yield end + 1, stop


def _in_pairs(text: str, at: int) -> Iterator[tuple[int, int]]:
    """Yield the values of ``name=value`` pairs with a telling name within a text (a connection string)."""
    for match in _PAIR_IN_TEXT.finditer(text, at):
        if is_telling(match.group(1)):
            yield match.span(2)
    for pattern in (_OPTION_IN_TEXT, _HEADER_IN_TEXT):  # a command for a shell
        for match in pattern.finditer(text, at):
            if is_telling(match.group(1)) and not match.group(2).startswith(("-", "//", "$")):
                yield match.span(2)


def _in_json(text: str, at: int) -> Iterator[tuple[int, int]]:
    """Yield the secret strings of a JSON text, or of what looks like one."""
    try:
        secrets = set(_secret_strings(json.loads(text[at : at + _LONGEST_JSON]), telling=False))
    except (ValueError, RecursionError):  # it only looks like JSON: by its names alone
        secrets = {raw for name, raw in _PAIR_IN_JSON.findall(text, at) if is_telling(name) or is_opaque(raw)}
    for secret in secrets:
        for spelled in {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}:
            start = text.find(f'"{spelled}"', at)
            while start >= 0:
                yield start + 1, start + 1 + len(spelled)
                start = text.find(f'"{spelled}"', start + 1)


def _secret_strings(value: Any, *, telling: bool) -> Iterator[str]:
    match value:
        case str() if telling or is_opaque(value):
            yield value
        case dict():
            for name, part in value.items():
                inside = telling or is_telling(name) or name in ("env", "headers")
                yield from _secret_strings(part, telling=inside)
        case list():
            texts = [part if isinstance(part, str) else "" for part in value]
            yield from (
                texts[index] for index, _, _ in _spans(texts)
            )  # arguments, as in an entry of a server
            for part in value:
                yield from _secret_strings(part, telling=telling)
        case _:
            pass
