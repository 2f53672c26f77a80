"""Translates between the client's JSON-RPC and the messages of the house. Owns what the client waits for.

It reads each frame once, finds out who can answer, and writes each answer under the client's own id, exactly once.
It knows no upstream's state: where a group's requests go is in the directory the supervisor publishes.
"""

# Long because both directions of the client's session are read side by side; questions to the client are elsewhere.

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, assert_never

from dmcp import log
from dmcp.actors.client_questions import ClientQuestions
from dmcp.actors.runtime import LoopActor, Watch, post
from dmcp.actors.slices import Slices
from dmcp.errors import DownstreamError
from dmcp.messages import catalog, lifecycle, supervisor, upstream
from dmcp.messages.frontend import (
    Announce,
    ClientFrames,
    ClientGone,
    Finish,
    GraceOver,
    Moved,
    Progressed,
    Question,
    QuestionWithdrawn,
    Reply,
    Routed,
    SignInEnded,
    SignInOffered,
    UpstreamGone,
    Writable,
)
from dmcp.messages.supervisor import Directory
from dmcp.protocol import client_requests, jsonrpc, tools, verdicts
from dmcp.protocol.eras.handshake import ServerSession
from dmcp.protocol.exchanges import BatchAnswer, Exchange, ExchangeTable
from dmcp.protocol.limits import BATCH_PORTION, KIB, MAX_OPEN_REQUESTS
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmcp.messages import Address
    from dmcp.protocol.jsonrpc import Body, JsonObject

EOF_GRACE: Final = 10.0
"""Seconds calls in flight get to finish when the client has closed its end: it may still read the answers."""

_TURN = 0.005  # seconds of handling what the client has sent before the others have a turn
_SHOWN = 100  # characters of the client's words in an error
_COPIED = 32 * KIB  # bytes of an answer up to which putting it together costs less than writing its parts
_MAY_BE_BLANK = 4096  # bytes; a longer line is no blank one, whatever it holds
_TOO_LONG = "Invalid request: a message must not be longer than 64 MiB"
_TOO_MANY = f"the client has {MAX_OPEN_REQUESTS:,} requests open, the most dmcp takes; try again when some are answered"


class Frontend(LoopActor):
    """The actor that faces the client."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        supervisor_: Address,
        watch: Watch | None = None,
        *,
        pause: Callable[[bool], None] = lambda _: None,
        write_parts: Callable[[tuple[Body, ...]], None] | None = None,
    ) -> None:
        """Make one.

        Args:
            write: sends a frame to the client.
            supervisor_: the actor that is told what concerns all.
            watch: who is told when this one fails.
            pause: stops reading from the client, or goes on.
            write_parts: sends a frame that is given in parts, without copying them.
        """
        super().__init__(watch)
        self._write = write
        self._write_parts = write_parts or (lambda parts: write(b"".join(parts)))
        self._slices = Slices(self, pause)
        self._supervisor = supervisor_
        self._session = ServerSession()
        self._directory: Directory | None = None
        self._early: list[tuple[jsonrpc.Call, BatchAnswer | None]] = []
        self._exchanges: ExchangeTable[Address] = ExchangeTable()
        self._questions = ClientQuestions(self._session, write, supervisor_)
        self._log_level: str | None = None
        self._finishing = False
        self._farewell = "dmcp is shutting down"  # what a request that has not run is told then

    def __repr__(self) -> str:
        return f"<Frontend {self._session!r} {len(self._exchanges)} in flight>"

    def on_receive(self, message: Any) -> None:  # noqa: C901, PLR0912 - one line per message
        """Handle one message, on the loop."""
        match message:
            case ClientFrames() | ClientGone(True) if self._slices.busy:
                self._slices.defer(message)
            case ClientFrames(frames):
                self._on_frames(frames)
            case lifecycle.SlicesDone():
                self._slices.on_done(message)
            case Reply():
                self._on_reply(message)
            case Routed():
                self._on_routed(message)
            case Moved(ticket, address):
                self._on_moved(ticket, address)
            case Progressed(ticket, params):
                self._on_progressed(ticket, params)
            case Question():
                self._questions.put(message)
            case QuestionWithdrawn():
                self._questions.withdraw(message)
            case Announce(method, params):
                self._announce(method, params)
            case SignInOffered(group, url):
                self._questions.offer_sign_in(group, url)
            case SignInEnded(group, succeeded):
                self._questions.end_sign_in(group, succeeded=succeeded)
            case Directory():
                self._on_directory(message)
            case UpstreamGone():
                self._on_upstream_gone(message)
            case Writable(writable):
                self._supervisor.tell(supervisor.Congestion(not writable))
            case ClientGone(reading):
                self._supervisor.tell(supervisor.Shutdown(EOF_GRACE if reading else 0.0))
            case Finish(grace, reason):
                self._finish(grace, reason)
            case GraceOver():
                self._give_up()
            case _:
                assert_never(message)

    # Frames of the client -----------------------------------------------------------------------------------------

    def _on_frames(self, frames: Sequence[bytes | None]) -> None:
        until = perf_counter() + _TURN
        for number, frame in enumerate(frames, 1):
            self._on_frame(frame)
            if number < len(frames) and not self._slices.busy and perf_counter() > until:
                self._slices.begin(None, lambda _: None)  # the others have a turn first
            if self._slices.busy:
                self._slices.defer(ClientFrames(tuple(frames[number:])))
                break

    def _on_frame(self, frame: bytes | None) -> None:
        if frame is None:
            self._refuse(b"null", jsonrpc.INVALID_REQUEST, _TOO_LONG, None)
        elif len(frame) > _MAY_BE_BLANK or frame.strip():
            message = jsonrpc.read_at_once(frame)
            if message is None:
                self._slices.begin(jsonrpc.read_in_slices(frame), self._on_message)
            else:
                self._on_message(message)

    def _on_message(self, message: jsonrpc.Message) -> None:
        if isinstance(message, jsonrpc.Batch):
            self._on_batch(message)
        else:
            self._on_single(message, None)

    def _on_batch(self, batch: jsonrpc.Batch) -> None:
        if not batch.messages:
            self._refuse(b"null", jsonrpc.INVALID_REQUEST, "Invalid request: an empty batch", None)
        elif not self._session.takes_batches:
            text = "Invalid request: batches belong to revision 2025-03-26 and follow its initialize"
            self._refuse(b"null", jsonrpc.INVALID_REQUEST, text, None)
        else:
            answer = BatchAnswer(sum(jsonrpc.is_answered(message) for message in batch.messages))
            self._on_portion(batch.messages, answer)

    def _on_portion(self, messages: Sequence[jsonrpc.Single], answer: BatchAnswer) -> None:
        """Handle the first messages of a batch, and the rest when everybody else has had a turn."""
        for message in messages[:BATCH_PORTION]:
            self._on_single(message, answer)
        rest = messages[BATCH_PORTION:]
        if rest:
            self._slices.begin(None, lambda _: self._on_portion(rest, answer))

    def _on_single(self, message: jsonrpc.Single, batch: BatchAnswer | None) -> None:
        match message:
            case jsonrpc.Call():
                self._on_call(message, batch)
            case jsonrpc.Note(method, params):
                self._on_note(method, params)
            case jsonrpc.Answer():
                self._questions.on_answer(message)
            case jsonrpc.Malformed():
                self._on_malformed(message, batch)

    def _on_malformed(self, message: jsonrpc.Malformed, batch: BatchAnswer | None) -> None:
        if message.is_note:
            log.remark(
                "notification", f"ignored a notification of the client: {message.message}", level="debug"
            )
        elif not message.is_answer:
            self._refuse(message.id, message.code, message.message, batch)
        elif self._questions.on_unreadable(message.id):
            if batch is not None:
                self._send_batch(batch.add(None))
        else:
            # Under an id that is the client's own too this would answer the client's request.
            identifier = b"null" if message.id in self._exchanges else message.id
            self._refuse(identifier, message.code, message.message, batch)

    def _on_call(self, call: jsonrpc.Call, batch: BatchAnswer | None) -> None:
        if call.id in self._exchanges or (
            self._early and any(early.id == call.id for early, _ in self._early)
        ):
            text = f"Invalid request: a request with the id {_shown(call.id.decode())} is in flight already"
            self._refuse(call.id, jsonrpc.INVALID_REQUEST, text, batch)
        elif call.method not in client_requests.KNOWN:
            self._refuse(call.id, jsonrpc.METHOD_NOT_FOUND, f"Method not found: {_shown(call.method)}", batch)
        elif call.method == "ping":
            self._send(jsonrpc.result(call.id, b"{}"), batch)
        elif call.method != "initialize" and self._session.profile is None:
            self._refuse(call.id, jsonrpc.INVALID_REQUEST, "Invalid request: initialize comes first", batch)
        elif self._finishing:
            self._refuse_late(call, batch)
        elif len(self._early) + len(self._exchanges) >= MAX_OPEN_REQUESTS:
            self._refuse(call.id, jsonrpc.UPSTREAM_FAILED, _TOO_MANY, batch)
        else:
            if call.method != "initialize":
                self._operate()  # some clients never send notifications/initialized
            self._accept(call, batch)

    def _operate(self) -> None:
        """The client shows that it has understood the answer to its initialize: from now on it is asked and told."""
        if not self._session.operating and self._session.profile is not None:
            self._session.operating = True
            self._questions.release()

    def _accept(self, call: jsonrpc.Call, batch: BatchAnswer | None) -> None:
        try:
            self._dispatch(call, batch)
        except DownstreamError as error:
            self._refuse(call.id, error.code, str(error), batch)

    def _dispatch(self, call: jsonrpc.Call, batch: BatchAnswer | None) -> None:
        method, params = call.method, call.params
        if method == "initialize":
            result = self._session.initialize(params)
            self._send(jsonrpc.result(call.id, jsonrpc.encode(result)), batch)
            if self._session.profile is not None:
                self._supervisor.tell(supervisor.ClientKnown(self._session.profile))
        elif method == "logging/setLevel":
            self._log_level = client_requests.log_level(params)
            self._supervisor.tell(supervisor.LogLevelSet(self._log_level))
            self._send(jsonrpc.result(call.id, b"{}"), batch)
        elif self._directory is None:
            self._early.append((call, batch))
        elif method == "tools/call":
            self._call_tool(call, self._directory, batch)
        else:
            ticket, params = self._open(call, batch)
            message = catalog.Browse if method in client_requests.LISTS else catalog.FindRoute
            self._ask_catalog(self._directory, message(ticket, method, params, self.actor_ref))

    def _ask_catalog(
        self, directory: Directory, message: catalog.Browse | catalog.FindRoute | catalog.ShowTools
    ) -> None:
        if not post(directory.catalog, message):
            error = verdicts.lost("dmcp", "it is shutting down", may_have_run=False)
            self._on_reply(Reply(message.ticket, None, error))

    def _open(self, call: jsonrpc.Call, batch: BatchAnswer | None) -> tuple[int, JsonObject]:
        token, params = client_requests.take_progress_token(call.params)
        exchange: Exchange[Address] = Exchange(call.id, call.method, progress_token=token, batch=batch)
        return self._exchanges.open(exchange), params

    def _call_tool(self, call: jsonrpc.Call, directory: Directory, batch: BatchAnswer | None) -> None:
        name = client_requests.text(call.params, "name")
        arguments = client_requests.mapping(call.params, "arguments")
        if name == tools.GET_TOOLS:
            group = client_requests.text(arguments, "group", "arguments.")
            ticket, _ = self._open(call, batch)
            self._ask_catalog(directory, catalog.ShowTools(ticket, group, self.actor_ref))
        elif name == tools.CALL_TOOL:
            self._call_dynamic_tool(call, arguments, directory, batch)
        else:
            text = f"Invalid params: unknown tool {_shown(name)!r}; there are {tools.GET_TOOLS} and {tools.CALL_TOOL}"
            raise DownstreamError(jsonrpc.INVALID_PARAMS, text)

    def _call_dynamic_tool(
        self, call: jsonrpc.Call, arguments: JsonObject, directory: Directory, batch: BatchAnswer | None
    ) -> None:
        wanted = tools.read_call(arguments)
        if isinstance(wanted, str):
            raise DownstreamError(jsonrpc.INVALID_PARAMS, f"Invalid params: {wanted}")
        group = directory.groups.get(wanted.group)
        if group is None:
            known = [name for name, g in directory.groups.items() if g.config.features.tools]
            unknown = tools.unknown("group", wanted.group, known, problem=directory.problem)
            self._send(jsonrpc.result(call.id, unknown), batch)
        elif not group.config.features.tools:
            text = f"The tools of {wanted.group!r} are switched off in dmcp's configuration."
            self._send(jsonrpc.result(call.id, tools.text_result(text, failed=True)), batch)
        else:
            ticket, params = self._open(call, batch)
            params = client_requests.upstream_call(params, wanted.name, wanted.arguments)
            self._forward(ticket, wanted.group, params)

    def _forward(self, ticket: int, name: str, params: JsonObject) -> None:
        """Give a request to the upstream of a group. The exchange is open, so every way out answers it."""
        exchange = self._exchanges.get(ticket)
        group = self._directory.groups.get(name) if self._directory else None
        if exchange is None:
            return
        if group is None or group.upstream is None:
            reason = group.reason if group else "it is no longer configured"
            self._on_reply(Reply(ticket, None, verdicts.unavailable(name, reason)))
            return
        exchange.upstream, exchange.group = group.upstream, name
        wants_progress = exchange.progress_token is not None
        request = upstream.Request(ticket, exchange.method, params, self.actor_ref, wants_progress)
        if not post(group.upstream, request):
            self._supervisor.tell(supervisor.Undelivered(name, request))

    def _on_routed(self, routed: Routed) -> None:
        self._forward(routed.ticket, routed.group, routed.params)

    # Notifications and answers of the client ----------------------------------------------------------------------

    def _on_note(self, method: str, params: JsonObject) -> None:
        match method:
            case "notifications/initialized":
                self._operate()
            case "notifications/cancelled":
                self._on_cancelled(params)
            case "notifications/progress":
                self._questions.on_progress(params)
            case "notifications/roots/list_changed":
                self._supervisor.tell(supervisor.ClientSaid(method))
            case _:
                log.remark("notification", lambda: f"ignored {method} of the client", level="debug")

    def _on_cancelled(self, params: JsonObject) -> None:
        identifier = jsonrpc.encode(params.get("requestId"))
        self._forget_early(identifier)
        ticket = self._exchanges.ticket_of(identifier)
        exchange = self._exchanges.close(ticket) if ticket is not None else None
        if exchange is None or ticket is None:
            return
        if exchange.upstream is not None:
            order = upstream.Cancel(ticket, str(params.get("reason") or ""))
            post(exchange.upstream, order)  # if it has ended, the request comes back to us as ``Moved``
        elif self._directory is not None:
            post(self._directory.catalog, catalog.Forget(ticket))
        if exchange.batch is not None:
            self._send_batch(exchange.batch.add(None))
        self._finish_if_idle()

    def _forget_early(self, identifier: bytes) -> None:
        gone = [early for early in self._early if early[0].id == identifier]
        self._early = [early for early in self._early if early[0].id != identifier]
        for _, batch in gone:
            if batch is not None:
                self._send_batch(batch.add(None))

    # From the upstreams -------------------------------------------------------------------------------------------

    def _on_reply(self, reply: Reply) -> None:
        exchange = self._exchanges.close(reply.ticket)
        if exchange is None:
            return  # cancelled, or answered already
        if reply.error is not None:
            parts = jsonrpc.passed_on(exchange.id, "error", reply.error)
        else:
            parts = jsonrpc.passed_on(exchange.id, "result", reply.result or b"{}")
        if exchange.batch is None and len(parts[1]) > _COPIED:
            self._write_parts(parts)
        else:
            self._send(b"".join(parts), exchange.batch)
        self._finish_if_idle()

    def _on_moved(self, ticket: int, address: Address) -> None:
        exchange = self._exchanges.get(ticket)
        if exchange is not None:
            exchange.upstream = address
        else:
            post(address, upstream.Cancel(ticket, "cancelled"))  # it was, while nobody had it

    def _on_progressed(self, ticket: int, params: JsonObject) -> None:
        exchange = self._exchanges.get(ticket)
        if exchange is not None and exchange.progress_token is not None:
            self._announce("notifications/progress", {**params, "progressToken": exchange.progress_token})

    def _announce(self, method: str, params: JsonObject | None) -> None:
        if not self._session.operating:
            return
        loud = method != "notifications/message" or client_requests.is_loud_enough(
            (params or {}).get("level"), self._log_level
        )
        if loud:
            self._write(jsonrpc.notification(method, params))

    def _on_directory(self, directory: Directory) -> None:
        problem, before = directory.problem, self._directory.problem if self._directory else ""
        self._directory = directory
        if problem != before:
            level, text = "error", tools.invalid_configuration(problem)
            if not problem:
                level, text = "notice", "The configuration file is valid again and in force."
            self._announce("notifications/message", {"level": level, "logger": "dmcp", "data": text})
        early, self._early = self._early, []
        for call, batch in early:
            self._accept(call, batch)
        self._finish_if_idle()

    def _on_upstream_gone(self, message: UpstreamGone) -> None:
        self._questions.withdraw(QuestionWithdrawn(message.upstream, None, message.reason))
        error = verdicts.lost(message.group, message.reason, may_have_run=True)
        for ticket in self._exchanges.of_upstream(message.upstream):
            self._on_reply(Reply(ticket, None, error))

    # Writing and the end ------------------------------------------------------------------------------------------

    def _send(self, frame: bytes, batch: BatchAnswer | None) -> None:
        if batch is None:
            self._write(frame)
        else:
            self._send_batch(batch.add(frame))

    def _send_batch(self, whole: bytes | None) -> None:
        if whole is not None:
            self._write(whole)

    def _refuse(self, identifier: bytes, code: int, text: str, batch: BatchAnswer | None) -> None:
        self._send(jsonrpc.failure(identifier, jsonrpc.error_object(code, text)), batch)

    def _refuse_late(self, call: jsonrpc.Call, batch: BatchAnswer | None) -> None:
        self._refuse(call.id, jsonrpc.INTERNAL_ERROR, f"{self._farewell}; the call has not run", batch)

    def _finish(self, grace: float, reason: str) -> None:
        self._finishing = True
        self._farewell = reason or self._farewell
        self.later(grace, GraceOver())
        self._finish_if_idle()

    def _finish_if_idle(self) -> None:
        if self._finishing and not self._early and not len(self._exchanges):
            self._give_up()

    def _give_up(self) -> None:
        self._finishing = False
        for call, batch in self._early:
            self._refuse_late(call, batch)
        for ticket, exchange in self._exchanges.all():
            sent = exchange.upstream is not None
            error = verdicts.lost(exchange.group or "dmcp", "dmcp is shutting down", may_have_run=sent)
            self._on_reply(Reply(ticket, None, error))
        post(self._supervisor, lifecycle.ChildStopped("frontend", 0))  # it may be what has failed
        self.end()


def _shown(text: str) -> str:
    return printable(text, _SHOWN)
