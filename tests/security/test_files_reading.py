"""What stands in a configuration holds nothing up: not the loop at a reload, not the memory, not the next change."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness import EVENTS, RawClient, dmcp_command, plain_server, write_config
from harness.cli import run_dmcp
from harness.watched import LoopWatch

if TYPE_CHECKING:
    from pathlib import Path

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")
WRAPPED = "import sys\n{}\nfrom dmcp.__main__ import main\nsys.exit(main())\n"


def _big(sdk: dict[str, Any], description: str, *, json5: bool) -> str:
    """A configuration as people write it: 50 servers, comments, trailing commas; all but one are switched off."""
    lines = ["// my servers", "{", '  "mcpServers": {']
    lines.append(f'    "sdk": {json.dumps({**sdk, "description": description})}, // the one that is on')
    for number in range(50):
        env = {f"NAME_{n}": f"${{HOME}}/{number}/{n}" for n in range(20)}
        entry = json.dumps(
            {"description": "off // now", "command": "x", "env": env, "enabled": False}, indent=2
        )
        lines += [f"    /* number {number} */", f'    "s{number}": {entry[:-2]},', "    },"]
    text = "\n".join([*lines, "  },", "}"])
    return text.replace('"command":', "command:") if json5 else text


@pytest.mark.anyio
@pytest.mark.parametrize("json5", [False, True])
async def test_a_reload_of_a_large_commented_configuration_does_not_hold_the_loop(
    json5: bool, tmp_path: Path
) -> None:
    path, watch = tmp_path / "dmcp.json", LoopWatch(tmp_path)
    path.write_text(_big(plain_server(), "Before", json5=json5))
    async with RawClient(LoopWatch.command(path), env={**watch.env, **EVENTS}) as client:
        await client.initialize()
        await client.tools("sdk")
        watch.start_watching()
        await client.call("sdk", "echo", {"text": "warm"})
        path.write_text(_big(plain_server(), "After", json5=json5))
        await client.event("ConfigurationApplied", first=False, updated=1)
        await client.call("sdk", "echo", {"text": "still there"})
    assert 0 < watch.held().cpu < 50


@pytest.mark.anyio
async def test_the_client_is_answered_while_the_first_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dmcp.json"
    path.write_text(_big(plain_server(), "On", json5=True))  # the slowest reader there is: some seconds
    async with RawClient(dmcp_command(path)) as client:
        await client.initialize()
        begin = time.monotonic()
        shown = client.ask("tools/list")
        await client.request("ping")
        answered = time.monotonic() - begin
        await client.answer(shown)
        listed = time.monotonic() - begin
    assert answered < listed / 2


@pytest.mark.anyio
async def test_a_client_that_leaves_while_the_first_configuration_is_read_gets_its_answers(
    tmp_path: Path,
) -> None:
    path = tmp_path / "dmcp.json"
    path.write_text(_big(plain_server(), "On", json5=True))
    async with RawClient(dmcp_command(path)) as client:
        await client.initialize()
        shown = client.ask("tools/list")
        assert await client.close() == 0
        assert (await client.answer(shown))["result"]["tools"]


@POSIX
@pytest.mark.anyio
async def test_a_pipe_in_place_of_the_file_holds_up_nothing_and_the_next_change_counts(
    tmp_path: Path,
) -> None:
    path = write_config(tmp_path / "dmcp.json", {"sdk": plain_server()})
    async with RawClient(dmcp_command(path), env=EVENTS) as client:
        await client.initialize()
        await client.tools("sdk")
        path.unlink()
        os.mkfifo(path)
        await client.until(lambda: "not a file" in client.stderr, "refusal")
        await client.call("sdk", "echo", {"text": "still there"})
        path.unlink()
        write_config(path, {"sdk": plain_server(description="Another")})
        await client.event("ConfigurationApplied", first=False, updated=1)


@pytest.mark.anyio
async def test_a_reading_that_never_ends_stops_neither_the_next_one_nor_the_end(tmp_path: Path) -> None:
    path = write_config(tmp_path / "dmcp.json", {"sdk": plain_server()})
    hanging = (
        "from dmcp.config import loading\n"
        "import threading\n"
        "real = loading.content_of\n"
        "def slow(path):\n"
        "    content = real(path)\n"
        "    if b'never read' in content:\n"
        "        print('HANGING', file=sys.stderr, flush=True)\n"
        "        threading.Event().wait()\n"
        "    return content\n"
        "loading.content_of = slow\n"
    )
    async with RawClient([sys.executable, "-c", WRAPPED.format(hanging), str(path)], env=EVENTS) as client:
        await client.initialize()
        await client.tools("sdk")
        write_config(path, {"sdk": plain_server(description="never read")})
        await client.until(lambda: "HANGING" in client.stderr, "the reading that hangs")
        await client.call("sdk", "echo", {"text": "still there"})
        write_config(path, {"sdk": plain_server(description="The latest")})
        await client.event("ConfigurationApplied", first=False, updated=1)


@pytest.mark.anyio
async def test_a_watch_that_breaks_is_said_and_begun_again(tmp_path: Path) -> None:
    path = write_config(tmp_path / "dmcp.json", {"sdk": plain_server()})
    breaking = (
        "from dmcp import app\n"
        "app._WATCH_AGAIN = 0.05\n"
        "from dmcp.config import watching\n"
        "real, broken = watching.directories, []\n"
        "def directories(path):\n"
        "    if not broken:\n"
        "        broken.append(1)\n"
        "        raise ValueError('a bug')\n"
        "    return real(path)\n"
        "watching.directories = directories\n"
    )
    async with RawClient([sys.executable, "-c", WRAPPED.format(breaking), str(path)], env=EVENTS) as client:
        await client.initialize()
        await client.tools("sdk")
        await client.until(lambda: "the watch on" in client.stderr, "the word of it")
        assert "ValueError: a bug" in client.stderr
        write_config(path, {"sdk": plain_server(description="Another")})
        await client.event("ConfigurationApplied", first=False, updated=1)


def test_references_bring_in_so_much_and_no_more(tmp_path: Path) -> None:
    huge = {"command": "x", "args": ["${BIG}" * 20_000]}
    many = {"command": "x", "args": ["${BIG}"] * 20_000}
    path = write_config(tmp_path / "dmcp.json", {"huge": huge, "many": many, "sdk": plain_server()})
    done = run_dmcp("check", "--json", path, env={"BIG": "b" * 100_000})
    found = {one["group"]: one for one in json.loads(done.stdout)["servers"]}
    assert "too long once its environment variables are filled in" in found["huge"]["reason"]
    assert "too long once its environment variables are filled in" in found["many"]["reason"]
    assert found["sdk"]["ready"]


def test_more_servers_than_anybody_has_are_refused(tmp_path: Path) -> None:
    entry = {"command": "x", "enabled": False}
    path = write_config(tmp_path / "ok.json", {f"s{n}": entry for n in range(1000)})
    assert run_dmcp("list", path).returncode == 0
    path = write_config(tmp_path / "many.json", {f"s{n}": entry for n in range(1001)})
    done = run_dmcp("list", path)
    assert done.returncode == 2
    assert "1,001 servers: 1,000 is the most" in done.stderr


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", BOMB + "extensions: *a11\n", "aliases"),
        ("a.yaml", "extensions: &a\n  one: *a\n", ""),
        ("a.yaml", "[" * 200_000, "nested too deeply"),
        ("a.yaml", "# " + "x" * 1_100_000, "1 MiB"),
        ("a.json", "[" * 200_000, "nested too deeply"),
        ("a.json", '{"mcpServers": ' + '{"a":' * 100_000, ""),
        ("a.toml", "a = " + "[" * 100_000, "nested too deeply"),
        ("a.json", "\0" * 100_000, ""),
        ("a.conf", "\0" * 100_000, ""),
        ("a.json", "{'" + "\\'" * 300_000, ""),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_a_file_to_import_that_is_made_to_hurt_is_refused_in_a_sentence(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    done = run_dmcp("import", name, "--yes", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert name in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 600
    assert not (tmp_path / "dynamic-mcp.json").exists()
