"""The catalogue of faults as text: for ``dmcp fault --list`` and for the tables of docs/faults.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from dmcp.fault.faults import KINDS
from dmcp.fault.limits import PHASES, Delay, Limits, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator


def table() -> str:
    """Every fault with what it does, where it acts and what it can be told; for a terminal."""
    blocks = []
    for name, kind in KINDS.items():
        lines = [f"{name}: {summary(kind)}"]
        lines += [f"    {transport + ':':<7}{phases}" for transport, phases in places(kind)]
        lines += [f"    {argument} = {default}" for argument, default, _ in arguments(kind)]
        blocks.append("\n".join(lines) + "\n")
    limits = [f"    {name} = {default}" for name, default, _ in _fields(Limits, set())]
    return "\n".join([*blocks, "every fault also takes:\n" + "\n".join(limits) + "\n"])


def markdown() -> str:
    """The same for docs/faults.md: one section for each fault."""
    parts = []
    for name, kind in KINDS.items():
        lines = [f"### `{name}`", "", summary(kind), ""]
        lines += [f"- {transport}: {phases}" for transport, phases in places(kind)]
        if rows := list(arguments(kind)):
            lines += ["", "| argument | default | meaning |", "|---|---|---|"]
            lines += [f"| `{argument}` | `{default}` | {meaning} |" for argument, default, meaning in rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def limits_table() -> str:
    """The limits every fault takes, as a table for docs/faults.md."""
    rows = [f"| `{name}` | `{default}` | {meaning} |" for name, default, meaning in _fields(Limits, set())]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def summary(kind: type[Limits]) -> str:
    """What the fault does, on one line."""
    return " ".join((kind.__doc__ or "").split())


def places(kind: type[Limits]) -> Iterator[tuple[Transport, str]]:
    """For each transport the phases in which the fault acts."""
    for transport in kind.ACTS:
        yield transport, ", ".join(phase for phase in PHASES if kind.acts(phase, transport))


def arguments(kind: type[Limits]) -> Iterator[tuple[str, str, str]]:
    """The fault's own arguments: name, default, meaning."""
    return _fields(kind, {"fault", *Limits.model_fields})


def _fields(kind: type[Limits], without: set[str]) -> Iterator[tuple[str, str, str]]:
    for name, field in kind.model_fields.items():
        if name not in without:
            default = "required" if field.is_required() else _shown(field.get_default())
            yield name, default, (field.description or "").replace("|", "\\|")


def _shown(default: Any) -> str:
    if isinstance(default, Delay):
        default = default.model_dump(exclude_defaults=True)
    return to_json(default).decode()
