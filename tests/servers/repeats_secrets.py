"""A server that repeats what it was started with: its arguments and environment, on stderr, in errors, as noise.

It refuses every listing and ends at the first ``tools/call``, telling all again. Needs no library.
"""

from __future__ import annotations

import json
import os
import sys

told = " ".join(
    [
        *sys.argv[1:],
        *(f"{name}={os.environ[name]}" for name in sorted(os.environ) if name.startswith("FOR_IT")),
    ]
)
sys.stderr.write(f"started with {told}\n")
sys.stderr.flush()
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    reply: dict[str, object] = {"error": {"code": -32000, "message": f"refused, I have {told}"}}
    if request["method"] == "initialize":
        version = request["params"]["protocolVersion"]
        info = {"name": "repeats", "version": "1"}
        reply = {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}}
    sys.stdout.write(f"noise: {told}\n")
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **reply}) + "\n")
    sys.stdout.flush()
    if request["method"] == "tools/list":
        sys.stderr.write(f"ends with {told}\n")
        sys.exit(3)
