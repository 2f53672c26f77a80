"""What to tell a person whose server points to an address that is not its own. Pure.

dmcp never follows such an address: this server's credentials would go there. Most servers that do it mean no harm: they
stand behind a proxy that ends TLS, or in a container, and do not know by which address the world reaches them.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from dmcp.protocol.proxies import is_loopback
from dmcp.text import printable

_SHOWN: Final = 200
_INSIDE: Final = (".local", ".internal", ".lan", ".home", ".localdomain", ".intranet", ".corp", ".svc")


def elsewhere(own: str, target: str, *, redirected: bool) -> str:
    """Return the reason for not following a server to another origin, and what to do about it.

    Args:
        own: the server's address, as configured.
        target: where it points to; its query is not shown, because it may hold a secret.
        redirected: whether it is a redirect; else the address an HTTP+SSE server names for messages.
    """
    here, there = urlsplit(own), urlsplit(target)
    shown = _shown(there.scheme, there.netloc, there.path)
    points = f"points to another origin ({shown})"
    same_host = here.hostname == there.hostname
    if same_host and there.scheme == "https":
        return f"{points}; put {shown} into the configuration as its url"
    downgraded = same_host and here.scheme == "https"
    if not downgraded and (is_inside(here.hostname or "") or not is_inside(there.hostname or "")):
        return (
            f"{points}; if that is where the server lives now, put {shown} into the configuration as its url"
        )
    meant = _shown(here.scheme, here.netloc, there.path)
    known = "does not know by which address it is reached"
    if redirected and there.path != here.path:
        return f"{points}, which is not reached from here: it {known}; put {meant} into the configuration as its url"
    if redirected:
        return (
            f"{points}, which is not reached from here: it {known}; the url in the configuration is right, and"
            f" the server or the proxy in front of it must be told that it is {meant}"
        )
    return (
        f"{points}, which is not reached from here: it {known}; the server must be told that messages go to {meant},"
        " or be reached over Streamable HTTP, where it names no address"
    )


def is_inside(host: str) -> bool:
    """Return whether a host is one only its own network knows: a private address, or a name without a domain."""
    host = host.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return is_loopback(host) or "." not in host or host.endswith(_INSIDE) or ".svc." in host
    return not address.is_global


def _shown(scheme: str, netloc: str, path: str) -> str:
    return printable(urlunsplit((scheme, netloc.rpartition("@")[2], path, "", "")), _SHOWN)
