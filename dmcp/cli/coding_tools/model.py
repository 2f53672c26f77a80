"""The neutral form between a coding tool's file and dmcp's: what a server is, and what could not be converted.

Frozen, no I/O. Strings in a target are in dmcp's own spelling already: references are ``${VAR}``, a literal
``${`` is escaped. Not here: how a tool spells things (``tool``), or how dmcp's file does (``rendering``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal["http", "sse", "auto"]
"""How a remote server speaks; "auto" leaves it to dmcp, which tries Streamable HTTP first."""


@dataclass(frozen=True, slots=True)
class Command:
    """A server that is started on this machine."""

    command: str
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """Sign-in settings of a remote server. See ``dmcp.config.model.OAuthSettings``."""

    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    redirect_port: int | None = None
    redirect_host: str | None = None
    redirect_path: str | None = None
    issuer: str | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A server that is reached over the network."""

    url: str = field(repr=False)
    kind: Kind = "auto"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sign_in: SignIn = SignIn()


@dataclass(frozen=True, slots=True)
class ImportedServer:
    """One server as found. Durations are seconds; an empty ``include`` means every tool.

    ``env_file`` is the path of a file with more variables, which dmcp's configuration has no key for. ``ran_in`` is the
    directory the tool started it in, where its file says so.
    """

    name: str
    target: Command | Address
    description: str | None = None
    enabled: bool = True
    tools_timeout: float | None = None
    connect_timeout: float | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    features_off: tuple[str, ...] = ()
    env_file: str | None = None
    ran_in: Path | None = None


@dataclass(frozen=True, slots=True)
class NotConverted:
    """Something of a server that dmcp's file does not have.

    Attributes:
        server: the server's name in the tool's file.
        what: what is missing, without any value that may be secret.
        advice: what the user can do about it.
    """

    server: str
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.server}: {self.what}: {self.advice}"


class FoundFile(NamedTuple):
    """A file that the user has not named: its text, and the names of the servers in it."""

    path: Path
    text: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """All that was loaded: servers by name, what was not converted, and remarks on where things came from.

    ``untrusted`` are the files that came with a folder: the user has to trust them before their servers are started.
    """

    servers: tuple[ImportedServer, ...] = ()
    not_converted: tuple[NotConverted, ...] = ()
    remarks: tuple[str, ...] = ()
    untrusted: tuple[FoundFile, ...] = field(default=(), repr=False)
