"""The authorizer the auth actor is given: made at the first remote server that needs it, not at the start.

Importing the auth package costs as much as all of the start together, and most people's servers are local.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.auth.authorizer import Authorizer
    from dmcp.auth.tokens import Tokens
    from dmcp.config.model import RemoteServer


class LazyAuthorizer:
    """Does what ``Authorizer`` does, over the store the configuration asks for at that moment.

    Args:
        store: names it: "file" or "keyring".
        config: the configuration that advised commands name; empty where they find it by themselves.
    """

    def __init__(self, store: Callable[[], str], config: str = "") -> None:
        self._config = config
        self._store = store
        self._made: dict[str, Authorizer] = {}

    def __repr__(self) -> str:
        return f"<LazyAuthorizer {sorted(self._made)}>"

    async def load(self, name: str, server: RemoteServer) -> Tokens | None:
        return await (await self._authorizer()).load(name, server)

    async def refresh(self, name: str, server: RemoteServer) -> Tokens:
        return await (await self._authorizer()).refresh(name, server)

    async def reauthorize(self, name: str, server: RemoteServer, **how: Any) -> Tokens:
        return await (await self._authorizer()).reauthorize(name, server, **how)

    async def _authorizer(self) -> Authorizer:
        kind = self._store()
        if kind not in self._made:
            made = await asyncio.to_thread(_make, kind, self._config)
            self._made.setdefault(kind, made)
        return self._made[kind]


def _make(kind: str, config: str) -> Authorizer:
    """Import the package and make an authorizer. In a thread: the imports take longer than a turn of the loop may."""
    from dmcp.auth import browser  # noqa: PLC0415 - see the module's docstring
    from dmcp.auth.authorizer import Authorizer  # noqa: PLC0415 - see the module's docstring
    from dmcp.auth.store import open_store  # noqa: PLC0415 - see the module's docstring

    # Set by the commands that only look (``dmcp check``): nobody is asked for their sake.
    never = os.environ.get("DMCP_SIGN_IN") == "never"
    store = open_store("keyring" if kind == "keyring" else "file")
    return Authorizer(store, (lambda: False) if never else browser.is_available, config=config)
