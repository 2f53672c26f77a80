"""The suite's own order: what is said to take longest exists."""

from __future__ import annotations

import conftest


def test_the_files_that_are_run_first_exist() -> None:
    assert [name for name in conftest.LONGEST_FIRST if not (conftest.TESTS / name).is_file()] == []
