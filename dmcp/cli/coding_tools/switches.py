"""Switches over the tools of all servers at once, as OpenCode has them, brought down to one server's own lists.

OpenCode calls a tool ``SERVER_TOOL`` and goes by the last switch whose pattern matches that. dmcp has two lists for a
server: what is included, without what is excluded. Most chains of switches can be said with them, not all: see
``Selection.lost``. Pure. Not here: which files hold switches (``special``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 200
"""Signs in a pattern, others are passed over. Comparing two takes their product; names of tools have 64 signs at most,
or a few more."""


class Switch(NamedTuple):
    """A pattern over the names of tools (``*``: anything, ``?``: one sign), and whether it switches them on."""

    pattern: str
    on: bool


class Selection(NamedTuple):
    """What the switches leave of one server's tools, in dmcp's words.

    Attributes:
        include: globs of the tools that are on; empty means all.
        exclude: globs of the tools that are off in spite of that.
        none: no tool is on.
        lost: patterns that switch some tools on again, which the lists cannot say: those tools stay off.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    none: bool = False
    lost: tuple[str, ...] = ()


def selection(switches: Iterable[Switch], prefix: str) -> Selection:
    """What is left of the tools whose names begin with ``prefix``. The last switch that matches a tool decides.

    Args:
        switches: the switches, in their order.
        prefix: what OpenCode puts before the names of one server's tools.
    """
    usually, include, exclude, lost = True, list[str](), list[str](), list[str]()
    for switch in switches:
        rests = _rests(switch.pattern, prefix) if len(switch.pattern) <= _LONGEST else []
        if "*" in rests:
            usually, include, exclude, lost = switch.on, [], [], []
        elif switch.on:
            exclude = [rest for rest in exclude if rest not in rests]
            lost += [switch.pattern for rest in rests if _any_in_common(rest, exclude)]
            include += [] if usually else rests
        elif usually or any(_any_in_common(rest, include) for rest in rests):
            exclude += rests
    unique = [tuple(dict.fromkeys(globs)) for globs in (include, exclude, lost)]
    globs = [tuple(_as_glob(pattern) for pattern in patterns) for patterns in unique[:2]]
    return Selection(globs[0], globs[1], not usually and not include, unique[2])


def _rests(pattern: str, prefix: str) -> list[str]:
    """What patterns the rest of a name has to match, one of them, when the name begins with ``prefix``."""
    rests = {pattern: None}
    for sign in prefix:
        rests = {after: None for rest in rests for after in _after(rest, sign)}
    found = ["*" + rest.lstrip("*") if rest.startswith("*") else rest for rest in rests]
    return ["*"] if "*" in found else [rest for rest in dict.fromkeys(found) if rest]


def _after(pattern: str, sign: str) -> list[str]:
    """The patterns that are left to match after one sign."""
    if pattern.startswith("*"):
        return [pattern, *_after(pattern.lstrip("*"), sign)]
    return [pattern[1:]] if pattern[:1] in {sign, "?"} else []


def _any_in_common(pattern: str, others: Iterable[str]) -> bool:
    return any(_in_common(pattern, other) for other in others)


def _in_common(one: str, other: str) -> bool:
    """Whether there is a name that both patterns match."""
    reached = {(0, 0)}  # how much of each is matched by the beginning of such a name
    waiting = [(0, 0)]
    while waiting:
        at, there = waiting.pop()
        if (at, there) == (len(one), len(other)):
            return True
        mine, its = one[at : at + 1], other[there : there + 1]
        if "*" in {mine, its}:  # a star takes nothing more, or what stands opposite
            steps = [(at + 1, there)] * bool(mine) + [(at, there + 1)] * bool(its)
        elif mine and its and (mine == its or "?" in {mine, its}):
            steps = [(at + 1, there + 1)]
        else:
            steps = []
        waiting += [step for step in steps if step not in reached]
        reached.update(steps)
    return False


def _as_glob(pattern: str) -> str:
    """A pattern as dmcp's configuration spells it: brackets, which mean themselves in OpenCode, are escaped."""
    return pattern.replace("[", "[[]")
