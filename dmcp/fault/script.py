"""A fault script: the model of its file, reading it, and building one from Python.

From Python: ``Script(faults=(build("crash", "call", when="during", times=1),)).write(path)``.
``combinations()`` names every fault x phase x transport that means anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from dmcp.errors import ConfigError
from dmcp.fault.faults import KINDS, Fault
from dmcp.fault.limits import PHASES, TRANSPORTS, Limits, Phase, Strict, Transport
from dmcp.fault.mistakes import explain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FAULT: TypeAdapter[Any] = TypeAdapter(Fault)


class Server(Strict):
    """How the well-behaved server behind the faults is."""

    name: str = Field(default="dmcp-fault", description="The name it gives in initialize.")
    page_size: int = Field(default=4, ge=1, le=10_000, description="Entries on each page of a listing.")
    extra_tools: int = Field(default=0, ge=0, le=10_000, description="How many more tools it has.")
    answers: Literal["sse", "json"] = Field(default="sse", description="How it answers a POST over HTTP.")
    resumable: bool = Field(
        default=False,
        description="Whether its event streams have ids and can be resumed. Each then begins with an empty event.",
    )


class Script(Strict):
    """What goes wrong in a run of `dmcp fault`."""

    schema_: str | None = Field(
        default=None, alias="$schema", description="Where the schema is, for editors."
    )
    seed: int | None = Field(
        default=None, description="Reproduces the run; drawn and printed when it is missing."
    )
    journal: str | None = Field(
        default=None,
        description="A file in which counts outlive the process, one JSON object a line: what acted, what ran.",
    )
    server: Server = Server()
    faults: tuple[Fault, ...] = Field(description="What goes wrong; those due together act in this order.")

    def model_post_init(self, _context: object, /) -> None:
        """Check that each fault means something where it is put.

        Raises:
            ValueError: one does not.
        """
        wrong = [
            f"faults[{index}] ({fault.fault}): does not act in phase {fault.on}{_over(fault.transport)}; "
            f"{where(type(fault))}"
            for index, fault in enumerate(self.faults)
            if not any(
                fault.acts(fault.on, t) for t in ([fault.transport] if fault.transport else TRANSPORTS)
            )
        ]
        if wrong:
            raise ValueError("\n".join(wrong))

    def check(self, transport: Transport) -> None:
        """See that every fault can act over the transport that is served.

        Raises:
            ConfigError: one cannot, and is not meant for another transport either.
        """
        wrong = [
            f"faults[{index}] ({fault.fault}): does not act in phase {fault.on} over {transport}; "
            f"{where(type(fault))}"
            for index, fault in enumerate(self.faults)
            if fault.transport in {None, transport} and not fault.acts(fault.on, transport)
        ]
        if wrong:
            raise ConfigError(*wrong)

    def to_json(self) -> bytes:
        """The script as a file has it: what differs from the defaults, indented."""
        content = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        content["faults"] = [
            {"fault": fault.fault, **fault.model_dump(mode="json", exclude_defaults=True)}
            for fault in self.faults
        ]
        return to_json(content, indent=2) + b"\n"

    def write(self, path: Path) -> Path:
        """Write the script to a file and return its path."""
        path.write_bytes(self.to_json())
        return path


def build(name: str, on: str, **arguments: Any) -> Any:
    """One fault, checked, e.g. ``build("crash", "call", when="during", times=1)``.

    Args:
        name: one of ``KINDS``.
        on: the phase.
        arguments: the fault's own arguments and the limits.

    Raises:
        ConfigError: there is no such fault, or an argument is wrong; one sentence for each mistake.
    """
    return read_fault({"fault": name, "on": on, **arguments})


def read_fault(value: Any) -> Any:
    """One fault from the object that stands for it in a script.

    Raises:
        ConfigError: it is not valid.
    """
    try:
        return _FAULT.validate_python(value)
    except ValidationError as error:
        raise ConfigError(*explain(error)) from None


def read(text: bytes, source: str) -> Script:
    """Understand a script.

    Args:
        text: the file's content, JSON.
        source: what to call it in an error.

    Raises:
        ConfigError: it is no JSON, or not a script; one sentence for each mistake.
    """
    try:
        value = from_json(text.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise ConfigError(f"{source}: not valid JSON: {error}") from None
    try:
        return Script.model_validate(value)
    except ValidationError as error:
        raise ConfigError(*(f"{source}: {problem}" for problem in explain(error))) from None


def load(path: Path) -> Script:
    """Read a script from a file.

    Raises:
        ConfigError: it cannot be read or is not valid.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name a fault script that exists") from None
    return read(text, str(path))


def combinations() -> Iterator[tuple[str, Phase, Transport]]:
    """Every fault x phase x transport that means anything, in a stable order."""
    for name, kind in KINDS.items():
        for phase in PHASES:
            for transport in TRANSPORTS:
                if kind.acts(phase, transport):
                    yield name, phase, transport


def schema() -> dict[str, Any]:
    """The JSON schema of a script's file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Script.model_json_schema()}


def where(kind: type[Limits]) -> str:
    """In which phases a kind of fault acts, as a phrase for a person."""
    acts = {t: [phase for phase in PHASES if kind.acts(phase, t)] for t in TRANSPORTS}
    return "it acts in " + ", and in ".join(
        f"{', '.join(phases)} over {transport}" for transport, phases in acts.items() if phases
    )


def _over(transport: str | None) -> str:
    return f" over {transport}" if transport else ""
