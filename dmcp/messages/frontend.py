"""What the frontend accepts (besides the supervisor's ``Directory``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dmcp.messages import Address
    from dmcp.protocol import operations
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.operations import Outcome, Question, ServerNotification
    from dmcp.protocol.pending import CallId


class ClientFrames(NamedTuple):
    """From the link: messages of the client; ``None`` stands for one that was too long to keep."""

    frames: tuple[bytes | None, ...]


class ClientGone(NamedTuple):
    """From the link: the client has closed its end (and may still read), or is not there any more."""

    reading: bool


class Writable(NamedTuple):
    """From the link: the client keeps up with reading, or does not."""

    writable: bool


class Settled(NamedTuple):
    """A call of the client has ended this way."""

    call: CallId
    outcome: Outcome


class RouteResolved(NamedTuple):
    """From the catalog: this group serves the call, in this form."""

    call: CallId
    group: str
    operation: operations.Routed | operations.CallTool


class Progressed(NamedTuple):
    """An upstream reports progress on a call; ``figures`` are the members that say how far it is."""

    call: CallId
    figures: JsonObject


class ServerRequest(NamedTuple):
    """An upstream asks the client something; the answer goes back as ``upstream.AnswerServerRequest``.

    Attributes:
        id: the upstream's own; no two that are open have the same.
        group: whose request it is.
        upstream: where the answer goes.
        call: the call of the client that it belongs to, if that is known.
        question: what is asked, ready for the client.
    """

    id: bytes
    group: str
    upstream: Address
    call: CallId | None
    question: Question


class ServerRequestCancelled(NamedTuple):
    """The upstream no longer wants an answer; ``id`` is ``None`` for all of its requests."""

    upstream: Address
    id: bytes | None
    reason: str


class SendNotification(NamedTuple):
    """Send the client a notification."""

    news: ServerNotification


class HoldOver(NamedTuple):
    """From a timer: a stage has held this call as long as it wanted."""

    call: CallId


class UpstreamGone(NamedTuple):
    """An upstream actor has failed: answer what it still owes."""

    upstream: Address
    group: str
    reason: str


class SharingChanged(NamedTuple):
    """From the supervisor: whether there are other clients. Then servers are read on while this one does not read."""

    shared: bool


class Finish(NamedTuple):
    """Take no new requests; end when the last is answered, or after ``grace`` seconds.

    Attributes:
        reason: what requests that have not run are told; empty: that dmcp is shutting down.
    """

    grace: float
    reason: str = ""


class GraceOver(NamedTuple):
    """From a timer: stop waiting for requests in flight."""
