"""The error tree. Each class says who is at fault, so that every layer can tell the right person.

::

    DmcpError
    ├── ConfigError          the configuration file or the command line: the user mends it
    ├── DownstreamError      the client sent something that is not valid MCP
    ├── UpstreamError        a server, or the way to it, failed
    │   ├── LinkRefused      the connection could not be made at all
    │   │   └── CommandMissing    what would have to be started is not there
    │   └── AuthError        the server wants credentials that cannot be had without the user
    │       ├── SignInNeeded      only a sign-in in the browser helps
    │       └── AuthUnavailable   the authorization server does not answer for now: nothing the user can do
    └── InternalError        dmcp itself: a bug to report

Not here: JSON-RPC error objects that pass through unchanged. They are payloads, not exceptions.
"""

from __future__ import annotations

from typing import Final

ISSUES: Final = "https://github.com/asyrjasalo/dynamic-mcp/issues"
"""Where a fault of dmcp's own is reported; the same as in the package's metadata."""


class DmcpError(Exception):
    """Anything dmcp can explain in one sentence. ``str(error)`` is fit to be shown to a user."""


class ConfigError(DmcpError):
    """The configuration is at fault. ``problems`` holds one finished sentence for each mistake found."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DownstreamError(DmcpError):
    """The client is at fault. ``code`` is the JSON-RPC error code of the answer it gets."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class UpstreamError(DmcpError):
    """A server, or the way to it, is at fault. ``category``: of the fault (``dmcp.protocol.categories``), or empty."""

    def __init__(self, message: str = "", category: str = "") -> None:
        super().__init__(message)
        self.category = category


class LinkRefused(UpstreamError):  # noqa: N818 - says what happened, as ConnectionRefusedError does
    """No connection: the command does not start, the host does not answer, the address is wrong."""


class CommandMissing(LinkRefused):
    """The command to start, or the directory to start it in, does not exist: trying again is of use when it does."""


class AuthError(UpstreamError):
    """The server wants credentials dmcp does not have; the message says what the user should do."""


class SignInNeeded(AuthError):  # noqa: N818 - says what happened, as LinkRefused does
    """There are no credentials that work, and no way to new ones but a sign-in."""


class AuthUnavailable(AuthError):  # noqa: N818 - says what happened, as LinkRefused does
    """The authorization server is down, slow or talks nonsense. Credentials are kept; later it may work."""


class InternalError(DmcpError):
    """dmcp is at fault."""
