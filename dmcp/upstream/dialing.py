"""Making a TCP connection: names resolved and TLS prepared off the loop, several addresses tried side by side.

uvloop's ``create_connection`` tries one address after the other, so that a first address which swallows packets costs
the whole connect timeout. Here the next address is tried a quarter of a second later (RFC 8305, "Happy Eyeballs").
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import threading
from contextlib import suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import httpx

if TYPE_CHECKING:
    import ssl

_STAGGER: Final = 0.25
"""Seconds an address gets before the next one is tried as well (RFC 8305, section 5)."""
_MOST_ADDRESSES: Final = 16
"""Addresses of one name that are tried."""

Address: TypeAlias = "tuple[int, tuple[Any, ...]]"
"""A family and a socket address of it."""

_trust: dict[tuple[str | None, str | None], ssl.SSLContext] = {}
_trust_lock = threading.Lock()


async def tls_context() -> ssl.SSLContext:
    """Return the context that trusts what httpx does, SSL_CERT_FILE and SSL_CERT_DIR included.

    Reading the certificates takes a thread 20 ms and more; it is done once for all servers.
    """
    place = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    found = _trust.get(place)
    return found if found is not None else await asyncio.to_thread(_read_trust, place)


def _read_trust(place: tuple[str | None, str | None]) -> ssl.SSLContext:
    with _trust_lock:
        if place not in _trust:
            _trust[place] = httpx.create_ssl_context(trust_env=True)
        return _trust[place]


async def connect(host: str, port: int) -> socket.socket:
    """Connect to the first address of the host that accepts. The caller sets the deadline by cancelling.

    Raises:
        OSError: the name is not known (``socket.gaierror``), or no address accepts: the most telling reason.
    """
    addresses = await _resolve(host, port)
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    waiting = addresses[::-1]
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_connect_one(waiting.pop())))
            done, running = await asyncio.wait(
                running, timeout=_STAGGER if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            connected = [task for task in done if task.exception() is None]
            if connected:
                running.update(connected[1:])
                return connected[0].result()
            errors += [error for task in done if isinstance(error := task.exception(), OSError)]
    finally:
        for task in running:
            _drop(task)
    # That somebody refused says more than that there is no way to an address of the other family.
    raise next((e for e in errors if isinstance(e, ConnectionRefusedError)), errors[0])


def _drop(task: asyncio.Task[socket.socket]) -> None:
    """Give up an attempt; one that has just succeeded is closed."""
    if not task.cancel() and not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect_one(address: Address) -> socket.socket:
    family, where = address
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connecting, where)
    except BaseException:
        connecting.close()
        raise
    return connecting


async def _resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a name, the families in turn (RFC 8305, section 4).

    Raises:
        OSError: there are none.
    """
    with suppress(ValueError):
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004
        return [(family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))]
    first: list[Address] = []
    second: list[Address] = []
    found = await _look_up(host, port)
    for address in found:
        (first if address[0] == found[0][0] else second).append(address)
    pairs = zip_longest(first, second)
    return [address for pair in pairs for address in pair if address is not None][:_MOST_ADDRESSES]


async def _look_up(host: str, port: int) -> list[Address]:
    """Ask the system in a thread of its own: one that hangs keeps neither another server nor dmcp's end waiting."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address]] = loop.create_future()

    def settle(found: list[Address], error: OSError | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    def ask() -> None:
        found: list[Address] = []
        error: OSError | None = None
        try:
            every = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = [(family, where) for family, _, _, _, where in every]
        except OSError as failed:
            error = failed
        except UnicodeError:  # a label that is too long, or empty
            error = socket.gaierror(socket.EAI_NONAME, "not a host name")
        if not found and error is None:
            error = socket.gaierror(socket.EAI_NONAME, "no address")
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, found, error)

    threading.Thread(target=ask, name=f"dmcp-lookup-{host}", daemon=True).start()
    return await answer
