"""A fault script: the model of its file, reading it, and building one from Python.

From Python: ``Script(faults=(build("crash", "call", when="during", times=1),)).write(path)``.
``combinations()`` names every fault x phase x transport that means anything.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from dmcp.errors import ConfigError
from dmcp.fault.faults import KINDS, PHASES, TRANSPORTS, Fault, Phase, Strict, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

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
        """Check that each fault means something where it is put. Raises ``ValueError``: one does not."""
        wrong = [
            _misplaced(index, fault, fault.transport)
            for index, fault in enumerate(self.faults)
            if not any(
                fault.acts(fault.on, t) for t in ([fault.transport] if fault.transport else TRANSPORTS)
            )
        ]
        if wrong:
            raise ValueError("\n".join(wrong))

    def check(self, transport: Transport) -> None:
        """Check that every fault can act over the transport that is served.

        Raises:
            ConfigError: one cannot, and is not meant for another transport either.
        """
        wrong = [
            _misplaced(index, fault, transport)
            for index, fault in enumerate(self.faults)
            if fault.transport in {None, transport} and not fault.acts(fault.on, transport)
        ]
        if wrong:
            raise ConfigError(*wrong)

    def to_json(self) -> bytes:
        """Return the script as a file has it: what differs from the defaults, indented."""
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
    """Return one fault, checked: ``build("crash", "call", when="during", times=1)``: name, phase, arguments, limits.

    Raises:
        ConfigError: there is no such fault, or an argument is wrong; one sentence for each mistake.
    """
    return read_fault({"fault": name, "on": on, **arguments})


def read_fault(value: Any) -> Any:
    """Return one fault from the object that stands for it in a script. Raises ``ConfigError``: it is not valid."""
    try:
        return _FAULT.validate_python(value)
    except ValidationError as error:
        raise ConfigError(*_explain(error)) from None


def read(text: bytes, source: str) -> Script:
    """Return the script that a file's content is; ``source`` is what to call it in an error.

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
        raise ConfigError(*(f"{source}: {problem}" for problem in _explain(error))) from None


def load(path: Path) -> Script:
    """Read a script from a file. Raises ``ConfigError``: it cannot be read or is not valid."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name a fault script that exists") from None
    return read(text, str(path))


def combinations() -> Iterator[tuple[str, Phase, Transport]]:
    """Yield every fault x phase x transport that means anything, in a stable order."""
    for name, kind in KINDS.items():
        for phase in PHASES:
            for transport in TRANSPORTS:
                if kind.acts(phase, transport):
                    yield name, phase, transport


def schema() -> dict[str, Any]:
    """Return the JSON schema of a script's file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Script.model_json_schema()}


def _misplaced(index: int, fault: Fault, transport: Transport | None) -> str:
    """Return the sentence about a fault that means nothing where it is put, and where it would."""
    acts = {t: [phase for phase in PHASES if fault.acts(phase, t)] for t in TRANSPORTS}
    where = ", and in ".join(f"{', '.join(phases)} over {t}" for t, phases in acts.items() if phases)
    over = f" over {transport}" if transport else ""
    return f"faults[{index}] ({fault.fault}): does not act in phase {fault.on}{over}; it acts in {where}"


def _explain(error: ValidationError) -> list[str]:
    """Return one sentence for each mistake: where it is, what is wrong, and the nearest right word."""
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
    model = Server if location[0] == "server" else Script
    return [field.alias or name for name, field in model.model_fields.items()]


def _kind(location: Sequence[int | str]) -> str | None:
    return next((part for part in location if isinstance(part, str) and part in KINDS), None)


def _place(location: Sequence[int | str]) -> str:
    """Return a key path such as ``faults[0].delay.max``; the union's tag in it is pydantic's, not the file's."""
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
