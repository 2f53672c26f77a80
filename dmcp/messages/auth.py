"""What the auth actor accepts, and what it sends to those who subscribe to sign-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dmcp.config.model import RemoteServer
    from dmcp.messages import Address


class Authorize(NamedTuple):
    """Asked with ``ask``: the ``Authorization`` header for the next request, or ``None``."""

    group: str
    server: RemoteServer


class Challenged(NamedTuple):
    """Asked with ``ask``: the server refused ``rejected`` (``None``: no header); a better header is wanted.

    Attributes:
        status: 401, or 403 with ``insufficient_scope``.
        challenge: the ``WWW-Authenticate`` header.
        in_use: whether the client waits for the server: nobody is asked to sign in otherwise.
    """

    group: str
    server: RemoteServer
    status: int
    challenge: str
    rejected: str | None
    in_use: bool = True

    def __repr__(self) -> str:
        # What was rejected may be a good token elsewhere: it is shown nowhere.
        return f"<Challenged {self.group} {self.status}>"


class Accepted(NamedTuple):
    """The server took this header, which was given because it had refused another."""

    group: str
    server: RemoteServer
    authorization: str

    def __repr__(self) -> str:
        return f"<Accepted {self.group}>"


class Subscribe(NamedTuple):
    """Send the ``SignIn...`` messages below to this listener, those of open sign-ins at once.

    Attributes:
        listener: who wants to know.
        group: of this group only, taking the place of whoever subscribed for it before; ``None``: of all groups.
        shows_urls: whether it shows the user an address to sign in at when told of one (a client with URL elicitation).
            Subscribing again changes this.
    """

    listener: Address
    group: str | None = None
    shows_urls: bool = False


class Unsubscribe(NamedTuple):
    """Send this listener nothing more."""

    listener: Address


class SignInStarted(NamedTuple):
    """To subscribers: this group waits for the user to sign in at ``url``."""

    group: str
    url: str


class SignInInOtherProcess(NamedTuple):
    """To subscribers: another dmcp process has asked the user to sign in to this group; its sign-in is waited for."""

    group: str


class SignInEnded(NamedTuple):
    """To subscribers: the sign-in to this group is over; ``reason`` is empty when it succeeded."""

    group: str
    reason: str = ""


class SignInDeclined(NamedTuple):
    """The user has been offered this group's sign-in and does not want it."""

    group: str


class Configured(NamedTuple):
    """This is the group's server from now on. Nobody is asked to sign in to the one before any more."""

    group: str
    server: RemoteServer


class Forget(NamedTuple):
    """This group has no remote server any more: drop what is in memory; what is stored stays."""

    group: str
