"""What is measured over stdio, one function a figure. Each returns plain numbers and knows no contender by name."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.client import Client, is_good, tool
from benchmarks.contenders import STORE, Contender, stdio_upstream, write_config

if TYPE_CHECKING:
    from pathlib import Path

Figures = dict[str, float]
_MEGABYTE = 1_000_000
_MICRO = 1e6
_MILLI = 1e3


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def sequential(client: Client, group: str, count: int, warm_up: int = 200) -> Figures:
    """One call after the other: p50 and p99, microseconds."""
    params = tool(group, "echo", text="hello")
    for _ in range(warm_up):
        client.request("tools/call", params)
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        client.send("tools/call", params)
        client.receive_line()
        took.append(time.perf_counter() - begun)
    return {"p50": percentile(took, 0.5) * _MICRO, "p99": percentile(took, 0.99) * _MICRO}


def throughput(client: Client, group: str, count: int, window: int = 64) -> Figures:
    """Calls a second with ``window`` calls in flight.

    Raises:
        RuntimeError: a call failed, so that the figure would mean nothing.
    """
    begun = time.perf_counter()
    good = client.pipelined(tool(group, "echo", text="hello"), count, window)
    took = time.perf_counter() - begun
    if good != count:
        raise RuntimeError(f"only {good} of {count} calls succeeded")
    return {"rate": count / took}


def large_results(client: Client, group: str, count: int) -> Figures:
    """A result of one megabyte, milliseconds."""
    params, took = tool(group, "blob", bytes=_MEGABYTE), []
    for _ in range(count):
        begun = time.perf_counter()
        client.send("tools/call", params)
        size = len(client.receive_line())
        took.append(time.perf_counter() - begun)
        if size < _MEGABYTE:
            raise RuntimeError("the large result was cut")
    return {"megabyte": percentile(took, 0.5) * _MILLI}


def load(contender: Contender, scale: float) -> Figures:
    """The figures of one process in front of one upstream: latency, throughput, large results, memory after it all."""
    config = write_config("one", {"u0": stdio_upstream()})
    with Client(contender.start_with(config), _log(contender)) as client:
        client.initialize()
        client.wait_for("u0")
        figures = sequential(client, "u0", int(2000 * scale))
        figures |= throughput(client, "u0", int(6000 * scale))
        figures |= large_results(client, "u0", max(5, int(20 * scale)))
        return figures | {"memory": client.resident() / _MEGABYTE}


def fan_out(contender: Contender) -> Figures:
    """Twenty calls of 200 ms over four upstreams at once, milliseconds until the last answer."""
    groups = [f"u{i}" for i in range(4)]
    config = write_config("four", {name: stdio_upstream() for name in groups})
    with Client(contender.start_with(config), _log(contender)) as client:
        client.initialize()
        for group in groups:
            client.wait_for(group)
        begun = time.perf_counter()
        for i in range(20):
            client.send("tools/call", tool(groups[i % 4], "sleep", ms=200))
        good = sum(is_good(client.receive()) for _ in range(20))
        took = time.perf_counter() - begun
    if good != 20:  # noqa: PLR2004 - as many as were sent
        raise RuntimeError(f"only {good} of 20 calls succeeded")
    return {"fan_out": took * _MILLI}


def slow_boot(contender: Contender) -> Figures:
    """Ten upstreams that take half a second to boot, milliseconds from the start until all have answered a call."""
    groups = [f"u{i}" for i in range(10)]
    config = write_config("ten", {name: stdio_upstream("--boot", "0.5") for name in groups})
    with Client(contender.start_with(config), _log(contender)) as client:
        client.initialize()
        for group in groups:
            client.wait_for(group)
        return {"slow_boot": (time.perf_counter() - client.started) * _MILLI}


def first_answer(contender: Contender) -> Figures:
    """Milliseconds from the start of the process to its answer to ``initialize``."""
    config = write_config("one", {"u0": stdio_upstream()})
    with Client(contender.start_with(config), _log(contender)) as client:
        client.initialize()
        return {"start": (time.perf_counter() - client.started) * _MILLI}


def bare_python() -> float:
    """Milliseconds that ``python -c pass`` takes."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - begun) * _MILLI


def _log(contender: Contender) -> Path:
    return STORE / f"{contender.name}.log"
