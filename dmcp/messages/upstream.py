"""What an upstream accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dmcp.config.model import ServerConfig
    from dmcp.messages import Address
    from dmcp.protocol.jsonrpc import JsonObject
    from dmcp.protocol.link import Link, LinkFault
    from dmcp.protocol.session import ClientProfile


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """What a new life starts from.

    Attributes:
        delay: seconds to wait before connecting, after a failure.
        reason: the failure, empty for a first life.
        asleep: connect only when somebody asks for something.
        profile: the client, if it is known already.
        log_level: what the client has asked for, if it has.
        repeat: requests taken over from the life before.
        subscriptions: resource URIs to subscribe to again.
    """

    delay: float = 0.0
    reason: str = ""
    asleep: bool = False
    profile: ClientProfile | None = None
    log_level: str | None = None
    repeat: tuple[Request, ...] = ()
    subscriptions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Peers:
    """The actors an upstream talks to."""

    supervisor: Address
    catalog: Address
    frontend: Address


@dataclass(frozen=True, slots=True, eq=False)
class Initialise:
    """The client is known: do the handshake as soon as the link is open."""

    profile: ClientProfile


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """Do this request and send a ``frontend.Reply`` with the same ticket.

    Attributes:
        ticket: the asker's own number for it.
        method: the MCP method.
        params: its params, with the client's ``_meta`` but without a progress token.
        reply_to: who gets the reply.
        wants_progress: whether the client asked for progress.
        repeated: whether it was sent to an earlier generation already.
    """

    ticket: int
    method: str
    params: JsonObject
    reply_to: Address
    wants_progress: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Cancel:
    """The client has cancelled a request: tell the server, send no reply."""

    ticket: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Respond:
    """The client's answer to a question of this server. Exactly one of the two is set."""

    question: bytes
    result: bytes | None
    error: bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class Inform:
    """Pass a notification of the client on to the server."""

    method: str
    params: JsonObject


@dataclass(frozen=True, slots=True, eq=False)
class SetLogLevel:
    """The client wants log messages from this level up."""

    level: str


@dataclass(frozen=True, slots=True, eq=False)
class Wake:
    """Somebody wants this server now: do not wait out the backoff."""


@dataclass(frozen=True, slots=True, eq=False)
class Reconfigure:
    """Description, features, timeouts or policy have changed; the connection stays."""

    config: ServerConfig


@dataclass(frozen=True, slots=True, eq=False)
class HoldBack:
    """Stop (or go on) reading from the server: the client does not keep up."""

    hold: bool


@dataclass(frozen=True, slots=True, eq=False)
class SignInPending:
    """The person is being asked to sign in (or no longer): the connect deadline waits."""

    pending: bool
    url: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Stop:
    """Finish what is in flight within ``grace`` seconds, close the connection, end."""

    grace: float


@dataclass(frozen=True, slots=True, eq=False)
class LinkOpened:
    """From the opening task: the link is there, or why it is not."""

    link: Link | None
    error: BaseException | None


@dataclass(frozen=True, slots=True, eq=False)
class FrameArrived:
    """From the link: one frame of the server."""

    frame: bytes


@dataclass(frozen=True, slots=True, eq=False)
class NoiseArrived:
    """From the link: something that is no frame."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class RequestFailed:
    """From the link: this request will get no answer."""

    number: int
    fault: LinkFault


@dataclass(frozen=True, slots=True, eq=False)
class LinkClosed:
    """From the link: it is gone."""

    fault: LinkFault


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """From a timer: something is due. ``what`` names the timer."""

    what: Any
