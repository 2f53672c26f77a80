"""Decides which faults of a script are due at a moment of a session. Pure but for the journal it counts in.

Each decision of a fault draws from a generator of its own, seeded by the script's seed, the fault's place and how
many fitting moments it has seen. So a run is reproduced by its seed however calls interleave, and with a journal
also over restarts of the process.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmcp.fault.faults import Limits, Phase, Transport
    from dmcp.fault.journal import Journal

_CARRIED_OUT: Final = frozenset({"tools/call", "resources/read", "prompts/get", "completion/complete"})


class FaultPoint(NamedTuple):
    """Something a fault can act at.

    Attributes:
        phase: where in the session it is.
        method: the JSON-RPC method, or GET and DELETE; empty for a new connection and the end.
        tool: the tool called.
        departing: whether the server is about to say it, of its own accord.
    """

    phase: Phase
    method: str = ""
    tool: str = ""
    departing: bool = False


class Due(NamedTuple):
    """A fault that acts now, with the generator for whatever it leaves to chance."""

    fault: Limits
    random: Random


class FaultPlan:
    """The faults of a script, over one transport."""

    __slots__ = ("_exists", "_faults", "_record", "_seed", "_transport")

    def __init__(
        self,
        faults: Sequence[Limits],
        transport: Transport,
        seed: int,
        record: Journal,
        exists: Callable[[str], bool],
    ) -> None:
        self._faults = tuple(faults)
        self._transport = transport
        self._seed = seed
        self._record = record
        self._exists = exists

    def __repr__(self) -> str:
        return f"<FaultPlan of {len(self._faults)} over {self._transport} seed={self._seed}>"

    def due(self, point: FaultPoint) -> tuple[Due, ...]:
        """Return the faults that act at this moment, in the script's order. Each call counts as a point."""
        due: list[Due] = []
        for index, fault in enumerate(self._faults):
            if not _fits(fault, point, self._transport) or not self._in_force(fault):
                continue
            seen, acted = self._record.counted(index)
            random = Random(f"{self._seed}/{index}/{seen}")  # noqa: S311 - reproducible chance, not a secret
            allowed = seen >= fault.after and (fault.times is None or acted < fault.times)
            acts = allowed and random.random() < fault.probability
            self._record.decided(index, name_of(fault), point, acted=acts)
            if acts:
                due.append(Due(fault, random))
        return tuple(due)

    def _in_force(self, fault: Limits) -> bool:
        if fault.while_exists is not None and not self._exists(fault.while_exists):
            return False
        return fault.until_exists is None or not self._exists(fault.until_exists)


def name_of(fault: Limits) -> str:
    """Return what the fault is called in a script."""
    return str(type(fault).model_fields["fault"].default)


def phase_of(method: str) -> Phase:
    """Return the phase a message belongs to.

    ``initialise`` is ``initialize`` and ``notifications/initialized``; ``list`` every listing; ``notify`` every
    other notification; ``call`` every other request.
    """
    if method in {"initialize", "notifications/initialized"}:
        return "initialise"
    if method.startswith("notifications/"):
        return "notify"
    return "list" if method.endswith("/list") and method != "roots/list" else "call"


def _fits(fault: Limits, point: FaultPoint, transport: Transport) -> bool:
    if fault.on != point.phase or fault.transport not in {None, transport}:
        return False
    if point.phase == "notify" and fault.SIDE not in {
        "both",
        "departing" if point.departing else "arriving",
    }:
        return False
    if fault.method is None:
        # ping, logging/setLevel and the like are calls only for a fault that names them: a hanging call is not a
        # hanging server, and a client that pings must not use up what is meant for its calls.
        if point.phase == "call" and point.method not in _CARRIED_OUT:
            return False
    elif not fnmatchcase(point.method, fault.method):
        return False
    return fault.tool is None or fnmatchcase(point.tool, fault.tool)
