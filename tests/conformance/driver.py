"""One client scenario of the official conformance suite, done through dmcp.

The suite starts a test server and runs ``driver.py SERVER_URL`` with ``MCP_CONFORMANCE_SCENARIO`` and, for some
scenarios, ``MCP_CONFORMANCE_CONTEXT`` (JSON: credentials to use). The driver writes a configuration for that
address, starts dmcp in a home directory of its own and uses every tool the server shows, as a client that knows
nothing of MCP beyond dmcp's two tools would. What the suite judges is dmcp's side towards the server.

Exit status: 0 when every step was answered without an error, 1 otherwise. The suite's own checks decide.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

TESTS = Path(__file__).resolve().parents[1]

GROUP = "conformance"
END_TIMEOUT = 25.0  # seconds for dmcp to end; the suite itself gives up after thirty, answers included
CLIENT_METADATA = "https://conformance-test.local/client-metadata.json"  # the one address the suite knows
SAMPLES: dict[str, Any] = {
    "string": "text",
    "number": 5,
    "integer": 5,
    "boolean": True,
    "array": [],
    "object": {},
}


def oauth_settings(context: dict[str, Any], home: Path) -> dict[str, Any]:
    """The ``oauth`` part of the configuration, from the credentials a scenario hands out."""
    settings: dict[str, Any] = {"client_metadata_url": CLIENT_METADATA}
    if "client_id" in context:
        settings = {"client_id": context["client_id"]}
    if "client_secret" in context:
        settings["client_secret"] = context["client_secret"]
    if "private_key_pem" in context:
        key = home / "key.pem"
        key.write_text(context["private_key_pem"], encoding="utf-8")
        settings |= {"private_key_file": str(key), "token_endpoint_auth_method": "private_key_jwt"}
    if context.get("name", "").startswith("auth/client-credentials"):
        settings["grant"] = "client_credentials"
        settings.setdefault("token_endpoint_auth_method", "client_secret_basic")
    return settings


def configuration(url: str, context: dict[str, Any], home: Path) -> Path:
    """A configuration file with this server alone."""
    server = {"description": "The suite's server", "url": url, "oauth": oauth_settings(context, home)}
    path = home / "dmcp.json"
    path.write_text(json.dumps({"mcpServers": {GROUP: server}}), encoding="utf-8")
    return path


def arguments_for(schema: dict[str, Any]) -> dict[str, Any]:
    """Arguments that a schema accepts: each required property with its default, or a sample of its type."""
    properties = schema.get("properties", {})
    return {name: _value(properties.get(name, {})) for name in schema.get("required", [])}


def _value(schema: dict[str, Any]) -> Any:
    return schema.get("default", SAMPLES.get(str(schema.get("type")), "text"))


def accept_defaults(params: dict[str, Any]) -> dict[str, Any]:
    """A form filled in by somebody who leaves every default as it stands."""
    properties = params.get("requestedSchema", {}).get("properties", {})
    return {
        "action": "accept",
        "content": {name: s["default"] for name, s in properties.items() if "default" in s},
    }


class RefusedError(Exception):
    """A request was answered with an error, or dmcp ended without an answer."""


class Client:
    """The client's end of dmcp's pipes, one request at a time.

    Plain pipes and no harness: the suite starts this file for every scenario, and the harness with its official types
    takes four times as long to start as dmcp. Nothing here has a deadline: the suite has.
    """

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._ids = itertools.count(1)

    def send(self, message: dict[str, Any]) -> None:
        """Write one message."""
        self._stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self._stdin.flush()

    def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a request; meanwhile a form that dmcp shows is filled in.

        Raises:
            RefusedError: there is none.
        """
        number = next(self._ids)
        self.send({"id": number, "method": method, "params": params})
        for line in self._stdout:
            message = json.loads(line)
            if message.get("method") == "elicitation/create":
                self.send({"id": message["id"], "result": accept_defaults(message["params"])})
            elif "method" not in message and message.get("id") == number:
                if "error" in message:
                    raise RefusedError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result
        raise RefusedError(f"{method}: dmcp ended without an answer")


def perform(client: Client) -> bool:
    """Use the server as an assistant would. Returns whether all went well."""
    info = {"name": "raw-client", "version": "1"}
    capabilities = {"elicitation": {"form": {}}}
    about = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info}
    client.request("initialize", about)
    client.send({"method": "notifications/initialized"})
    params = {"name": "get_dynamic_tools", "arguments": {"group": GROUP}}
    listing = client.request("tools/call", params)
    if listing.get("isError"):
        print(listing, file=sys.stderr)
        return False
    well = True
    tools = json.loads(listing["content"][0]["text"])
    for tool in tools:
        args = arguments_for(tool.get("inputSchema", {}))
        if "schema" in args:  # json-schema-2020-12-preservation wants to see a schema as it arrived here
            args["schema"] = tools[0]["inputSchema"]
        call = {
            "name": "call_dynamic_tool",
            "arguments": {"group": GROUP, "name": tool["name"], "args": args},
        }
        result = client.request("tools/call", call)
        print(tool["name"], json.dumps(result)[:500], file=sys.stderr)
        well = well and not result.get("isError", False)
    return well


def main(url: str) -> int:
    """Do the scenario that the environment names."""
    context: dict[str, Any] = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    context.setdefault("name", os.environ.get("MCP_CONFORMANCE_SCENARIO", ""))
    with tempfile.TemporaryDirectory() as room:
        home = Path(room)
        browser = f"{sys.executable} {TESTS / 'conformance' / 'browser.py'} %s"
        env = {"HOME": room, "USERPROFILE": room, "XDG_CACHE_HOME": room, "BROWSER": browser}
        env["PYTHONPATH"] = str(TESTS.parent)
        options = ["-v"] if "DRIVER_VERBOSE" in os.environ else []
        binary = os.environ.get("DMCP_TEST_COMMAND")
        command = [binary] if binary else [sys.executable, "-m", "dmcp", *options]
        with subprocess.Popen(
            [*command, str(configuration(url, context, home))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **env},
            cwd=home,
        ) as dmcp:
            assert dmcp.stdin is not None
            assert dmcp.stdout is not None
            try:
                well = perform(Client(dmcp.stdin, dmcp.stdout))
            except (RefusedError, OSError) as error:
                print(error, file=sys.stderr)
                well = False
            try:
                with suppress(BrokenPipeError):  # it has ended by itself
                    dmcp.stdin.close()
                dmcp.wait(END_TIMEOUT)
            except subprocess.TimeoutExpired:
                print("dmcp did not end", file=sys.stderr)
                dmcp.kill()
                well = False
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
