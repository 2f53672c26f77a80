"""Reads from an operation which resource or prompt it is about. Finding whose that is, is the catalog's part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from dmcp.errors import DownstreamError
from dmcp.protocol.hints import did_you_mean, quoted
from dmcp.protocol.jsonrpc import INVALID_PARAMS, RESOURCE_NOT_FOUND
from dmcp.protocol.operations import Complete, GetPrompt
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dmcp.protocol.operations import Routed


class ResourceRef(NamedTuple):
    """What an operation is about.

    Attributes:
        kind: "resources" (templates included) or "prompts".
        name: the client's name of it: a URI or a prompt's name.
        group: the group the client named itself, which the predecessor's clients may do.
        is_template: whether it is a template rather than a resource that is meant, where both are called the same.
    """

    kind: Literal["resources", "prompts"]
    name: str
    group: str | None = None
    is_template: bool = False

    def not_found(self, known: Iterable[str], starting: Iterable[str]) -> DownstreamError:
        """Return the error for a thing nobody has. ``known`` are the prompts there are, ``starting`` groups to come."""
        waits = ", ".join(quoted(group) for group in starting)
        later = f" (still starting: {waits}; try again)" if waits else ""
        if self.kind == "resources":
            text = f"Resource not found: {printable(self.name, 300)}: no server lists it{later}"
            return DownstreamError(RESOURCE_NOT_FOUND, text)
        hint = did_you_mean(self.name, known)
        text = f"Invalid params: no server has a prompt {quoted(self.name)}{later}"
        return DownstreamError(INVALID_PARAMS, f"{text}. {hint}" if hint else text)


def ref_of(operation: Routed) -> ResourceRef:
    """Return what an operation is about."""
    if isinstance(operation, Complete):
        return ResourceRef(operation.kind, operation.name, operation.group, is_template=True)
    if isinstance(operation, GetPrompt):
        return ResourceRef("prompts", operation.name, operation.group)
    return ResourceRef("resources", operation.uri, operation.group)


def for_server(operation: Routed, name: str) -> Routed:
    """Return the operation for a server, which knows the thing by ``name`` and knows no groups."""
    if isinstance(operation, GetPrompt | Complete):
        return operation._replace(name=name, group=None)
    return operation._replace(uri=name, group=None)
