"""Arguments of a tool or prompt as they are typed: ``--args JSON`` or ``-a key=value``. Pure, except for stdin."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def pairs(words: Sequence[str]) -> dict[str, str]:
    """The ``key=value`` words.

    Raises:
        click.UsageError: one has no "=", or a key stands twice.
    """
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise click.UsageError(f"-a {word}: must be key=value")
        if key in found:
            raise click.UsageError(f"-a {word}: {key} stands twice")
        found[key] = value
    return found


def whole(text: str) -> dict[str, Any]:
    """The object of ``--args``; "-" reads it from standard input.

    Raises:
        click.UsageError: it is no JSON object.
    """
    try:
        value = from_json(sys.stdin.buffer.read().decode("utf-8-sig") if text == "-" else text)
    except UnicodeDecodeError:
        raise click.UsageError("--args -: standard input is not UTF-8") from None
    except ValueError as error:
        raise click.UsageError(f"--args is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError("--args must be a JSON object")
    return value


def typed(values: Mapping[str, str], schema: Any) -> dict[str, Any]:
    """Give each value the type the tool's input schema has for it.

    Text stays text where the schema says so; anything else is read as JSON if it is JSON.
    """
    properties = schema.get("properties") if isinstance(schema, dict) else None
    shapes = properties if isinstance(properties, dict) else {}
    return {key: _typed(value, shapes.get(key)) for key, value in values.items()}


def _typed(value: str, shape: Any) -> Any:
    if isinstance(shape, dict) and shape.get("type") == "string":
        return value
    try:
        return from_json(value)
    except ValueError:
        return value
