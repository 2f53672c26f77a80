"""The auth room's HTTP requests: bounded in time and size, redirected within one origin only.

It knows no OAuth. Secrets go out in headers and forms only, and a POST is never redirected.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urljoin

import httpx
from pydantic_core import from_json

from dmcp.auth.discovery import origin
from dmcp.errors import AuthUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

TIMEOUT: Final = 15.0
"""Seconds for a request, redirects and body included."""
LARGEST: Final = 1024 * 1024
"""Bytes of a response; metadata and tokens are a thousandth of it."""
_REDIRECTS = 3
_SERVER_ERROR, _TOO_MANY = 500, 429
_trust: dict[str, ssl.SSLContext] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. ``document`` is the parsed JSON, or ``None`` if the body is no JSON."""

    status: int
    document: Any = None
    challenge: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the status says that all went well."""
        return self.status in range(200, 300)


class Web:
    """A client for the requests of one flow. Use as an async context manager, on the event loop."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._client: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"<Web {'open' if self._client else 'closed'} timeout={self._timeout}s>"

    async def __aenter__(self) -> Self:
        if "context" not in _trust:
            # Reading the certificates takes long enough to be noticed by everything else on the loop.
            _trust["context"] = await asyncio.to_thread(httpx.create_ssl_context)
        self._client = httpx.AsyncClient(
            verify=_trust["context"],
            follow_redirects=False,
            timeout=self._timeout,
            headers={"User-Agent": "dmcp", "Accept": "application/json"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def get(self, url: str) -> Answer:
        """Fetch a document. A redirect to another origin is not followed and counts as "not there".

        Raises:
            AuthUnavailable: no answer in time, an answer that is too large, or a server error.
        """
        for _ in range(_REDIRECTS):
            answer, location = await self._request("GET", url)
            if not location:
                return answer
            target = urljoin(url, location)
            if origin(target) != origin(url):
                return Answer(404)
            url = target
        return Answer(404)

    async def post(
        self,
        url: str,
        form: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a form or a JSON document.

        Raises:
            AuthUnavailable: no answer in time, an answer that is too large, or a server error.
        """
        answer, _ = await self._request("POST", url, data=form, json=json, headers=headers)
        return answer

    async def probe(self, url: str) -> Answer:
        """Knock at an MCP server without credentials, to hear its challenge; the body is not read.

        Raises:
            AuthUnavailable: no answer in time.
        """
        answer, _ = await self._request("GET", url, headers={"Accept": "text/event-stream"}, bodiless=True)
        return answer

    async def _request(
        self, method: str, url: str, *, bodiless: bool = False, **parts: Any
    ) -> tuple[Answer, str]:
        if self._client is None:
            raise RuntimeError("a Web is used inside `async with`")
        where = origin(url)
        try:
            async with asyncio.timeout(self._timeout), self._client.stream(method, url, **parts) as response:
                status, headers = response.status_code, response.headers
                body = b"" if bodiless else await _bounded(response, where)
        except TimeoutError as error:
            raise AuthUnavailable(f"{where} did not answer within {self._timeout:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AuthUnavailable(f"{where} cannot be reached: {_cause(error)}") from error
        if not bodiless and (status >= _SERVER_ERROR or status == _TOO_MANY):
            raise AuthUnavailable(f"{where} answered with HTTP status {status}")
        try:
            document = from_json(body) if body else None
        except ValueError:
            document = None
        location = headers.get("location", "") if status in range(300, 400) else ""
        return Answer(status, document, ", ".join(headers.get_list("www-authenticate"))), location


def _cause(error: BaseException) -> str:
    """What is to be told of a connection that failed: a certificate that is not trusted the person can mend."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return (
                f"its TLS certificate is not trusted ({seen.verify_message}); if it is signed by a private"
                " authority, name that authority's certificate in SSL_CERT_FILE"
            )
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__


async def _bounded(response: httpx.Response, where: str) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > LARGEST:
            raise AuthUnavailable(
                f"{where} sent more than {LARGEST // 1024} KiB where a small document was expected"
            )
    return bytes(body)
