"""The test authorization server as a child process, and a person who signs in as soon as they are shown where."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

_SCRIPT = Path(__file__).with_name("oauth_server.py")
_WAIT = 20.0  # seconds for anything on this machine


@dataclass
class OAuthServer:
    base: str
    trust: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """The protected resource."""
        return f"{self.base}/mcp"

    def set(self, **settings: Any) -> None:
        request = urllib.request.Request(
            f"{self.base}/control", json.dumps(settings).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=_WAIT, context=self.trust).close()

    def report(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.base}/control", timeout=_WAIT, context=self.trust) as answer:
            return json.load(answer)

    def count(self, what: str) -> int:
        return self.report()["counts"].get(what, 0)


@contextmanager
def running(trust: ssl.SSLContext | None = None, **settings: Any) -> Iterator[OAuthServer]:
    child = subprocess.Popen(
        [sys.executable, str(_SCRIPT), json.dumps(settings)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        yield OAuthServer(child.stdout.readline().strip(), trust)
    finally:
        child.kill()
        child.wait(_WAIT)
        child.stdout.close()


@dataclass
class Person:
    """Follows the address they are shown, as a browser would. ``willing`` false: they look and do nothing."""

    willing: bool = True
    shown: list[tuple[str, str]] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    def show(self, url: str, server: str) -> None:
        self.shown.append((url, server))
        if self.willing:
            threading.Thread(target=self.visit, args=(url,)).start()

    def visit(self, url: str) -> None:
        """Follow the address. Blocks."""
        try:
            with urllib.request.urlopen(url, timeout=_WAIT) as page:
                self.pages.append(page.read().decode())
        except OSError as error:
            self.pages.append(str(error))
