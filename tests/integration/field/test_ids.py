"""Servers that give back an id in another form: the answer is the call's, and progress too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from faults.front_door import dmcp, text_of
from harness.configs import TESTS, python_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("form", ["text", "fraction"])
async def test_an_id_that_comes_back_in_another_form_is_the_call_s(form: str, tmp_path: Path) -> None:
    server = python_server(TESTS / "servers" / "changed_ids.py", form)
    async with dmcp(tmp_path, {"g": server}, strict=False) as client:
        await client.initialize()
        told: list[Any] = []
        for number in range(3):
            result = await client.call("g", "echo", {"n": number}, _meta={"progressToken": f"mine {number}"})
            assert json.loads(text_of(result)) == {"n": number}
            told.append((await client.heard("notifications/progress"))["params"]["progressToken"])
        assert told == ["mine 0", "mine 1", "mine 2"]
