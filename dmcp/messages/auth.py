"""What the auth actor accepts. Those who subscribe get the supervisor's ``SignIn...`` messages."""

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
    """Tell this actor about sign-ins from now on."""

    listener: Address


class ClientShows(NamedTuple):
    """Whether the client shows the person an address when it is asked to (URL elicitation)."""

    addresses: bool


class Declined(NamedTuple):
    """The person has been offered this group's sign-in and does not want it."""

    group: str


class Configured(NamedTuple):
    """This is the group's server from now on. Nobody is asked to sign in to the one before any more."""

    group: str
    server: RemoteServer


class Forget(NamedTuple):
    """This group has no remote server any more: drop what is in memory; what is stored stays."""

    group: str
