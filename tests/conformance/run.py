"""Runs the official conformance suite's client scenarios against dmcp and sums up: ``run.py [SCENARIO...]``.

Needs ``npm ci --prefix tests/npm/conformance``. Without scenarios it runs the scored ones of 2025-11-25, and with
``--all`` the others too; with scenarios it shows what the suite says of each.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
NODE_MODULES = HERE.parent / "npm" / "conformance" / "node_modules"
SUITE = NODE_MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
SCENARIO_TIMEOUT = 90.0  # seconds for a scenario
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


class Outcome(NamedTuple):
    """What came of a scenario.

    Attributes:
        passed: whether there were checks and all passed, those included that the suite only warns about.
        checks: checks passed, of how many: "9/9".
        said: all that was printed.
    """

    passed: bool
    checks: str
    said: str


def required() -> list[str]:
    """The client scenarios that the suite itself says the revision requires."""
    arguments = [node(), SUITE, "list", "--client", "--requirements", REVISION]
    listed = subprocess.run(
        arguments, capture_output=True, text=True, timeout=SCENARIO_TIMEOUT, check=True
    ).stdout
    client = listed.partition("Client scenarios")[2].partition("Run and reported")[0]
    return re.findall(r"^ +- (\S+)", client, re.MULTILINE)


def run(scenario: str, command: str = "") -> Outcome:
    """Run one scenario with dmcp, or with another command as the client."""
    # The suite splits the command at spaces and hands it to a shell.
    command = command or f"{shlex.quote(sys.executable)} {shlex.quote(str(HERE / 'driver.py'))}"
    arguments = [node(), SUITE, "client", "--command", command, "--scenario", scenario]
    arguments += ["--spec-version", REVISION, *(["--force"] if scenario in UNSCORED else [])]
    env = {**os.environ, "NO_COLOR": "1"}
    ran = subprocess.run(
        arguments, env=env, capture_output=True, text=True, timeout=SCENARIO_TIMEOUT, check=False
    )
    said = ran.stdout + ran.stderr
    counted = re.search(r"Passed: (\d+/\d+), (\d+) failed, (\d+) warnings", said)
    checks, *misses = counted.groups() if counted else ("0/0", "0", "0")
    # The suite calls it a pass when a client does nothing at all and so nothing was checked.
    spotless = checks != "0/0" and misses == ["0", "0"]
    return Outcome(ran.returncode == 0 and spotless, checks, said)


def main(arguments: list[str]) -> int:
    """Run scenarios one after the other. Returns 1 if a scored one failed."""
    everything = arguments == ["--all"]
    named = [] if everything else arguments
    failed = set()
    for scenario in named or (SCORED + UNSCORED if everything else SCORED):
        outcome = run(scenario)
        print(f"{'passed' if outcome.passed else 'FAILED'}  {scenario}  {outcome.checks}", flush=True)
        if not outcome.passed:
            failed.add(scenario)
        if named:
            print(outcome.said)
    return 1 if failed & set(SCORED) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
