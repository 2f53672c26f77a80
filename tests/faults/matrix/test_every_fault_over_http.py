"""Every fault in every phase over Streamable HTTP: see ``stage``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.matrix import stage

if TYPE_CHECKING:
    from pathlib import Path

    from dmcp.fault.faults import Phase

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@pytest.mark.parametrize("phase", stage.PHASES)
async def test_a_fault_stays_with_its_server_is_explained_and_passes(tmp_path: Path, phase: Phase) -> None:
    await stage.a_fault_stays_with_its_server_is_explained_and_passes(tmp_path, phase, "http")


async def test_no_fault_keeps_dmcp_from_ending_in_time_with_every_call_answered(tmp_path: Path) -> None:
    await stage.no_fault_keeps_dmcp_from_ending_in_time_with_every_call_answered(tmp_path, "http")
