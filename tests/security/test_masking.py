"""No secret of the configuration shows in the log, in errors or in what commands print, however it is spelled."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING

import pytest

from harness import RawClient, dmcp_command, write_config
from harness.cli import run_dmcp
from harness.configs import TESTS, python_server
from harness.raw import RpcError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

SECRETS = [
    f"s3cret-{word}"
    for word in ["ab", "cd", "ef", "gh", "ij", "kl", "mn", "op", "qr", "st", "uv", "wx", "yz"]
]
ARGS = [
    f"-p{SECRETS[0]}",
    f"--token={SECRETS[1]}",
    "--api-key",
    SECRETS[2],
    "-H",
    f"Authorization: Bearer {SECRETS[3]}",
    f"-HX-Api-Key: {SECRETS[4]}",
    "-e",
    f"TOKEN={SECRETS[5]}",
    json.dumps({"password": SECRETS[6], "nested": [{"apiKey": SECRETS[7]}]}),
    f"postgres://joe:{SECRETS[8]}@db/x?sslpassword={SECRETS[9]}",
    "--opaque",
    "${FROM_OUTSIDE}",
]
ENV = {"FOR_IT": SECRETS[11], "FOR_IT_URL": f"https://h/?key={SECRETS[12]}", "FOR_IT_MODE": "production"}


def config_of(path: Path) -> Path:
    entry = python_server(TESTS / "servers" / "repeats_secrets.py", *ARGS, env=ENV)
    remote = {"url": f"http://127.0.0.1:9/x?key={SECRETS[0]}", "headers": {"X-Key": SECRETS[1]}}
    return write_config(path, {"g": entry, "remote": remote})


def assert_masked(*texts: str) -> None:
    for text in texts:
        shown = [secret for secret in (*SECRETS, "s3cret") if secret in text]
        assert not shown, f"{shown} in {text}"


@pytest.mark.parametrize("command", ["check", "check --json", "list", "plan", "call"])
def test_commands_show_no_secret(tmp_path: Path, command: str) -> None:
    config = config_of(tmp_path / "dmcp.json")
    before = write_config(tmp_path / "before.json", {})
    words = command.split()
    more = {"plan": [before, config], "call": [config, "g", "x"]}.get(words[0], [config])
    done = run_dmcp("-vv", *words, *more, env={"FROM_OUTSIDE": SECRETS[10]})
    assert_masked(done.stdout, done.stderr)
    if words[0] == "check":
        assert "started with" in done.stderr
        assert "FOR_IT_MODE=production" in done.stderr, "a harmless word is no secret"


def test_an_import_shows_no_secret(tmp_path: Path) -> None:
    config_of(tmp_path / "other.json")
    done = run_dmcp(
        "-vv",
        "import",
        tmp_path / "other.json",
        "--dry-run",
        "--yes",
        cwd=tmp_path,
        env={"FROM_OUTSIDE": SECRETS[10]},
    )
    assert_masked(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    assert "--token=***" in done.stdout


async def test_the_log_and_errors_of_a_session_show_no_secret(tmp_path: Path) -> None:
    env = {"DMCP_LOG": "debug", "FROM_OUTSIDE": SECRETS[10]}
    async with RawClient(dmcp_command(config_of(tmp_path / "dmcp.json")), env=env, strict=False) as client:
        await client.initialize()
        for group in ("g", "remote"):
            for name, arguments in (
                ("get_dynamic_tools", {"group": group}),
                ("call_dynamic_tool", {"group": group, "name": "x", "args": {}}),
            ):
                try:
                    told = json.dumps(
                        await client.request("tools/call", {"name": name, "arguments": arguments})
                    )
                except RpcError as error:
                    told = str(error)
                assert_masked(told)
        await client.close()
    assert "started with" in client.stderr
    assert_masked(client.stderr)


ENCODES = """
import base64, os, sys
secret = os.environ["KEY"].encode()
for line in (b"user:" + secret, secret):
    print("sent", base64.b64encode(line).decode(), line.hex(), file=sys.stderr)
print("x" * 4080, os.environ["KEY"], file=sys.stderr)
sys.exit(3)
"""


@pytest.mark.parametrize("command", ["check", "check --json", "list"])
def test_no_encoding_and_no_cut_shows_a_secret(tmp_path: Path, command: str) -> None:
    key = "s3cret-which-is-long-enough-to-be-cut"
    entry = {"description": "d", "command": sys.executable, "args": ["-c", ENCODES], "env": {"KEY": key}}
    done = run_dmcp("-vv", *command.split(), write_config(tmp_path / "dmcp.json", {"g": entry}))
    assert "sent " in done.stderr
    told = done.stdout + done.stderr
    for shown in (key[:8], key.encode().hex(), base64.b64encode(key.encode()).decode()[:24]):
        assert shown not in told
    assert base64.b64encode(f"user:{key}".encode()).decode()[8:32] not in told
