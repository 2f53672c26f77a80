"""The one exception of the well-behaved core: a request that a correct server has to refuse."""

from __future__ import annotations

from typing import Any


class Trouble(Exception):  # noqa: N818 - not a fault of this program: it becomes a JSON-RPC error
    """The client asked for something that cannot be done; ``code`` is the JSON-RPC error code."""

    def __init__(self, code: int, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details
