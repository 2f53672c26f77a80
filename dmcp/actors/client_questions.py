"""What the client is asked on behalf of upstreams, and by dmcp itself. Part of the frontend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dmcp import log
from dmcp.actors.runtime import post
from dmcp.messages import upstream
from dmcp.protocol import jsonrpc, server_requests, upstream_errors
from dmcp.protocol.eras.handshake import notification, write_question
from dmcp.protocol.operations import CAPABILITY, Cancelled, Elicit, ElicitationCompleted, label
from dmcp.protocol.pending import PendingServerRequest, PendingServerRequests

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.messages import Address
    from dmcp.messages.frontend import ServerRequest, ServerRequestCancelled
    from dmcp.protocol.eras.handshake import ServerSession
    from dmcp.protocol.operations import Progress, Question


class ClientQuestions:
    """Questions to the client under ids of dmcp's own, and the way back for each answer.

    Args:
        client: its number.
        session: with the client; before it operates questions are held, and what it does not offer is refused.
        write: sends a frame to the client.
        decline_sign_in: called with the group whose sign-in the user does not want.
    """

    __slots__ = (
        "_client",
        "_decline_sign_in",
        "_held",
        "_held_offers",
        "_offers",
        "_session",
        "_table",
        "_write",
    )

    def __init__(
        self,
        client: int,
        session: ServerSession,
        write: Callable[[bytes], None],
        decline_sign_in: Callable[[str], None],
    ) -> None:
        self._client = client
        self._session = session
        self._write = write
        self._decline_sign_in = decline_sign_in
        self._table: PendingServerRequests[Address] = PendingServerRequests()
        self._held: list[ServerRequest] = []
        self._held_offers: dict[str, str] = {}
        self._offers: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<ClientQuestions {self._table!r}, {len(self._held)} held>"

    def put(self, question: ServerRequest) -> None:
        """Ask the client."""
        if not self._session.operating:
            self._held.append(question)
            return
        error = self._unable(question.question)
        if error is not None:
            post(question.upstream, upstream.AnswerServerRequest(question.id, None, error))
            return
        asked = question.question
        pending = PendingServerRequest(question.upstream, question.id, asked.progress_token)
        self._send(self._table.ask(pending), asked)

    def _unable(self, question: Question) -> bytes | None:
        """Return the error for what the client has not declared; ``None`` for what it can be asked."""
        profile = self._session.profile
        if profile is None or not profile.can(CAPABILITY[type(question)]):
            text = f"Method not found: the client of dmcp does not offer {label(question)}"
            return jsonrpc.error_object(jsonrpc.METHOD_NOT_FOUND, text)
        if question.params.get("mode") == "url" and not profile.can("elicitation", "url"):
            text = "Invalid params: the client of dmcp does not offer elicitation in the mode url"
            return jsonrpc.error_object(jsonrpc.INVALID_PARAMS, text)
        return None

    def release(self) -> None:
        """Ask what was held: the client is initialized."""
        held, self._held = self._held, []
        for question in held:
            self.put(question)
        offers, self._held_offers = self._held_offers, {}
        for group, url in offers.items():
            self.offer_sign_in(group, url)

    def offer_sign_in(self, group: str, url: str) -> None:
        """Ask the client to open an address (MCP 2025-11-25, URL elicitation), if it can."""
        profile = self._session.profile
        if not self._session.operating:
            self._held_offers[group] = url
        elif profile is not None and profile.can("elicitation", "url"):
            number = self._table.ask(PendingServerRequest(None, group.encode(), None))
            self._offers[group] = f"dmcp-sign-in-{number}"
            params = {
                "mode": "url",
                "elicitationId": self._offers[group],
                "url": url,
                "message": f"{server_requests.DMCP}{upstream_errors.sign_in_request(group, url)}",
            }
            self._send(number, Elicit(params))

    def end_sign_in(self, group: str, *, succeeded: bool) -> None:
        """The person has signed in, here or elsewhere, or will not: the address is of no use any more."""
        self._held_offers.pop(group, None)
        offered = self._offers.pop(group, None)
        for number in self._table.withdraw(None, group.encode()):
            self._cancel(number, "the sign-in has ended")
        if offered is not None and succeeded:
            self._write(notification(ElicitationCompleted(offered)))

    def on_answer(self, answer: jsonrpc.Response) -> None:
        """Take an answer of the client."""
        asked = self._table.answered(answer.id)
        if asked is None:
            log.remark("answer", "the client answered a request that waits for no answer", level="debug")
        elif asked.upstream is not None:
            post(asked.upstream, upstream.AnswerServerRequest(asked.id, answer.result, answer.error))
        else:
            self._on_sign_in_answer(asked.id.decode(), answer)

    def _on_sign_in_answer(self, group: str, answer: jsonrpc.Response) -> None:
        """Only a plain "no" ends a sign-in: whatever else becomes of the client's dialog, the browser is open too."""
        action = answer.value.get("action") if isinstance(answer.value, dict) else None
        if answer.error is not None:
            log.warning("the client could not show the address to sign in at", group)
        elif action == "decline":
            self._decline_sign_in(group)

    def on_unreadable(self, identifier: bytes) -> bool:
        """The client has sent an answer nobody can read; returns whether it was asked something under this id."""
        asked = self._table.answered(identifier)
        if asked is not None and asked.upstream is not None:
            error = jsonrpc.error_object(jsonrpc.INTERNAL_ERROR, "the client's answer could not be read")
            post(asked.upstream, upstream.AnswerServerRequest(asked.id, None, error))
        return asked is not None

    def on_progress(self, progress: Progress) -> None:
        """Pass on progress the client reports on a question, with the upstream's own token."""
        asked = self._table.get(progress.token)
        if asked is not None and asked.upstream is not None and asked.progress_token is not None:
            onward = progress._replace(token=asked.progress_token)
            post(asked.upstream, upstream.Notify(self._client, onward))

    def withdraw(self, message: ServerRequestCancelled) -> None:
        """Withdraw what an upstream no longer wants answered, or all of an upstream that is gone."""
        self._held = [
            held
            for held in self._held
            if held.upstream is not message.upstream or message.id not in (None, held.id)
        ]
        for number in self._table.withdraw(message.upstream, message.id):
            self._cancel(number, message.reason)

    def _cancel(self, number: int, reason: str) -> None:
        self._write(notification(Cancelled(number, reason)))

    def _send(self, number: int, question: Question) -> None:
        self._write(write_question(number, question))
