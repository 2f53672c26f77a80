"""How a sign-in that a server waits for is told: in the group's line and in the errors of calls. Pure."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from dmcp.text import printable

_LONGEST_PATH = 1000  # characters of a configuration's path in an advised command


class SignIn(NamedTuple):
    """A sign-in that is waited for.

    Attributes:
        url: where the person is asked to sign in; empty when another dmcp process has asked them.
    """

    url: str = ""

    @property
    def state(self) -> str:
        """What the server is waiting for."""
        if self.url:
            return f"waiting for the person to sign in at {self.url}"
        return "waiting for another dmcp process, which is signing in to it"

    @property
    def advice(self) -> str:
        """What has to be done before a call to the server can succeed."""
        if self.url:
            return f"sign in first, at {self.url}"
        return "another dmcp process is signing in to it: finish the sign-in in the browser, then try again"

    @property
    def excuse(self) -> str:
        """Why a call that was sent has got no answer in time, and what to do."""
        if self.url:
            return f"the server waits for a sign-in: ask the person to do it at {self.url}, then try again"
        return (
            "the server waits for a sign-in that another dmcp process has begun: ask the person to finish it in the"
            " browser, then try again"
        )


def command(verb: str, group: str, config: str = "") -> str:
    """Return the command about a group's sign-in as a person types it in a shell, in backquotes.

    Args:
        verb: "login", "adopt" or "logout".
        group: the server's name.
        config: the configuration to be named; empty where the command finds it by itself.
    """
    import shlex  # noqa: PLC0415 - only where a sign-in is missing

    named = f"{printable(shlex.quote(config), _LONGEST_PATH)} " if config else ""
    return f"`dmcp auth {verb} {named}{shlex.quote(group)}`"


def request(group: str, url: str) -> str:
    """Return what a client that can open addresses shows the person: which server, and whose page they will see."""
    parts = urlsplit(url)
    page = printable(f"{parts.scheme}://{parts.netloc}", 200)
    return f"{printable(group, 100)}: sign in at {page} to use this MCP server."
