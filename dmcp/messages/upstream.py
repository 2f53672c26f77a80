"""What an upstream accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.protocol.jsonrpc import Body, JsonObject
    from dmcp.protocol.link import Link, LinkFault
    from dmcp.protocol.operations import ClientNotification, ClientProfile, Operation
    from dmcp.protocol.pending import CallId


class Crash(NamedTuple):
    """What an upstream begins with that takes the place of an actor that failed: a bug of dmcp.

    Attributes:
        reason: what failed.
        delay: seconds to wait before connecting.
    """

    reason: str
    delay: float


class Peers(NamedTuple):
    """The actors an upstream talks to."""

    supervisor: Address
    catalog: Address
    auth: Address
    audit: Address


class ClientJoined(NamedTuple):
    """From the frontend of a client: it is initialized, and may call. Said to each upstream as soon as there are both.

    Attributes:
        client: its number.
        address: of its frontend.
        profile: what it said of itself: the first connection is initialized with that.
        log_level: the one it wants log messages from, if it has said so.
        paused: whether it does not keep up with reading.
    """

    client: int
    address: Address
    profile: ClientProfile
    log_level: str | None = None
    paused: bool = False


class ClientLeft(NamedTuple):
    """From the frontend of a client: it is gone. Its calls, subscriptions and server requests end with it."""

    client: int


class CallContext(NamedTuple):
    """What an upstream has to know of a call beside what is called. One object may serve many calls of a client.

    Attributes:
        reply_to: the frontend of the client: gets the answer and the progress.
        wants_progress: whether the client asked for progress.
        meta: the client's ``_meta`` without its progress token: trace context, keys nobody here knows.
    """

    reply_to: Address
    wants_progress: bool = False
    meta: JsonObject | None = None


class Submit(NamedTuple):
    """Do this call and send its client a ``frontend.Settled``.

    Attributes:
        call: which one, of which client.
        operation: what is asked.
        context: where its answer goes, and what else is to be known.
        repeated: whether it has lost a connection or an attempt before. Set by the upstream only, as the next two.
        may_have_run: whether the server may have executed it then.
        wait_until: until when it waits for the server to come back, in seconds of the monotonic clock; 0: it fails
            with the attempt to connect.
    """

    call: CallId
    operation: Operation
    context: CallContext
    repeated: bool = False
    may_have_run: bool = False
    wait_until: float = 0.0


class Cancel(NamedTuple):
    """The client has cancelled a request: tell the server, send no reply."""

    call: CallId
    reason: str


class AnswerServerRequest(NamedTuple):
    """The client's answer to a request of this server. Exactly one of the two is set."""

    id: bytes
    result: Body | None
    error: Body | None


class Notify(NamedTuple):
    """Pass a notification of a client on to the server."""

    client: int
    news: ClientNotification


class SetLogLevel(NamedTuple):
    """A client wants log messages from this level up."""

    client: int
    level: str


class Wake(NamedTuple):
    """Somebody wants this server now: do not wait out the backoff.

    Attributes:
        only_to_learn: nobody does, but what it offers is not known; it may sleep again when it is.
    """

    only_to_learn: bool = False


class Reconfigure(NamedTuple):
    """This is the server's configuration from now on.

    Attributes:
        config: the configuration; the same as before says that the user has loaded it again.
        grace: seconds calls in flight get to finish, where it needs another connection; ``None``: only description,
            features, timeouts or policy have changed, and the connection stays.
    """

    config: ServerConfig
    grace: float | None = None


class SetFlow(NamedTuple):
    """A client does not keep up with reading, or does again. A server that serves no other is not read meanwhile."""

    client: int
    paused: bool


class Stop(NamedTuple):
    """Finish what is in flight within ``grace`` seconds, close every connection, end."""

    grace: float


class LinkOpened(NamedTuple):
    """From the opening task of a connection: the link is there, or why it is not."""

    connection: int
    link: Link | None
    error: BaseException | None


class FrameArrived(NamedTuple):
    """From the link of a connection: one frame of the server.

    Attributes:
        connection: its number.
        frame: the message.
        during: the number of the request on whose stream it came, if the link has a stream for each.
    """

    connection: int
    frame: bytes
    during: int | None = None


class InvalidOutput(NamedTuple):
    """From the link of a connection: something that is no frame."""

    connection: int
    text: str


class RequestFailed(NamedTuple):
    """From the link of a connection: this request will get no answer."""

    connection: int
    number: int
    fault: LinkFault


class LinkClosed(NamedTuple):
    """From the link of a connection: it is gone."""

    connection: int
    fault: LinkFault


LinkMessage: TypeAlias = FrameArrived | InvalidOutput | RequestFailed | LinkClosed


class TimerFired(NamedTuple):
    """From a timer: something is due.

    Attributes:
        timer: names it.
        connection: the number of the connection it belongs to; 0: none.
    """

    timer: Any
    connection: int = 0
