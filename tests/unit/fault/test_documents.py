"""What is written about the faults is true: the schema, the examples and the page are the code's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic_core import from_json, to_json

from dmcp.fault.faults import KINDS
from dmcp.fault.script import load, schema
from harness.scripts import load_script

_ROOT = Path(__file__).parents[3]
_EXAMPLES = sorted((_ROOT / "examples" / "fault").glob("*.json"))


def test_the_schema_in_the_repository_is_the_models() -> None:
    kept: Any = from_json((_ROOT / "schema" / "fault-script.schema.json").read_bytes())
    assert kept == from_json(to_json(schema())), "run: dmcp fault --schema"


@pytest.mark.parametrize("path", _EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_a_valid_script_by_model_and_by_schema(path: Path) -> None:
    assert load(path).faults
    jsonschema.validate(from_json(path.read_bytes()), schema())


def test_there_are_examples() -> None:
    assert len(_EXAMPLES) >= 5


def test_the_page_says_what_the_models_say() -> None:
    script = load_script(_ROOT / "docs" / "render_faults.py")
    page = (_ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    assert all(f"### `{name}`" in page for name in KINDS)
    assert page == script.rendered(page), "run: python docs/render_faults.py"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_fault_says_what_it_does_and_what_its_arguments_mean(name: str) -> None:
    kind = KINDS[name]
    assert kind.__doc__
    assert all(field.description for key, field in kind.model_fields.items() if key != "fault")
