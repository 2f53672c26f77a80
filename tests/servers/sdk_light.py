"""Import this before a part of the official SDK, in a server: the part comes without what its packages import.

Those are a client, an HTTP server and a framework, which takes a quarter of the time a server needs to start.
"""

from __future__ import annotations

import importlib.util
import sys

for package in ("mcp", "mcp.server", "mcp.server.lowlevel"):
    spec = importlib.util.find_spec(package)
    assert spec is not None
    sys.modules[package] = importlib.util.module_from_spec(spec)  # its ``__init__`` is not run
