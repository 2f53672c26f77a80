"""Translates between the client's JSON-RPC and the messages between actors. Owns what the client waits for.

It reads each frame once, finds out who can answer, and writes each answer under the client's own id, exactly once.
It knows no upstream's state: where a group's requests go is in the directory the supervisor publishes.
"""

# Long because both directions of the client's session are read side by side; questions to the client are elsewhere.

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from dmcp import log
from dmcp.actors.call_audit import CallAudit
from dmcp.actors.client_questions import ClientQuestions
from dmcp.actors.runtime import LoopActor, Watch, post
from dmcp.actors.slices import Slices
from dmcp.actors.staged_calls import StagedCalls
from dmcp.errors import DownstreamError
from dmcp.messages import auth as sign_ins
from dmcp.messages import catalog, frontend, lifecycle, supervisor, upstream
from dmcp.messages.frontend import ClientFrames, RouteResolved, ServerRequestCancelled, Settled
from dmcp.messages.supervisor import Directory
from dmcp.protocol import jsonrpc, tools, upstream_errors, wire
from dmcp.protocol.eras.handshake import (
    Initialize,
    ServerSession,
    notification,
    read_client_notification,
)
from dmcp.protocol.limits import BATCH_PORTION, KIB, MAX_EXPLAINED, MAX_OPEN_REQUESTS
from dmcp.protocol.operations import (
    CallTool,
    Cancelled,
    Error,
    Initialized,
    ListItems,
    LogMessage,
    Ping,
    Progress,
    ResourceUpdated,
    Result,
    RootsChanged,
    SetLogLevel,
    may_have_failed,
    passes_log_level,
)
from dmcp.protocol.pending import BatchAnswer, CallId, PendingRequest, PendingRequests
from dmcp.stages.pipeline import build
from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dmcp.messages import Address
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.link import ClientLink
    from dmcp.protocol.operations import Operation, ServerNotification

EOF_GRACE: Final = 10.0
"""Seconds calls in flight get to finish when the client has closed its end: it may still read the answers."""

_TURN = 0.005  # seconds of handling what the client has sent before the others have a turn
_SHOWN = 100  # characters of the client's words in an error
_COPIED = 32 * KIB  # bytes of an answer up to which putting it together costs less than writing its parts
_MAY_BE_BLANK = 4096  # bytes; a longer line is no blank one, whatever it holds
_TOO_LONG = "Invalid request: a message must not be longer than 64 MiB"
_TOO_MANY = f"the client has {MAX_OPEN_REQUESTS:,} requests open, the most dmcp takes; try again when some are answered"


_DROPPED_UNREAD: Final = (LogMessage, Progress, ResourceUpdated)
"""Notifications without which the client misses news only: not sent to one of several that does not read."""


class Frontend(LoopActor):
    """The actor that faces one client, for as long as that is there.

    Args:
        link: to the client.
        supervisor_: is told when this one has ended.
        client: the number of the client.
        watch: who is told of the end (``ChildStopped``) or of a failure.
        audit: is told of every call that ends, where somebody listens for that.
        session: with the client, if its ``initialize`` has been answered already.
    """

    def __init__(
        self,
        link: ClientLink,
        supervisor_: Address,
        client: int,
        watch: Watch | None = None,
        audit: Address | None = None,
        *,
        session: ServerSession | None = None,
    ) -> None:
        super().__init__(watch)
        self._link = link
        self._write = link.write
        self._slices = Slices(self, link.hold)
        self._supervisor = supervisor_
        self._session = session or ServerSession()
        self._directory: Directory | None = None
        self._early: list[tuple[PendingRequest[Address], Operation]] = []  # before there is a directory
        self._client = client
        self._calls = None if audit is None else CallAudit(audit)
        self._pending: PendingRequests[Address] = PendingRequests(client)
        self._context = upstream.CallContext(self.actor_ref)
        self._context_with_progress = upstream.CallContext(self.actor_ref, wants_progress=True)
        self._questions = ClientQuestions(client, self._session, link.write, self._decline_sign_in)
        self._staged: StagedCalls | None = None  # exists where a server has stages
        self._log_level: str | None = None
        self._paused = False  # the client does not keep up with reading
        self._shared = False  # there are other clients
        self._dropped = 0  # notifications that were not sent because the client does not read
        self._joined: list[Address] = []  # the upstreams that know the client
        self._finishing = False
        self._shutting_down = False  # so are the upstreams
        self._farewell = "dmcp is shutting down"  # what a request that has not run is told then

    def __repr__(self) -> str:
        return f"<Frontend {self._client} {self._session!r} {len(self._pending.call_of)} in flight>"

    def on_receive(self, message: Any) -> None:
        """Handle one message, on the loop."""
        self._HANDLERS[type(message)](self, message)

    # Frames of the client -----------------------------------------------------------------------------------------

    def _on_client_frames(self, message: ClientFrames) -> None:
        if self._slices.busy:
            self._slices.defer(message)
            return
        frames, until = message.frames, perf_counter() + _TURN
        for number, frame in enumerate(frames, 1):
            self._on_frame(frame)
            if number < len(frames) and self._must_wait(until):
                self._slices.defer(ClientFrames(frames[number:]))
                break

    def _must_wait(self, until: float) -> bool:
        """Return whether the next frame has to wait: for a large message, or for the others to have a turn."""
        if not self._slices.busy and perf_counter() > until:
            self._slices.begin(None, lambda _: None)
        return self._slices.busy

    def _on_frame(self, frame: bytes | None) -> None:
        if frame is None:
            self._refuse(b"null", jsonrpc.INVALID_REQUEST, _TOO_LONG, None)
            return
        message = jsonrpc.read_at_once(frame)
        if type(message) is jsonrpc.Request:  # as nearly always
            self._on_request(message, None)
        elif message is None:
            self._slices.begin(jsonrpc.read_in_slices(frame), self._on_message)
        elif not isinstance(message, jsonrpc.Malformed) or len(frame) > _MAY_BE_BLANK or frame.strip():
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
            case jsonrpc.Request():
                self._on_request(message, batch)
            case jsonrpc.Notification(method, params):
                self._on_note(method, params)
            case jsonrpc.Response():
                self._questions.on_answer(message)
            case jsonrpc.Malformed():
                self._on_malformed(message, batch)

    def _on_malformed(self, message: jsonrpc.Malformed, batch: BatchAnswer | None) -> None:
        if message.is_notification:
            text = f"ignored a notification of the client: {message.message}"
            log.remark("notification", text, level="debug")
        elif not message.is_response:
            self._refuse(message.id, message.code, message.message, batch)
        elif self._questions.on_unreadable(message.id):
            if batch is not None:
                self._send_batch(batch.add(None))
        else:
            # Under an id that is the client's own too this would answer the client's request.
            identifier = b"null" if message.id in self._pending.call_of else message.id
            self._refuse(identifier, message.code, message.message, batch)

    def _on_request(self, message: jsonrpc.Request, batch: BatchAnswer | None) -> None:
        identifier = message.id
        if identifier in self._pending.call_of or (
            self._early and any(early.id == identifier for early, _ in self._early)
        ):
            shown = printable(identifier.decode(), _SHOWN)
            text = f"Invalid request: a request with the id {shown} is in flight already"
            self._refuse(identifier, jsonrpc.INVALID_REQUEST, text, batch)
            return
        try:
            operation, progress_token, meta = self._session.read(message.method, message.params)
            if isinstance(operation, Ping):
                self._send(jsonrpc.result(identifier, b"{}"), batch)
            elif self._finishing:
                self._refuse_late(identifier, batch)
            elif len(self._early) + len(self._pending.call_of) >= MAX_OPEN_REQUESTS:
                self._refuse(identifier, jsonrpc.UPSTREAM_FAILED, _TOO_MANY, batch)
            elif isinstance(operation, Initialize):
                self._initialize(identifier, operation, batch)
            else:
                if not self._session.operating:
                    self._operate()  # some clients never send notifications/initialized
                self._dispatch(PendingRequest(identifier, progress_token, meta, batch), operation)
        except DownstreamError as error:
            self._refuse(identifier, error.code, str(error), batch)

    def _initialize(self, identifier: bytes, operation: Initialize, batch: BatchAnswer | None) -> None:
        result = self._session.initialize(operation.params)
        self._send(jsonrpc.result(identifier, wire.encode(result)), batch)
        self._join()

    def _operate(self) -> None:
        """Mark the client as initialized: it has understood the answer, and is asked and told from now on."""
        if not self._session.operating and self._session.profile is not None:
            self._session.operating = True
            self._questions.release()

    def _dispatch(self, pending: PendingRequest[Address], operation: Operation) -> None:
        directory = self._directory
        if isinstance(operation, CallTool) and directory is not None:
            self._call_tool(pending, operation, directory)
        elif isinstance(operation, SetLogLevel):
            self._log_level = operation.level
            self._tell_upstreams(upstream.SetLogLevel(self._client, operation.level))
            self._send(jsonrpc.result(pending.id, b"{}"), pending.batch)
        elif directory is None:
            self._early.append((pending, operation))
        elif isinstance(operation, ListItems):
            browse = catalog.Browse(self._open(pending, operation), operation, self.actor_ref)
            self._ask_catalog(directory, browse)
        elif not isinstance(operation, Ping | CallTool):
            find = catalog.ResolveRoute(self._open(pending, operation), operation, self.actor_ref)
            self._ask_catalog(directory, find)

    def _ask_catalog(self, directory: Directory, message: catalog.Asked | catalog.RepairCall) -> None:
        if not post(directory.catalog, message):
            error = upstream_errors.connection_lost("dmcp", "it is shutting down", may_have_run=False)
            self._settle_error(message.call, error)

    def _open(self, pending: PendingRequest[Address], operation: Operation) -> CallId:
        call = self._pending.open(pending)
        if self._calls is not None:
            self._calls.begin(call, operation)
        return call

    def _call_tool(self, pending: PendingRequest[Address], operation: CallTool, directory: Directory) -> None:
        if operation.name == tools.CALL_TOOL:
            self._call_dynamic_tool(pending, operation, directory)
        elif operation.name == tools.GET_TOOLS:
            from dmcp.protocol.tool_listing import read_wanted  # noqa: PLC0415 - loaded when first asked for

            wanted, call = read_wanted(operation.arguments), self._open(pending, operation)
            self._ask_catalog(directory, catalog.GetTools(call, wanted, self.actor_ref))
        elif any(group.config.direct for group in directory.groups.values()):
            call = self._open(pending, operation)
            self._ask_catalog(directory, catalog.ResolveTool(call, operation, self.actor_ref))
        else:
            raise tools.unknown_tool(operation.name, ())

    def _call_dynamic_tool(
        self, pending: PendingRequest[Address], operation: CallTool, directory: Directory
    ) -> None:
        wanted = tools.read_call(operation.arguments, directory.groups)
        if isinstance(wanted, str):
            raise DownstreamError(jsonrpc.INVALID_PARAMS, f"Invalid params: {wanted}")
        group = directory.groups.get(wanted.group)
        if group is None:
            known = [name for name, g in directory.groups.items() if g.config.features.tools]
            unknown = tools.unknown("group", wanted.group, known, problem=directory.problem)
            self._send(jsonrpc.result(pending.id, unknown), pending.batch)
        elif not group.config.features.tools:
            text = f"The tools of {wanted.group!r} are switched off in dmcp's configuration."
            self._send(jsonrpc.result(pending.id, tools.text_result(text, failed=True)), pending.batch)
        else:
            tool = CallTool(wanted.name, wanted.arguments, operation.extra)
            call = self._open(pending, tool)
            if tools.is_unusual(wanted):
                self._ask_catalog(directory, catalog.RepairCall(call, wanted.group, tool, self.actor_ref))
            elif self._staged is None or not self._staged.begin(call, wanted.group, tool):
                self._give(call, pending, wanted.group, group, tool)

    def _on_route_resolved(self, routed: RouteResolved) -> None:
        if self._calls is not None:
            self._calls.begin(routed.call, routed.operation)
        if self._staged is None or not self._staged.begin(*routed):
            self.submit(*routed)

    def submit(self, call: CallId, name: str, operation: Operation) -> None:
        """Give a request to the upstream of a group. It is pending, so every way out answers it."""
        pending = self._pending.get(call)
        if pending is not None:
            group = self._directory.groups.get(name) if self._directory else None
            self._give(call, pending, name, group, operation)

    def _give(
        self,
        call: CallId,
        pending: PendingRequest[Address],
        name: str,
        group: supervisor.Group | None,
        operation: Operation,
    ) -> None:
        if group is None or group.upstream is None:
            reason = group.reason if group else "it is no longer configured"
            self._settle_error(call, upstream_errors.unavailable(name, reason, operation))
            return
        pending.upstream, pending.group = group.upstream, name
        if type(operation) is CallTool and len(operation.arguments) <= MAX_EXPLAINED:
            pending.tool = operation
        context = self._context if pending.progress_token is None else self._context_with_progress
        if pending.meta is not None:
            context = context._replace(meta=pending.meta)
        if not post(group.upstream, upstream.Submit(call, operation, context)):
            reason = "it is being stopped or restarted"
            self._settle_error(call, upstream_errors.unavailable(name, reason, operation))

    def _settle_error(self, call: CallId, error: bytes) -> None:
        self.settle(Settled(call, Error(error)))

    # Notifications and answers of the client ----------------------------------------------------------------------

    def _on_note(self, method: str, params: JsonObject) -> None:
        match read_client_notification(method, params):
            case Initialized():
                self._operate()
            case Cancelled(request, reason):
                self._on_cancelled(wire.encode(request), reason)
            case Progress() as progress:
                self._questions.on_progress(progress)
            case RootsChanged() as news:
                self._tell_upstreams(upstream.Notify(self._client, news))
            case None:
                log.remark("notification", lambda: f"ignored {method} of the client", level="debug")

    def _on_cancelled(self, identifier: bytes, reason: str) -> None:
        self._forget_early(identifier)
        call = self._pending.call_of.get(identifier)
        pending = self._pending.close(call) if call is not None else None
        if pending is None or call is None:
            return
        if self._staged is not None:
            self._staged.forget(call)
        if self._calls is not None:
            self._calls.end(call, pending.group, "cancelled", 0)
        if pending.upstream is not None:
            post(pending.upstream, upstream.Cancel(call, reason))
        elif self._directory is not None:
            post(self._directory.catalog, catalog.CancelWait(call))
        if pending.batch is not None:
            self._send_batch(pending.batch.add(None))
        self._finish_if_idle()

    def _forget_early(self, identifier: bytes) -> None:
        early, self._early = self._early, [each for each in self._early if each[0].id != identifier]
        for pending, _ in early:
            if pending.id == identifier and pending.batch is not None:
                self._send_batch(pending.batch.add(None))

    def _on_staged(self, message: upstream.AnswerServerRequest | frontend.HoldOver) -> None:
        if self._staged is None:
            return
        if isinstance(message, frontend.HoldOver):
            self._staged.resume(message.call)
        else:
            self._staged.on_answer(message)

    def _build_stages(self, directory: Directory) -> None:
        found = {name: stages for name, group in directory.groups.items() if (stages := build(group.config))}
        if self._staged is not None:
            self._staged.stages = found
        elif found:
            self._staged = StagedCalls(self, self._questions, found)

    # From the upstreams -------------------------------------------------------------------------------------------

    def settle(self, reply: Settled) -> None:
        """Answer a call of the client, unless it has been answered or cancelled."""
        pending = self._pending.close(reply.call)
        if pending is None:
            return  # cancelled, or answered already
        if pending.tool is not None and may_have_failed(reply.outcome) and self._directory is not None:
            explain = catalog.ExplainFailure(
                reply.call, pending.group, pending.tool, reply.outcome, self.actor_ref
            )
            pending.tool = pending.upstream = None
            if post(self._directory.catalog, explain):
                self._pending.reopen(reply.call, pending)
                return
        outcome = reply.outcome if self._staged is None else self._staged.after(reply.call, reply.outcome)
        # No match: taking a named tuple apart in a pattern costs ten times as much.
        if isinstance(outcome, Result):
            parts = jsonrpc.forward_response(pending.id, "result", outcome.body)
        elif isinstance(outcome, Error):
            parts = jsonrpc.forward_response(pending.id, "error", outcome.body)
        else:  # input is required: no server of the handshake era ends a call like this
            text = f"{pending.group}: asked for input in a way this client cannot be told of"
            error = jsonrpc.error_object(jsonrpc.INTERNAL_ERROR, text)
            parts = jsonrpc.forward_response(pending.id, "error", error)
        if self._calls is not None:
            ended = "result" if isinstance(outcome, Result) else "error"
            self._calls.end(reply.call, pending.group, ended, len(parts[1]))
        if pending.batch is not None:
            self._send_batch(pending.batch.add(b"".join(parts)))
        elif len(parts[1]) > _COPIED:
            self._link.write_parts(parts)
        else:
            self._write(b"".join(parts))
        if self._finishing:
            self._finish_if_idle()

    def _on_progressed(self, progressed: frontend.Progressed) -> None:
        pending = self._pending.get(progressed.call)
        if pending is not None and pending.progress_token is not None:
            self._notify(Progress(pending.progress_token, progressed.figures))

    def _notify(self, news: ServerNotification) -> None:
        if not self._session.operating:
            return
        if isinstance(news, LogMessage) and not passes_log_level(news.level, self._log_level):
            return
        if self._paused and self._shared and isinstance(news, _DROPPED_UNREAD):
            self._dropped += 1
        else:
            self._write(notification(news))

    def _on_writable(self, message: frontend.Writable) -> None:
        self._paused = not message.writable
        self._tell_upstreams(upstream.SetFlow(self._client, self._paused))
        if message.writable and self._dropped:
            dropped, self._dropped = self._dropped, 0
            text = f"{dropped} notifications were dropped: the client did not read what it is sent"
            log.warning(f"client {self._client}: {text}")
            self._notify(LogMessage("warning", "dmcp", {"data": text}))

    def _on_sharing_changed(self, message: frontend.SharingChanged) -> None:
        self._shared = message.shared

    def _on_directory(self, directory: Directory) -> None:
        problem, before = directory.problem, self._directory.problem if self._directory else ""
        self._directory = directory
        self._build_stages(directory)
        self._join()
        if problem != before:
            level, text = "error", tools.invalid_configuration(problem)
            if not problem:
                level, text = "notice", "The configuration file is valid again and in force."
            self._notify(LogMessage(level, "dmcp", {"data": text}))
        early, self._early = self._early, []
        for pending, operation in early:
            try:
                self._dispatch(pending, operation)
            except DownstreamError as error:
                self._refuse(pending.id, error.code, str(error), pending.batch)
        self._finish_if_idle()

    def _join(self) -> None:
        """Tell the upstreams that do not know the client yet who it is, and subscribe to sign-ins."""
        profile, directory = self._session.profile, self._directory
        if profile is None or directory is None:
            return
        post(directory.auth, sign_ins.Subscribe(self.actor_ref, shows_urls=profile.can("elicitation", "url")))
        known, self._joined = self._joined, _upstreams(directory)
        message = upstream.ClientJoined(self._client, self.actor_ref, profile, self._log_level, self._paused)
        for address in self._joined:
            if not any(address is one for one in known):
                post(address, message)

    def _decline_sign_in(self, group: str) -> None:
        if self._directory is not None:
            post(self._directory.auth, sign_ins.SignInDeclined(group))

    def _tell_upstreams(self, message: object) -> None:
        for address in self._joined:
            post(address, message)

    def _on_upstream_gone(self, message: frontend.UpstreamGone) -> None:
        self._questions.withdraw(ServerRequestCancelled(message.upstream, None, message.reason))
        error = upstream_errors.connection_lost(message.group, message.reason, may_have_run=True)
        for call in self._pending.of_upstream(message.upstream):
            self._settle_error(call, error)

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

    def _refuse_late(self, identifier: bytes, batch: BatchAnswer | None) -> None:
        self._refuse(identifier, jsonrpc.INTERNAL_ERROR, f"{self._farewell}; the call has not run", batch)

    def _on_client_gone(self, message: frontend.ClientGone) -> None:
        if message.reading and self._slices.busy:
            self._slices.defer(message)
        else:
            self._finish(EOF_GRACE if message.reading else 0.0)

    def _on_finish(self, message: frontend.Finish) -> None:
        self._shutting_down = True
        self._finish(message.grace, message.reason)

    def _finish(self, grace: float, reason: str = "") -> None:
        """Take no new requests; end when the last one is answered, or after so many seconds."""
        self._finishing = True
        self._farewell = reason or self._farewell
        self.call_later(grace, frontend.GraceOver())
        self._finish_if_idle()

    def _finish_if_idle(self) -> None:
        if self._finishing and not self._early and not len(self._pending.call_of):
            self._give_up()

    def _give_up(self) -> None:
        """Answer everything that is still open, and end."""
        self._finishing = False
        for early, _ in self._early:
            self._refuse_late(early.id, early.batch)
        for call, pending in self._pending.all():
            sent = pending.upstream is not None
            group, reason = pending.group or "dmcp", "dmcp is shutting down"
            self._settle_error(call, upstream_errors.connection_lost(group, reason, may_have_run=sent))
        if self._watch is not None:
            post(self._watch.watcher, lifecycle.ChildStopped(self._watch.child, self._watch.generation))
        self.end()

    def on_end(self) -> None:
        """Leave nothing of the client with other actors, whatever ended it. Stopping upstreams need no word."""
        if not self._shutting_down:
            self._tell_upstreams(upstream.ClientLeft(self._client))
        if self._directory is not None:
            post(self._directory.catalog, catalog.ClientLeft(self._client))
            post(self._directory.auth, sign_ins.Unsubscribe(self.actor_ref))
        post(self._supervisor, supervisor.ClientDetached(self._client))

    _HANDLERS: ClassVar[dict[type, Callable[[Frontend, Any], None]]] = {
        ClientFrames: _on_client_frames,
        Settled: settle,
        RouteResolved: _on_route_resolved,
        frontend.Progressed: _on_progressed,
        frontend.SendNotification: lambda self, message: self._notify(message.news),
        frontend.ServerRequest: lambda self, message: self._questions.put(message),
        ServerRequestCancelled: lambda self, message: self._questions.withdraw(message),
        upstream.AnswerServerRequest: _on_staged,
        frontend.HoldOver: _on_staged,
        lifecycle.SlicesDone: lambda self, message: self._slices.on_done(message),
        Directory: _on_directory,
        frontend.UpstreamGone: _on_upstream_gone,
        sign_ins.SignInStarted: lambda self, message: self._questions.offer_sign_in(
            message.group, message.url
        ),
        sign_ins.SignInInOtherProcess: lambda _self, _: None,  # that process asks the user
        sign_ins.SignInEnded: lambda self, message: self._questions.end_sign_in(
            message.group, succeeded=not message.reason
        ),
        frontend.Writable: _on_writable,
        frontend.SharingChanged: _on_sharing_changed,
        frontend.ClientGone: _on_client_gone,
        frontend.Finish: _on_finish,
        frontend.GraceOver: lambda self, _: self._give_up(),
    }


def _upstreams(directory: Directory) -> list[Address]:
    return [group.upstream for group in directory.groups.values() if group.upstream is not None]
