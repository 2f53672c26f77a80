"""What an HTTP link is given as its ``Credentials``: it asks the auth actor, every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pykka

from dmcp.actors.runtime import post
from dmcp.errors import AuthError, SignInNeeded
from dmcp.messages.auth import Accepted, Authorize, Challenged

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.config.model import RemoteServer
    from dmcp.protocol.link import Link, LinkEvents, OpenLink


class ActorCredentials:
    """``Credentials`` (see ``dmcp.protocol.link``) of one group, over the auth actor.

    Args:
        auth: the auth actor.
        group: whose credentials.
        server: its configuration.
    """

    def __init__(self, auth: pykka.ActorRef[Any], group: str, server: RemoteServer) -> None:
        self._auth = auth
        self._group = group
        self._server = server
        self._anonymous = False
        self._in_use: Callable[[], bool] = lambda: True

    def __repr__(self) -> str:
        return f"<ActorCredentials {self._group}>"

    @property
    def needed(self) -> bool:
        """See ``Credentials``."""
        return not self._anonymous

    async def authorization(self) -> str | None:
        """See ``Credentials``. Waits for a renewal of this very group at most, never for a person.

        While there are no credentials auth is not asked again: a server that wants some says so.
        """
        if self._anonymous:
            return None
        answer: str | None = await self._ask(Authorize(self._group, self._server))
        self._anonymous = answer is None
        return answer

    async def challenged(self, status: int, challenge: str, rejected: str | None) -> str:
        """See ``Credentials``. May wait for a person: cancel it to give up; the sign-in itself goes on."""
        self._anonymous = False
        in_use = self._in_use()
        try:
            answer: str | None = await self._ask(
                Challenged(self._group, self._server, status, challenge, rejected, in_use)
            )
        except SignInNeeded:
            if in_use or not self._in_use():
                raise
            # A call has come meanwhile, and for that the person may be asked.
            answer = await self._ask(Challenged(self._group, self._server, status, challenge, rejected))
        self._anonymous = False  # somebody may have asked meanwhile, and got nothing
        if answer is None:
            raise AuthError("it needs credentials that dmcp does not have")
        return answer

    def accepted(self, authorization: str) -> None:
        """See ``Credentials``."""
        post(self._auth, Accepted(self._group, self._server, authorization))

    def opening(self, open_link: OpenLink) -> OpenLink:
        """Return an opener that has these credentials ask a person only while the link's owner is in use."""

        async def opened(events: LinkEvents) -> Link:
            self._in_use = events.is_in_use
            return await open_link(events)

        return opened

    async def _ask(self, question: Authorize | Challenged) -> Any:
        try:
            return await self._auth.ask(question, block=False)
        except pykka.ActorDeadError as error:
            raise AuthError("dmcp is shutting down") from error
