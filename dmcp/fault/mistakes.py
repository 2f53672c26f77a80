"""Turns what pydantic says of a wrong fault script into sentences for a person. It validates nothing itself."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from dmcp.fault.faults import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_TOP = ("$schema", "seed", "journal", "server", "faults")
_SERVER = ("name", "page_size", "extra_tools", "answers")


def explain(error: ValidationError) -> list[str]:
    """One sentence for each mistake: where it is, what is wrong, and the nearest right word."""
    sentences: list[str] = []
    for mistake in error.errors(include_url=False):
        place = _place(mistake["loc"])
        prefix = f"{place}: " if place else ""
        sentences += [prefix + line for line in _sentence(mistake).split("\n")]
    return sentences


def _sentence(mistake: ErrorDetails) -> str:  # noqa: PLR0911 - one line for each kind of mistake
    context: dict[str, Any] = mistake.get("ctx", {})
    match mistake["type"]:
        case "extra_forbidden":
            key = str(mistake["loc"][-1])
            return f'unknown key "{key}"' + _nearest(key, _known(mistake["loc"]))
        case "missing":
            return "missing; it is required"
        case "union_tag_invalid":
            return f'unknown fault "{context["tag"]}"' + _nearest(str(context["tag"]), list(KINDS))
        case "union_tag_not_found":
            return 'must be an object with the key "fault", one of ' + ", ".join(KINDS)
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be {context['expected']}, not {_shown(mistake['input'])}"
        case _:
            return f"{mistake['msg'][:1].lower()}{mistake['msg'][1:]}, not {_shown(mistake['input'])}"


def _known(location: Sequence[int | str]) -> Sequence[str]:
    kind = _kind(location)
    if kind is not None:
        return list(KINDS[kind].model_fields)
    return _SERVER if location[0] == "server" else _TOP


def _kind(location: Sequence[int | str]) -> str | None:
    return next((part for part in location if isinstance(part, str) and part in KINDS), None)


def _place(location: Sequence[int | str]) -> str:
    """A key path such as ``faults[0].delay.max``; the union's tag in it is pydantic's, not the file's."""
    kind, path = _kind(location), ""
    for part in location:
        if part == kind:
            path += f" ({part}) "
        elif isinstance(part, int):
            path += f"[{part}]"
        else:
            path += part if not path or path.endswith(" ") else f".{part}"
    return path.strip()


def _nearest(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else f"; known are {', '.join(known)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - a line's worth
