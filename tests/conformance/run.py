"""Runs the official conformance suite's client scenarios against dmcp and sums up: ``run.py [SCENARIO...]``.

Needs ``npm ci --prefix tests/npm/conformance``. Without scenarios it runs the scored ones of 2025-11-25.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE_MODULES = HERE.parent / "npm" / "conformance" / "node_modules"
SUITE = NODE_MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
PATIENCE = 90.0  # seconds for a scenario
REVISION = "2025-11-25"
SCORED = (
    "initialize",
    "tools_call",
    "elicitation-sep1034-client-defaults",
    "sse-retry",
    *(f"auth/metadata-{which}" for which in ("default", "var1", "var2", "var3")),
    "auth/basic-cimd",
    "auth/scope-from-www-authenticate",
    "auth/scope-from-scopes-supported",
    "auth/scope-omitted-when-undefined",
    "auth/scope-step-up",
    "auth/scope-retry-limit",
    *(f"auth/token-endpoint-auth-{how}" for how in ("basic", "post", "none")),
    "auth/pre-registration",
)
UNSCORED = (
    "json-schema-2020-12-preservation",
    "auth/client-credentials-jwt",
    "auth/client-credentials-basic",
    "auth/enterprise-managed-authorization",
    "auth/dpop",
    "auth/dpop-nonce",
    "auth/wif-jwt-bearer",
)


def node() -> Path:
    """The Node that is installed beside the suite: it needs a newer one than many machines have."""
    windows = sys.platform == "win32"
    return NODE_MODULES / "node" / "bin" / ("node.exe" if windows else "node")


def is_installed() -> bool:
    """Whether the suite and its Node are there."""
    return SUITE.exists() and node().exists()


def run(scenario: str) -> tuple[bool, str]:
    """Run one scenario. Returns whether it passed, and all that was printed."""
    # The suite splits the command at spaces and hands it to a shell.
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(HERE / 'driver.py'))}"
    arguments = [
        node(),
        SUITE,
        "client",
        "--command",
        command,
        "--scenario",
        scenario,
        "--spec-version",
        REVISION,
    ]
    if scenario in UNSCORED:
        arguments.append("--force")
    env = {**os.environ, "NO_COLOR": "1"}
    ran = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    said = ran.stdout + ran.stderr
    # The suite calls it a pass when a client does nothing at all and so nothing was checked.
    return ran.returncode == 0 and "Passed: 0/0" not in said, said


def main(scenarios: list[str]) -> int:
    """Run scenarios one after the other. Returns 1 if a scored one failed."""
    failed = []
    for scenario in scenarios or SCORED:
        passed, said = run(scenario)
        print(f"{'passed' if passed else 'FAILED'}  {scenario}", flush=True)
        if not passed:
            failed.append(scenario)
            if scenarios:
                print(said)
    return 1 if set(failed) & set(SCORED) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
