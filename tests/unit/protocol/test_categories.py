from __future__ import annotations

import pytest

from dmcp.protocol import categories
from dmcp.protocol.link import FaultKind


@pytest.mark.parametrize("kind", [*FaultKind, None])
def test_every_kind_of_fault_has_a_short_category(kind: FaultKind | None) -> None:
    said = categories.of_kind(kind)
    assert said.isprintable()
    assert 0 < len(said) <= 120
