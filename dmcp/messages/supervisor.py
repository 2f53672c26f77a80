"""What the supervisor accepts, and the directory it publishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dmcp.config.model import Configuration, ServerConfig
    from dmcp.messages import Address


class Configure(NamedTuple):
    """Apply this configuration: the first one, or a changed one."""

    configuration: Configuration


class ConfigurationRejected(NamedTuple):
    """The changed configuration file is invalid; everything stays as it is."""

    problem: str


class ClientAttached(NamedTuple):
    """From the composition root: this client is there, and gets the directory from now on."""

    client: int
    frontend: Address


class ClientDetached(NamedTuple):
    """From the frontend of a client: it has ended."""

    client: int


class Shutdown(NamedTuple):
    """Stop everything, in the reverse order of the start.

    Attributes:
        grace: seconds calls in flight get to finish.
        status: the exit status of the process.
        reason: what the client is told of requests that have not run; empty: that dmcp is shutting down.
    """

    grace: float
    status: int = 0
    reason: str = ""


class Group(NamedTuple):
    """One configured server as the catalog and the frontend see it.

    Attributes:
        config: its configuration.
        upstream: where requests go; ``None`` when it cannot be started as configured.
        reason: why not, then.
    """

    config: ServerConfig
    upstream: Address | None
    reason: str = ""


class Directory(NamedTuple):
    """All groups, in the order of the configuration. Published to the catalog and the frontend when it changes.

    Attributes:
        groups: by name.
        catalog: who knows their listings.
        auth: who knows of sign-ins.
        problem: why the newest configuration file is not in force, else empty.
    """

    groups: Mapping[str, Group]
    catalog: Address
    auth: Address
    problem: str = ""
