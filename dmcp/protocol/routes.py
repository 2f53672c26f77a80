"""Reads from a request's params which resource or prompt it is about. Finding whose that is, is the catalog's part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dmcp.errors import DownstreamError
from dmcp.protocol.jsonrpc import INVALID_PARAMS, RESOURCE_NOT_FOUND

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
    """

    kind: Literal["resources", "prompts"]
    name: str
    group: str | None
    params: JsonObject

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
            return DownstreamError(RESOURCE_NOT_FOUND, f"Resource not found: {self.name}: no server lists it")
        from difflib import get_close_matches  # noqa: PLC0415 - only when somebody has mistyped

        close = get_close_matches(self.name, list(known), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
        return DownstreamError(INVALID_PARAMS, f"Invalid params: no server has a prompt {self.name!r}{hint}")


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
        return Wanted(kind, name, group, params)
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
