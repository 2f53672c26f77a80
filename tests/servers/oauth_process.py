"""The test authorization server in a thread of the test, and a person who signs in as soon as they are shown where."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.scripts import load_script

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
    """A server of its own for as long as the context lasts."""
    module, started = load_script(_SCRIPT), queue.SimpleQueue[tuple[str, Callable[[], None]]]()
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(lambda: asyncio.run(module.serve(settings, lambda *told: started.put(told))))
        served.add_done_callback(lambda _: started.put(("", bool)))  # what it failed with comes out below
        base, stop = started.get(timeout=_WAIT)
        try:
            yield OAuthServer(base, trust)
        finally:
            stop()
            served.result(_WAIT)


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
