"""The authorizer the auth actor is given: made at the first remote server that needs it, not at the start.

Importing the auth room costs as much as all of the start together, and most people's servers are local.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.auth.authorizer import Authorizer
    from dmcp.auth.tokens import Tokens
    from dmcp.config.model import RemoteServer


class LateAuthorizer:
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
        return f"<LateAuthorizer {sorted(self._made)}>"

    async def load(self, name: str, server: RemoteServer) -> Tokens | None:
        """See ``Authorizer``."""
        return await self._authorizer().load(name, server)

    async def renew(self, name: str, server: RemoteServer) -> Tokens:
        """See ``Authorizer``."""
        return await self._authorizer().renew(name, server)

    async def mend(self, name: str, server: RemoteServer, **how: Any) -> Tokens:
        """See ``Authorizer``."""
        return await self._authorizer().mend(name, server, **how)

    def _authorizer(self) -> Authorizer:
        kind = self._store()
        if kind not in self._made:
            from dmcp.auth import browser  # noqa: PLC0415 - see the module's docstring
            from dmcp.auth.authorizer import Authorizer  # noqa: PLC0415 - see the module's docstring
            from dmcp.auth.store import open_store  # noqa: PLC0415 - see the module's docstring

            # Set by the commands that only look (``dmcp check``): nobody is asked for their sake.
            never = os.environ.get("DMCP_SIGN_IN") == "never"
            store = open_store("keyring" if kind == "keyring" else "file")
            self._made[kind] = Authorizer(
                store, (lambda: False) if never else browser.is_available, config=self._config
            )
        return self._made[kind]
