"""What kind of address a host is, and which kinds a server's documents may name. Pure.

A server elsewhere must not make dmcp, or the user's browser, speak to what listens on this machine or in this network
(server-side request forgery). What a *name* stands for is known only when it is looked up: see ``dmcp.auth.web``.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote

from dmcp.text import printable

Kind = Literal["public", "private", "link-local", "loopback", "unusable"]
"""Where an address leads; ``unusable``: unspecified, multicast, reserved, or not to be read."""

_MAY_NAME: Final[dict[Kind, frozenset[Kind]]] = {
    "public": frozenset({"public"}),
    "private": frozenset({"public", "private"}),
    "link-local": frozenset({"public", "link-local"}),
    "loopback": frozenset({"public", "private", "loopback"}),
    "unusable": frozenset({"public"}),
}
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_PRIVATE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "198.18.0.0/15",
        "fc00::/7",
    )
)
_DOCUMENTATION: Final = tuple(  # nobody is there: they are as harmless as an address that is not in use
    ipaddress.ip_network(text)
    for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
_LOCAL_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")
_TRANSLATED: Final = ipaddress.ip_network("::ffff:0:0:0/96")  # RFC 2765
_IPV4_PARTS: Final = 4
_DIGITS: Final = 12  # of one part of a dotted quad: more is no address
_LONGEST_HOST: Final = 255


def may_name(home: Kind, target: Kind) -> bool:
    """Return whether a server at an address of kind ``home`` may name an address of kind ``target``."""
    return target in _MAY_NAME[home]


def kind_of_host(host: str) -> Kind | None:
    """Return the kind of a URL's host; ``None`` for a name, whose addresses decide.

    Every spelling counts that some program takes for an address: decimal, octal and hexadecimal numbers, fewer than
    four parts, IPv4 inside IPv6, a final dot, escapes, digits and dots of other scripts.
    """
    plain = _plain(host)
    if plain is None:
        return "unusable"
    if plain in _LOCAL_NAMES or plain.endswith(".localhost"):
        return "loopback"
    if ":" in plain:
        return kind_of_address(plain)
    last = plain.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        return _kind_of_ipv4(plain)
    return None


def kind_of_address(text: str) -> Kind:
    """Return the kind of an address as a resolver or a socket writes it."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "unusable"
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            address = inner
    return _kind(address)


def described(host: str, kind: Kind) -> str:
    """Return a host with its kind, for an error."""
    what = {
        "private": "an address of a private network",
        "link-local": "a link-local address",
        "loopback": "this machine",
        "unusable": "no address a server can have",
    }.get(kind, "a public address")
    return f"{printable(host, 100)} ({what})"


def _plain(host: str) -> str | None:
    """Return a host in the form that all of its spellings share; ``None`` if it cannot be one."""
    if not host or len(host) > _LONGEST_HOST:
        return None
    text = unicodedata.normalize("NFKC", unquote(host)).replace("\u3002", ".").lower().strip("[]")
    text = text.removesuffix(".")
    if not text or any(char.isspace() or char in "/\\@?#" or ord(char) < ord(" ") for char in text):
        return None
    return text


def _kind_of_ipv4(text: str) -> Kind:
    """Return the kind of what ``inet_aton`` takes for an IPv4 address."""
    numbers = [_number(part) for part in text.split(".", _IPV4_PARTS)]
    if len(numbers) > _IPV4_PARTS or any(number is None for number in numbers):
        return "unusable"
    *high, low = [number for number in numbers if number is not None]
    if any(number > 0xFF for number in high) or low >= 1 << (8 * (_IPV4_PARTS - len(high))):  # noqa: PLR2004 - a byte
        return "unusable"
    value = low
    for place, number in enumerate(high):
        value += number << (8 * (_IPV4_PARTS - 1 - place))
    return _kind(ipaddress.IPv4Address(value))


def _number(part: str) -> int | None:
    if not part or len(part) > _DIGITS or not part.isascii():
        return None
    try:
        if part.startswith("0x"):
            return int(part[2:] or "0", 16)
        return int(part, 8) if part.startswith("0") and part != "0" else int(part)
    except ValueError:
        return None


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address an IPv6 one stands for, where a gateway or this machine takes it for that."""
    if address.ipv4_mapped is not None or address.sixtofour is not None:
        return address.ipv4_mapped or address.sixtofour
    translated = any(address in network for network in (_NAT64, _COMPATIBLE, _TRANSLATED))
    if translated and int(address) > 1:  # "::" and "::1" are themselves
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _kind(address: _Address) -> Kind:
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if _is_in(address, _PRIVATE):
        return "private"
    is_public = (address.is_global and not address.is_multicast) or _is_in(address, _DOCUMENTATION)
    return "public" if is_public else "unusable"


def _is_in(address: _Address, networks: tuple[_Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
