"""Reads from a request's params which resource or prompt it is about. Finding whose that is, is the catalog's part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dmcp.errors import DownstreamError
from dmcp.protocol.hints import did_you_mean, quoted
from dmcp.protocol.jsonrpc import INVALID_PARAMS, RESOURCE_NOT_FOUND
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dmcp.protocol.jsonrpc import JsonObject


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request is about.

    Attributes:
        kind: "resources" (templates included) or "prompts".
        name: the client's name of it: a URI or a prompt's name.
        group: the group the client named itself, which the predecessor's clients may do.
        params: the request's params.
        is_template: whether it is a template rather than a resource that is meant, where both are called the same.
    """

    kind: Literal["resources", "prompts"]
    name: str
    group: str | None
    params: JsonObject
    is_template: bool = False

    def params_for(self, name: str) -> JsonObject:
        """The params for the server, which knows the thing by ``name`` and knows no groups."""
        params = {key: value for key, value in self.params.items() if key != "group"}
        if "ref" in params:
            key = "uri" if self.kind == "resources" else "name"
            params["ref"] = {**params["ref"], key: name}
        else:
            params["uri" if self.kind == "resources" else "name"] = name
        return params

    def not_found(self, known: Iterable[str]) -> DownstreamError:
        """The error for a thing nobody has."""
        if self.kind == "resources":
            text = f"Resource not found: {printable(self.name, 300)}: no server lists it"
            return DownstreamError(RESOURCE_NOT_FOUND, text)
        hint = did_you_mean(self.name, known)
        text = f"Invalid params: no server has a prompt {quoted(self.name)}"
        return DownstreamError(INVALID_PARAMS, f"{text}. {hint}" if hint else text)


def wanted(method: str, params: JsonObject) -> Wanted:
    """Read what a resources/*, prompts/get or completion/complete request is about.

    Raises:
        DownstreamError: the parameter that says so is missing or wrong.
    """
    group = params.get("group")
    if group is not None and not isinstance(group, str):
        raise DownstreamError(INVALID_PARAMS, "Invalid params: group must be a string")
    if method == "completion/complete":
        kind, name = _reference(params.get("ref"))
        return Wanted(kind, name, group, params, is_template=True)
    if method == "prompts/get":
        return Wanted("prompts", _text(params, "name"), group, params)
    return Wanted("resources", _text(params, "uri"), group, params)


def _reference(ref: Any) -> tuple[Literal["resources", "prompts"], str]:
    if not isinstance(ref, dict) or ref.get("type") not in ("ref/prompt", "ref/resource"):
        raise DownstreamError(
            INVALID_PARAMS, "Invalid params: ref must have the type ref/prompt or ref/resource"
        )
    if ref["type"] == "ref/prompt":
        return "prompts", _text(ref, "name")
    return "resources", _text(ref, "uri")


def _text(params: JsonObject, key: str) -> str:
    value = params.get(key)
    if not isinstance(value, str):
        raise DownstreamError(INVALID_PARAMS, f"Invalid params: {key} must be a string")
    return value
