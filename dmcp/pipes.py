"""What several packages ask of a pipe or a stream: its buffer's size, reading in steps, why TLS failed."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dmcp.protocol.limits import MAX_HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Trace: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[None]]

_STEP: Final = 8 * 1024
"""Bytes of an HTTP answer that httpx's parser, which is written in Python, gets in one turn of the loop: of the worst
ones (chunks of one byte) it reads half a megabyte a second."""
_NOT_OF_THE_AUTHORITY: Final = frozenset({9, 10, 62, 64})
"""OpenSSL's verify codes of certificates that another authority would not help: not valid yet, expired, for another
host or address."""
_before_body: ContextVar[int | None] = ContextVar("before_body", default=None)

_WANTED: Final = 1024 * 1024  # bytes; the usual 64 KiB cost a 1 MB answer sixteen wake-ups


def enlarge_pipe(pipe: int) -> None:
    """Give a pipe a larger buffer where the system lets us (Linux: fcntl(2), F_SETPIPE_SZ); otherwise leave it."""
    if sys.platform.startswith("linux"):
        import fcntl  # noqa: PLC0415 - not on Windows

        with suppress(OSError):  # beyond the user's limit, or no pipe: the usual size does too
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _WANTED)


def paced(beyond: Callable[[], Exception], then: Trace | None = None) -> Trace:
    """Return the ``trace`` extension for a request of httpx that has its answer read in steps, and its head bounded.

    httpx reads 64 KiB at once, and any number of interim answers (1xx). On the loop.

    Args:
        beyond: makes the error to raise for a head of more than ``MAX_HEADER_BYTES``.
        then: another extension, which is told afterwards.
    """

    async def trace(event: str, details: dict[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            _read_in_steps(details["return_value"], beyond)
        elif event.endswith("receive_response_headers.started"):
            _before_body.set(0)
        elif event.endswith(("receive_response_headers.complete", "receive_response_headers.failed")):
            _before_body.set(None)
        if then is not None:
            await then(event, details)

    return trace


def _read_in_steps(stream: Any, beyond: Callable[[], Exception]) -> None:
    read = stream.read

    async def in_steps(max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's interface
        await asyncio.sleep(0)  # what TLS has decrypted already is there without any waiting
        data: bytes = await read(min(max_bytes, _STEP), timeout)
        seen = _before_body.get()
        if seen is not None:
            if seen > MAX_HEADER_BYTES:
                raise beyond()
            _before_body.set(seen + len(data))
        return data

    stream.read = in_steps


def tls_trouble(error: BaseException) -> str:
    """Return what there is to be told where TLS is the reason for an error; empty where it is not. Runs anywhere."""
    import ssl  # noqa: PLC0415 - slow to import, and loaded where there is an error of it

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            reason = f"its TLS certificate is not trusted ({seen.verify_message.rstrip('.')})"
            if getattr(seen, "verify_code", 0) in _NOT_OF_THE_AUTHORITY:
                return f"{reason}; whoever runs it has to mend that, if its address and this machine's clock are right"
            private = (
                "if it is signed by a private authority, name that authority's certificate in SSL_CERT_FILE"
            )
            return f"{reason}; {private}"
        if isinstance(seen, ssl.SSLError) and seen.reason:
            said = seen.reason.lower().replace("_", " ")
            return (
                f"the TLS handshake failed ({said}); the address of a server without TLS begins with http://"
            )
        seen = seen.__cause__ or seen.__context__
    return ""
