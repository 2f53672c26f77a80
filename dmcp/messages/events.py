"""What has happened, for whoever watches: the log, ``dmcp check``, ``dmcp import --probe``, tests.

Actors send these to the audit actor and wait for nothing. Sign-ins are told by the auth actor's own messages, which
count as events too (``SignInStarted``, ``SignInInOtherProcess``, ``SignInEnded``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from dmcp.protocol.jsonrpc import JsonObject

When: TypeAlias = Literal["backoff", "parked", "in use", "present", "wanted"]


class Subscribe(NamedTuple):
    """Hand every event to this function from now on. It runs on the loop, and must not block."""

    subscriber: Callable[[object], None]


class Started(NamedTuple):
    """A dmcp has started well and serves this configuration."""

    version: str
    configuration: str
    servers: tuple[str, ...]


class Stopping(NamedTuple):
    """A dmcp has got this signal, and ends."""

    signal: str


class ServerState(NamedTuple):
    """A server is asleep, connecting, ready or unavailable.

    Attributes:
        group: which one.
        connection: the number of its connection.
        state: the new state.
        category: why, in a few fixed words (``dmcp.protocol.categories``); empty when there is nothing to say.
        reason: why, with every detail.
    """

    group: str
    connection: int
    state: str
    category: str
    reason: str


class ConnectionReady(NamedTuple):
    """A server is initialized, and its listings have come.

    Attributes:
        group: which one.
        connection: the number of its connection.
        revision: of the protocol.
        server: what it says of itself: name, title, description and the beginning of its instructions.
    """

    group: str
    connection: int
    revision: str
    server: JsonObject


class ConnectionLost(NamedTuple):
    """A connection has failed or ended, or could not be made.

    Attributes:
        group: whose.
        connection: its number.
        kind: the class of the failure (a value of ``FaultKind``); empty when the server could not be initialized.
        category: the same in a few fixed words.
        reason: in full.
        stderr: the last lines the server wrote there, of this connection.
        was_ready: whether it had been ready.
    """

    group: str
    connection: int
    kind: str
    category: str
    reason: str
    stderr: tuple[str, ...]
    was_ready: bool


class ReconnectScheduled(NamedTuple):
    """A lost connection will be made again.

    Attributes:
        group: whose.
        reason: why it was lost.
        when: "backoff": after the delay; "parked": the same, after too many failures; "in use": the server wants a
            sign-in or a better key; "present": when its command is there; "wanted": nobody used it.
        delay: seconds until then, unless somebody uses the server before.
    """

    group: str
    reason: str
    when: When
    delay: float


class StartExtended(NamedTuple):
    """A server that has not become ready in time is still working on it, and gets more."""

    group: str
    reason: str


class ServerOutput(NamedTuple):
    """A server has written a line to its stderr."""

    group: str
    line: str


class ListingChanged(NamedTuple):
    """A listing of a server has come, the first time or again.

    Attributes:
        group: whose.
        kind: "tools", "resources", "templates" or "prompts".
        entries: how many it shows.
        complete: whether all pages have come.
    """

    group: str
    kind: str
    entries: int
    complete: bool


class ListingFailed(NamedTuple):
    """A listing could not be had, for the ``attempt``-th time; the last known one stays, and it is tried again."""

    group: str
    kind: str
    reason: str
    attempt: int


class ListingCut(NamedTuple):
    """A listing never ends: what has come so far is used."""

    group: str
    kind: str
    reason: str


class ConfigurationApplied(NamedTuple):
    """A configuration is in force, with the number of servers it has started, restarted, stopped, updated, kept."""

    started: int
    restarted: int
    stopped: int
    updated: int
    kept: int
    first: bool


class ConfigurationRejected(NamedTuple):
    """A changed configuration file is invalid, for these reasons; the previous one stays in force."""

    problems: tuple[str, ...]


class CallFinished(NamedTuple):
    """A request of the client has its answer. Built only while somebody listens for calls.

    Attributes:
        client: the number of the client.
        call: the number of its request.
        group: who answered; empty: dmcp itself.
        operation: what was asked (``dmcp.protocol.operations``), for example "CallTool".
        tool: the name of the tool or prompt, or the URI.
        seconds: from the request to the answer.
        bytes: of the answer.
        outcome: "result", "error" (JSON-RPC) or "cancelled".
    """

    client: int
    call: int
    group: str
    operation: str
    tool: str
    seconds: float
    bytes: int
    outcome: str
