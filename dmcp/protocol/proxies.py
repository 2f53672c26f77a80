"""Which proxy a request goes through, by the rules of the environment. Pure: the variables are passed in.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, in lower case too. What they mean was never written down;
this is what curl and Python's urllib have in common, and what other tools accept in ``NO_PROXY``: CIDR, ports, IPv6.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dmcp.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMES: Final = frozenset({"http", "https", "socks5", "socks5h"})
"""Of proxies dmcp can go through; the last two with the package socksio."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class ProxyError(ValueError):
    """A proxy that is configured and cannot be used; ``str()`` is a sentence for a person."""


def choose(url: str, proxies: Mapping[str, str]) -> str | None:
    """Return the address of the proxy a request for this URL goes through, ``None`` for no proxy.

    A host on this machine never has one: the proxy would look for it on its own machine.

    Args:
        url: of the request.
        proxies: as ``urllib.request.getproxies`` returns them: by scheme, ``all`` for any, ``no`` for exceptions.

    Raises:
        ProxyError: the one that is configured cannot be used.
    """
    parts = urlsplit(url)
    host, port = (parts.hostname or "").rstrip("."), parts.port or _DEFAULT_PORTS.get(parts.scheme)
    proxy = (proxies.get(parts.scheme) or proxies.get("all") or "").strip()
    if not proxy or is_loopback(host) or _is_excepted(host, port, proxies.get("no", "")):
        return None
    return _checked(proxy if "://" in proxy else f"http://{proxy}")


def is_loopback(host: str) -> bool:
    """Return whether this host is the machine dmcp runs on, by its name or address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def shown(proxy: str) -> str:
    """Return a proxy's address without its user and password."""
    scheme, _, rest = proxy.partition("://")
    return printable(f"{scheme}://{rest.rpartition('@')[2]}", 200)


def _checked(proxy: str) -> str:
    try:
        parts = urlsplit(proxy)
        scheme, good = parts.scheme.lower(), bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        scheme, good = "", False
    if not good:
        raise ProxyError(
            f"the proxy {shown(proxy)!r} of the environment is no address: mend HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"
        )
    if scheme not in SCHEMES:
        hint = (
            "use socks5:// or socks5h:// if it speaks that too"
            if scheme.startswith("socks")
            else "use http://"
        )
        raise ProxyError(
            f"the proxy {shown(proxy)} of the environment speaks {scheme}, which dmcp does not; {hint},"
            " or name the host in NO_PROXY"
        )
    return proxy


def _is_excepted(host: str, port: int | None, exceptions: str) -> bool:
    return any(_excepts(entry, host, port) for entry in exceptions.replace(",", " ").split())


def _excepts(entry: str, host: str, port: int | None) -> bool:
    """Return whether one entry of NO_PROXY means this host: a name, an address, a network, each perhaps with a port."""
    if entry == "*":
        return True
    entry = entry.lower().rpartition("://")[2]
    here = _address(host)
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            entry = entry.partition("/")[0]
        else:
            return here is not None and here.version == network.version and here in network
    name, given = _without_port(entry)
    if given is not None and given != port:
        return False
    there = _address(name)
    if there is not None or here is not None:
        return there == here
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith("." + name))


def _without_port(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        name, _, port = entry[1:].partition("]")
        port = port.removeprefix(":")
    elif entry.count(":") == 1:
        name, _, port = entry.partition(":")
    else:
        name, port = entry, ""
    return name, int(port) if port.isdecimal() and len(port) < 6 else None  # noqa: PLR2004 - ports have five digits


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
