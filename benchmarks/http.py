"""What is measured over Streamable HTTP on loopback: the contenders, and a direct httpx client as the floor."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from benchmarks.client import Client
from benchmarks.contenders import ROOT, STORE, Contender, write_config
from benchmarks.scenarios import Figures, percentile, sequential, throughput

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

FORMS: Final = ("json", "sse")
_HEADERS: Final = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
_CALL: Final = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}'
)


@contextmanager
def upstream() -> Iterator[str]:
    """Run ``benchmarks/upstream_http.py``; gives its address."""
    command = [sys.executable, "-m", "benchmarks.upstream_http"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as server:
        try:
            port = int(server.stdout.readline()) if server.stdout else 0
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def connections(address: str) -> int:
    """How many connections the upstream has seen, this one left out."""
    with urllib.request.urlopen(f"{address}/connections", timeout=10) as answer:  # noqa: S310 - our own address
        return int(answer.read()) - 1


def through(contender: Contender, form: str, scale: float) -> Figures:
    """Latency and throughput through a proxy, and the connections it made."""
    with upstream() as address:
        entry = {"description": "bench", "type": "http", "url": f"{address}/{form}"}
        config = write_config(f"http-{form}", {"u0": entry})
        with Client(contender.start_with(config), STORE / f"{contender.name}.log") as client:
            client.initialize()
            client.wait_for("u0")
            figures = sequential(client, "u0", int(1000 * scale), warm_up=100)
            figures |= throughput(client, "u0", int(2000 * scale))
        return figures | {"connections": float(connections(address))}


def direct(form: str, scale: float) -> Figures:
    """The same calls made by httpx itself, no proxy between."""
    with upstream() as address:
        return asyncio.run(_direct(f"{address}/{form}", scale))


async def _direct(url: str, scale: float) -> Figures:
    import httpx  # noqa: PLC0415 - only this measurement needs it

    async with httpx.AsyncClient(headers=_HEADERS, timeout=60) as http:
        took = []
        for _ in range(int(1000 * scale)):
            begun = time.perf_counter()
            await http.post(url, content=_CALL)
            took.append(time.perf_counter() - begun)
        count = int(2000 * scale)
        begun = time.perf_counter()
        await asyncio.gather(*(_worker(http, url, count // 64) for _ in range(64)))
        rate = count // 64 * 64 / (time.perf_counter() - begun)
    return {"p50": percentile(took, 0.5) * 1e6, "p99": percentile(took, 0.99) * 1e6, "rate": rate}


async def _worker(http: httpx.AsyncClient, url: str, count: int) -> None:
    for _ in range(count):
        answer = await http.post(url, content=_CALL)
        answer.raise_for_status()
