"""Continue: a list in YAML, in a directory of blocks or in the person's file. Source: the tool itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dmcp.cli.importers.references import TEMPLATED
from dmcp.cli.importers.tool import CodingTool, EntryShape, Location


def _unwrapped(_name: str, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry with its request options and its key as headers."""
    flat = {key: value for key, value in raw.items() if key not in {"requestOptions", "apiKey"}}
    options = raw.get("requestOptions")
    headers: dict[str, Any] = {}
    if isinstance(options, Mapping):
        if isinstance(options.get("headers"), Mapping):
            headers |= options["headers"]
        flat |= {f"requestOptions.{key}": value for key, value in options.items() if key != "headers"}
    if isinstance(raw.get("apiKey"), str):
        headers.setdefault("Authorization", f"Bearer {raw['apiKey']}")
    return {**flat, "headers": headers} if headers and "headers" not in flat else flat


TOOL = CodingTool(
    name="continue",
    title="Continue",
    syntax=TEMPLATED,
    project=(Location("{cwd}/.continue/mcpServers/*", reach="nearest"),),
    user=(
        Location("{home}/.continue/config.yaml"),
        Location("{home}/.continue/mcpServers/*"),
    ),
    unwrap=_unwrapped,
    remark="`requestOptions.headers` and `apiKey` become headers",
    shape=EntryShape(
        env_file="envFile",
        startup=("connectionTimeout", 0.001),
        ignored=("name", "faviconUrl", "icon", "sourceFile", "sourceSlug", "serverName"),
    ),
)
