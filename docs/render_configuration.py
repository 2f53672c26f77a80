"""Renders the tables of docs/configuration.md from the JSON schema, so that the page cannot forget a key.

``python docs/render_configuration.py`` writes them between the page's two marks, and schema/dmcp.schema.json; a test
fails when they differ from the code. Not here: the prose of the page, and the schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dmcp.cli.schema import rendered
from dmcp.config.schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGIN: Final = "<!-- keys: rendered by docs/render_configuration.py -->"
END: Final = "<!-- keys: end -->"

_SECTIONS: Final = (
    ("ConfigurationFile", "At the top of the file"),
    ("StdioPart", "A local server: `mcpServers.NAME` with a `command`"),
    ("RemotePart", "A remote server: `mcpServers.NAME` with a `url`"),
    ("Features", "`mcpServers.NAME.features`"),
    ("TimeoutPart", "`mcpServers.NAME.timeout`"),
    ("RestartPart", "`mcpServers.NAME.restart`"),
    ("LimitsPart", "`limits` and `mcpServers.NAME.limits`"),
    ("AllToolsPart", "`tools`"),
    ("ToolsPart", "`mcpServers.NAME.tools`"),
    ("OAuthPart", "`mcpServers.NAME.oauth`"),
)

_TYPES: Final = {
    "object": "object, see below",
    "array": "list of texts",
    "boolean": "`true` or `false`",
    "integer": "whole number",
    "number": "number",
}
_MEASURES: Final = {frozenset({"string", "number"}): "duration", frozenset({"string", "integer"}): "size"}


def tables(schema: Mapping[str, Any]) -> str:
    """Every key of every part of the file, as Markdown."""
    parts = {"ConfigurationFile": schema, **schema["$defs"]}
    return "\n".join(_section(title, parts[name]) for name, title in _SECTIONS)


def filled(page: str, schema: Mapping[str, Any]) -> str:
    """The page with the tables between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(schema)}\n{END}{after}"


def _section(title: str, part: Mapping[str, Any]) -> str:
    required = part.get("required", ())
    rows = [_row(key, value, key in required) for key, value in part["properties"].items()]
    head = ["| key | value | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"### {title}", "", part["description"], "", *head, *rows, ""])


def _row(key: str, value: Mapping[str, Any], required: bool) -> str:
    default = "required" if required else _default(value)
    meaning = value.get("description", "").replace("|", "\\|")
    return f"| `{key}` | {_type(value)} | {default} | {meaning} |"


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    return "" if default in (None, []) else f"`{json.dumps(default)}`"


def _type(value: Mapping[str, Any]) -> str:
    if "anyOf" in value:
        kinds = [one for one in value["anyOf"] if one.get("type") != "null"]
        measure = _MEASURES.get(frozenset(one["type"] for one in kinds))
        return measure or " or ".join(_type(one) for one in kinds)
    if "enum" in value or "const" in value:
        return " or ".join(f'`"{word}"`' for word in value.get("enum") or [value["const"]])
    if value.get("type") == "object" and value["additionalProperties"].get("type") == "string":
        return "object of texts"
    return _TYPES.get(value.get("type", "object"), "text")


if __name__ == "__main__":
    root = Path(__file__).resolve().parent.parent
    page = root / "docs" / "configuration.md"
    page.write_text(filled(page.read_text(encoding="utf-8"), json_schema()), encoding="utf-8")
    (root / "schema" / "dmcp.schema.json").write_text(rendered(), encoding="utf-8")
