"""The credentials of a link: whom it asks, and when it need not ask."""

from __future__ import annotations

from typing import Any

import pytest

from dmcp.actors.credentials import ActorCredentials
from dmcp.config.model import RemoteServer
from dmcp.errors import AuthError
from dmcp.messages.auth import Authorize, Challenged

pytestmark = pytest.mark.anyio


class Auth:
    """An auth actor that gives these answers."""

    def __init__(self, *answers: str | None) -> None:
        self.asked: list[type] = []
        self._answers = list(answers)

    async def ask(self, question: Any, *, block: bool) -> str | None:
        assert not block
        self.asked.append(type(question))
        return self._answers.pop(0)


def credentials(auth: Any) -> ActorCredentials:
    return ActorCredentials(auth, "far", RemoteServer("https://far.example/mcp"))


async def test_auth_is_asked_for_every_request_while_there_are_credentials() -> None:
    auth = Auth("Bearer a", "Bearer b")
    far = credentials(auth)
    assert [await far.authorization(), await far.authorization()] == ["Bearer a", "Bearer b"]
    assert auth.asked == [Authorize, Authorize]


async def test_a_server_without_credentials_costs_one_question_until_it_wants_some() -> None:
    auth = Auth(None, "Bearer a", "Bearer a")
    far = credentials(auth)
    assert [await far.authorization() for _ in range(5)] == [None] * 5
    assert await far.challenged(401, "", None) == "Bearer a"
    assert await far.authorization() == "Bearer a"
    assert auth.asked == [Authorize, Challenged, Authorize]


async def test_a_challenge_that_leads_to_nothing_is_an_error() -> None:
    with pytest.raises(AuthError, match="credentials that dmcp does not have"):
        await credentials(Auth(None)).challenged(401, "", None)
