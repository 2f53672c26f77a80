"""``BROWSER`` is a list of commands, never a program text; what comes to the loopback address may be anybody's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from dmcp.auth import browser
from dmcp.auth import callback as callback_module
from dmcp.auth.callback import PATH, Callback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

URL = "https://a.example/authorize?x=$(id)&y=;ls"


@pytest.mark.parametrize(
    "command",
    [
        "sh -c 'firefox %s'",
        'bash -c "firefox %s"',
        "/bin/sh -ec 'firefox \"$1\"' --",
        "bash -lc 'open %s'",
        "env A=1 sh -c 'firefox %s'",
        "sudo -u me zsh -c 'firefox %s'",
        "busybox sh -c 'x %s'",
        "python3 -c 'import os; os.system(\"x %s\")'",
        "python3.11 -Ic 'print(1)'",
        "perl -e 'system(\"%s\")'",
        "ruby -e 'x'",
        "node --eval 'x'",
        "node -pe 'x'",
        "php -r 'x'",
        "pwsh -Command 'start %s'",
        "powershell.exe -EncodedCommand x",
        "cmd.exe /c start %s",
        "cmd /d/c start %s",
        "ssh desk xdg-open %s",
        "xargs firefox",
        "osascript -e 'open location \"%s\"'",
    ],
)
def test_a_program_text_in_browser_is_not_run_and_a_sentence_says_so(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **_: started.append(words))
    monkeypatch.setenv("BROWSER", command)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    browser._open(URL, command)  # a name of its own: at most 20 remarks a minute are said of one server
    said = capsys.readouterr().err
    assert started == []
    assert "BROWSER has a shell or an interpreter run a text" in said
    assert "open the address by hand" in said
    assert not browser.is_available()


@pytest.mark.parametrize(
    "command",
    [
        "firefox",
        "firefox --new-tab %s",
        "bash ./open.sh %s",
        "python3 -u open.py",
        "env A=1 chromium",
        "wslview",
        "python3 /check/open.py %s",  # no switch of cmd's
        "bash /kit/open.sh %s",
    ],
)
def test_a_program_or_a_script_is_a_browser(command: str) -> None:
    words = browser.commands(URL, {"BROWSER": command}, "linux")
    assert len(words) == 1
    assert URL in words[0]


def test_a_command_that_is_refused_leaves_the_next_of_the_list() -> None:
    environ = {"BROWSER": "sh -c 'x %s':firefox"}
    assert browser.commands(URL, environ, "linux") == (("firefox", URL),)


def test_a_batch_file_gets_no_address_because_windows_gives_it_to_a_shell() -> None:
    assert browser.commands(URL, {"BROWSER": r"C:\b\open.cmd"}, "win32") == ()


def test_the_sign_of_a_background_job_is_no_argument() -> None:
    assert browser.commands(URL, {"BROWSER": "firefox %s &"}, "linux") == (("firefox", URL),)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Callback, asyncio.Task[dict[str, str]], list[Any]]]:
    """A callback that waits for ``state=ours``, and what the loop would have printed as tracebacks."""
    tracebacks: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: tracebacks.append(context))
    async with Callback() as callback:
        waiting = asyncio.create_task(callback.answer(lambda query: query.get("state") == "ours", 60))
        yield callback, waiting, tracebacks
        waiting.cancel()


def _port(callback: Callback) -> int:
    return int(callback.redirect_uri.partition("1:")[2].partition("/")[0])


async def _said(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


def _get(
    port: int, target: str = f"{PATH}?state=ours&code=c", host: str | None = None, method: str = "GET"
) -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{port}'}\r\n\r\n".encode("latin-1")


@pytest.mark.anyio
async def test_a_foreign_request_is_a_4xx_and_ends_nothing() -> None:
    async with listening() as (callback, waiting, tracebacks):
        port = _port(callback)
        foreign = [
            _get(port, f"{PATH}?state=theirs&code=c"),
            _get(port, PATH),
            _get(port, "/"),
            _get(port, "/favicon.ico"),
            _get(port, "http://[" + PATH),  # no address at all: parsing it raises
            _get(port, f"{PATH}?" + "&".join(f"a{n}=1" for n in range(200)) + "&state=ours"),
            _get(port, host="evil.example"),
            _get(port, host=f"evil.example:{port}"),
            _get(port, host="127.0.0.1.evil.example"),
            f"GET {PATH}?state=ours HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n".encode(),
            *(_get(port, method=method) for method in ("POST", "PUT", "OPTIONS", "HEAD", "get")),
            b"\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\r\n\r\n",  # TLS
            b"GET\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"\xff\xfe \x00 \x80\r\n\r\n",
        ]
        for request in foreign:
            answer = await _said(port, request)
            assert answer.startswith(b"HTTP/1.1 4"), (request, answer)
            assert b"evil" not in answer
            assert b"theirs" not in answer
        assert not waiting.done()
        assert tracebacks == []
        assert (await _said(port, _get(port, host=f"localhost:{port}"))).startswith(b"HTTP/1.1 200")
        assert (await waiting)["code"] == "c"


@pytest.mark.anyio
async def test_a_head_without_end_is_refused() -> None:
    async with listening() as (callback, waiting, tracebacks):
        answer = await _said(_port(callback), b"GET /callback HTTP/1.1\r\nX: " + b"a" * 40_000)
        assert answer.startswith(b"HTTP/1.1 431")
        assert not waiting.done()
        assert tracebacks == []


@pytest.mark.anyio
async def test_any_number_of_idle_connections_do_not_keep_the_browser_out() -> None:
    async with listening() as (callback, waiting, tracebacks):
        port = _port(callback)
        idle = [
            await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * callback_module._CONNECTIONS)
        ]
        for _, writer in idle:
            writer.write(b"GET /call")  # and no more
        try:
            assert (await _said(port, _get(port))).startswith(b"HTTP/1.1 200")
            assert (await waiting)["state"] == "ours"
            assert len(callback._connections) <= callback_module._CONNECTIONS
        finally:
            for _, writer in idle:
                writer.close()
        assert tracebacks == []


def test_the_browser_of_a_whole_sign_in_gets_the_address_as_one_argument(tmp_path: Path) -> None:
    script = tmp_path / "browser.py"
    script.write_text("import sys; open(sys.argv[0] + '.seen', 'w').write('|'.join(sys.argv[1:]))")
    program = "import sys, threading; from dmcp.auth import browser; browser.show(sys.argv[1], 'g')\n"
    program += "for t in threading.enumerate():\n    t is threading.current_thread() or t.join(30)\n"
    done = subprocess.run(
        [sys.executable, "-c", program, URL],
        env={**os.environ, "BROWSER": f"{sys.executable} {script}"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "browser.py.seen").read_text() == URL
