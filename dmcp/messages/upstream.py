"""What an upstream accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.protocol.jsonrpc import Body, JsonObject
    from dmcp.protocol.link import Link, LinkFault
    from dmcp.protocol.operations import ClientNotification, ClientProfile, Operation
    from dmcp.protocol.pending import CallId
    from dmcp.protocol.subscriptions import Subscription


class Beginning(NamedTuple):
    """What a new life starts from.

    Attributes:
        delay: seconds to wait before connecting, after a failure.
        reason: the failure, empty for a first life.
        asleep: connect only when somebody asks for something.
        repeat: requests taken over from the life before.
        subscriptions: to make again.
        category: of the failure, see ``dmcp.protocol.categories``.
        missing: whether the failure was that the command to start is not there.
    """

    delay: float = 0.0
    reason: str = ""
    asleep: bool = False
    repeat: tuple[Submit, ...] = ()
    subscriptions: frozenset[Subscription] = frozenset()
    category: str = ""
    missing: bool = False


class Peers(NamedTuple):
    """The actors an upstream talks to."""

    supervisor: Address
    catalog: Address
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
        repeated: whether it was handed over or sent again before.
        may_have_run: whether the server may have executed it then.
        wait_until: until when it waits for the server to come back, in seconds of the monotonic clock; 0: it fails
            with the connection.
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
    """Description, features, timeouts or policy have changed; the connection stays."""

    config: ServerConfig


class SetFlow(NamedTuple):
    """A client does not keep up with reading, or does again. A server that serves no other is not read meanwhile."""

    client: int
    paused: bool


class TakeOver(NamedTuple):
    """Subscribe to these resources too: clients are subscribed to them at the life before."""

    subscriptions: frozenset[Subscription]


class Stop(NamedTuple):
    """Finish what is in flight within ``grace`` seconds, close the connection, end."""

    grace: float


class LinkOpened(NamedTuple):
    """From the opening task: the link is there, or why it is not."""

    link: Link | None
    error: BaseException | None


class FrameArrived(NamedTuple):
    """From the link: one frame of the server.

    Attributes:
        frame: the message.
        during: the number of the request on whose stream it came, if the link has a stream for each.
    """

    frame: bytes
    during: int | None = None


class NoiseArrived(NamedTuple):
    """From the link: something that is no frame."""

    text: str


class RequestFailed(NamedTuple):
    """From the link: this request will get no answer."""

    number: int
    fault: LinkFault


class LinkClosed(NamedTuple):
    """From the link: it is gone."""

    fault: LinkFault


class Tick(NamedTuple):
    """From a timer: something is due. ``what`` names the timer."""

    what: Any
