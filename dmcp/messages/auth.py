"""What the auth actor accepts. Those who subscribe get the supervisor's ``SignIn...`` messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dmcp.config.model import RemoteServer
    from dmcp.messages import Address


@dataclass(frozen=True, slots=True, eq=False)
class Authorize:
    """Asked with ``ask``: the ``Authorization`` header for the next request, or ``None``."""

    group: str
    server: RemoteServer


@dataclass(frozen=True, slots=True, eq=False)
class Challenged:
    """Asked with ``ask``: the server refused ``rejected`` (``None``: no header); a better header is wanted.

    Attributes:
        status: 401, or 403 with ``insufficient_scope``.
        challenge: the ``WWW-Authenticate`` header.
    """

    group: str
    server: RemoteServer
    status: int
    challenge: str
    rejected: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Subscribe:
    """Tell this actor about sign-ins from now on."""

    listener: Address


@dataclass(frozen=True, slots=True, eq=False)
class ClientShows:
    """Whether the client shows the person an address when it is asked to (URL elicitation)."""

    addresses: bool


@dataclass(frozen=True, slots=True, eq=False)
class Declined:
    """The person has been offered this group's sign-in and does not want it."""

    group: str


@dataclass(frozen=True, slots=True, eq=False)
class Configured:
    """This is the group's server from now on. Nobody is asked to sign in to the one before any more."""

    group: str
    server: RemoteServer


@dataclass(frozen=True, slots=True, eq=False)
class Forget:
    """This group has no remote server any more: drop what is in memory; what is stored stays."""

    group: str
