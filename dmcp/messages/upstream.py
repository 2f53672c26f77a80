"""What an upstream accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.protocol.eras.handshake import ClientProfile
    from dmcp.protocol.jsonrpc import Body, JsonObject
    from dmcp.protocol.link import Link, LinkFault


class Beginning(NamedTuple):
    """What a new life starts from.

    Attributes:
        delay: seconds to wait before connecting, after a failure.
        reason: the failure, empty for a first life.
        asleep: connect only when somebody asks for something.
        profile: the client, if it is known already.
        log_level: what the client has asked for, if it has.
        repeat: requests taken over from the life before.
        subscriptions: resource URIs to subscribe to again.
        category: of the failure, see ``dmcp.protocol.categories``.
        missing: whether the failure was that the command to start is not there.
    """

    delay: float = 0.0
    reason: str = ""
    asleep: bool = False
    profile: ClientProfile | None = None
    log_level: str | None = None
    repeat: tuple[Request, ...] = ()
    subscriptions: frozenset[str] = frozenset()
    category: str = ""
    missing: bool = False


class Peers(NamedTuple):
    """The actors an upstream talks to."""

    supervisor: Address
    catalog: Address
    frontend: Address


class Initialise(NamedTuple):
    """The client is known: do the handshake as soon as the link is open."""

    profile: ClientProfile


class Request(NamedTuple):
    """Do this request and send a ``frontend.Reply`` with the same ticket.

    Attributes:
        ticket: the asker's own number for it.
        method: the MCP method.
        params: its params, with the client's ``_meta`` but without a progress token.
        reply_to: who gets the reply.
        wants_progress: whether the client asked for progress.
        repeated: whether it was handed over or sent again before.
        may_have_run: whether the server may have executed it then.
        wait_until: until when it waits for the server to come back, in seconds of the monotonic clock; 0: it fails
            with the connection.
    """

    ticket: int
    method: str
    params: JsonObject
    reply_to: Address
    wants_progress: bool = False
    repeated: bool = False
    may_have_run: bool = False
    wait_until: float = 0.0


class Cancel(NamedTuple):
    """The client has cancelled a request: tell the server, send no reply."""

    ticket: int
    reason: str


class Respond(NamedTuple):
    """The client's answer to a question of this server. Exactly one of the two is set."""

    question: bytes
    result: Body | None
    error: Body | None


class Inform(NamedTuple):
    """Pass a notification of the client on to the server."""

    method: str
    params: JsonObject


class SetLogLevel(NamedTuple):
    """The client wants log messages from this level up."""

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


class HoldBack(NamedTuple):
    """Stop (or go on) reading from the server: the client does not keep up."""

    hold: bool


class TakeOver(NamedTuple):
    """Subscribe to these resources too: the client is subscribed to them at the life before."""

    subscriptions: frozenset[str]


class SignInPending(NamedTuple):
    """The person is being asked to sign in (or no longer): the connect deadline waits.

    Attributes:
        url: where; empty when another dmcp process asks them.
    """

    pending: bool
    url: str = ""


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
