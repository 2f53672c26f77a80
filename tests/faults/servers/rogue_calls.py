"""A stdio MCP server each of whose tools does one thing wrong when called. It connects and lists without fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stdio_peer import Peer, tool

if TYPE_CHECKING:
    from collections.abc import Callable

READ_ONLY = ("look", "look_and_die_once", *os.environ.get("ROGUE_READ_ONLY", "").split())
GARBAGE = [
    b"Listening on port 8080",
    b"\x00\xff\xfe",
    b"",
    b"[1, 2",
    b'"a string"',
    b"42",
    b'{"no": "rpc"}',
    b"{",
    b"[]",
]
_GRANDCHILD = (
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
)


class Rogue(Peer):
    """Its methods called ``do_...`` are the tools. The ids of calls to ``wait`` are kept for ``release``."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []
        misdeeds = [name.removeprefix("do_") for name in dir(self) if name.startswith("do_")]
        self.tools = [tool(name, readOnlyHint=True) if name in READ_ONLY else tool(name) for name in misdeeds]

    def call(self, identifier: Any, name: str, arguments: dict[str, Any]) -> None:
        deed: Callable[[Any, dict[str, Any]], None] = getattr(self, f"do_{name}")
        deed(identifier, arguments)

    # Honest ones

    def do_echo(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.say(identifier, json.dumps(arguments))

    do_look = do_echo

    def do_pid(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.say(identifier, str(os.getpid()))

    def do_heard(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.say(identifier, json.dumps(self.heard))

    def do_wait(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.kept.append(identifier)
        self.send(
            {
                "jsonrpc": "2.0",
                "method": "notifications/message",
                "params": {"level": "info", "data": "waiting"},
            }
        )

    def do_release(self, identifier: Any, arguments: dict[str, Any]) -> None:
        for kept in self.kept:
            self.say(kept, "released")
        self.kept.clear()
        self.say(identifier, "done")

    # Answers that are wrong

    def do_garbage(self, identifier: Any, arguments: dict[str, Any]) -> None:
        for line in GARBAGE:
            self.write(line + b"\n")
        self.say(identifier, "after the garbage")

    def do_drip(self, identifier: Any, arguments: dict[str, Any]) -> None:
        answer = {
            "jsonrpc": "2.0",
            "id": identifier,
            "result": {"content": [{"type": "text", "text": "dröp"}]},
        }
        for byte in json.dumps(answer, ensure_ascii=False).encode() + b"\n":
            self.write(bytes([byte]))

    def do_twice(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.say(identifier, "first")
        self.say(identifier, "second")

    def do_stray(self, identifier: Any, arguments: dict[str, Any]) -> None:
        for stray in (99999, "abc", "0", None, -1, 1.5, True, [identifier], {"id": identifier}):
            self.say(stray, "for nobody")
        self.write(b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"result":{}}\n')
        self.say(identifier, "mine")

    def do_null_error(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.send({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "what?"}})
        self.say(identifier, "mine")

    def do_error(self, identifier: Any, arguments: dict[str, Any]) -> None:
        error = (
            b'{"code": -7,  "message": "no", "data": {"n": 1.50, "deep": ' + b"[" * 300 + b"]" * 300 + b"}}"
        )
        self.write(b'{"jsonrpc": "2.0", "id": %d, "error": ' % identifier + error + b"}\n")

    def do_text_error(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.send({"jsonrpc": "2.0", "id": identifier, "error": "boom"})

    def do_raw(self, identifier: Any, arguments: dict[str, Any]) -> None:
        """The bytes of the result are the client's to choose."""
        body = bytes.fromhex(arguments["hex"])
        self.write(b'{"jsonrpc":"2.0","id":%d,"result":' % identifier + body + b"}\n")

    def do_too_long(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.write(b'{"jsonrpc":"2.0","id":%d,"result":"' % identifier)
        block = b"x" * (1 << 20)
        for _ in range(65):
            self.write(block)
        self.write(b'"}\n')

    def do_reversed(self, identifier: Any, arguments: dict[str, Any]) -> None:
        """Answers the calls of a group in the reverse order, once all are here."""
        self.kept.append((identifier, arguments["n"]))
        if len(self.kept) == arguments["of"]:
            for kept, number in reversed(self.kept):
                self.say(kept, str(number))
            self.kept.clear()

    # Floods

    def do_chatter(self, identifier: Any, arguments: dict[str, Any]) -> None:
        for number in range(arguments["count"]):
            data = {"number": number, "padding": "." * arguments.get("size", 0)}
            params = {"level": "info", "data": data}
            self.send({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
        self.say(identifier, "said it all")

    def do_chatter_until_stuck(self, identifier: Any, arguments: dict[str, Any]) -> None:
        """Chatters; a write that takes long leaves its number in the file ``ROGUE_STUCK``."""
        for number in range(arguments["count"]):
            stuck = threading.Timer(0.5, Path(os.environ["ROGUE_STUCK"]).write_text, [str(number)])
            stuck.start()
            data = {"number": number, "padding": "." * arguments["size"]}
            params = {"level": "info", "data": data}
            self.send({"jsonrpc": "2.0", "method": "notifications/message", "params": params})
            stuck.cancel()
        self.say(identifier, "said it all")

    def do_grumble(self, identifier: Any, arguments: dict[str, Any]) -> None:
        block = ("x" * 1023 + "\n").encode() * 1024
        for _ in range(arguments["megabytes"]):
            sys.stderr.buffer.write(block)
        sys.stderr.buffer.write(b"y" * (1 << 20) + b"\n\xff\xfe\n")
        sys.stderr.buffer.flush()
        self.say(identifier, "grumbled")

    # Ends

    def do_die(self, identifier: Any, arguments: dict[str, Any]) -> None:
        sys.stderr.write("my last words\n")
        sys.stderr.flush()
        os._exit(arguments.get("status", 3))

    def do_look_and_die_once(self, identifier: Any, arguments: dict[str, Any]) -> None:
        with Path(arguments["lives"]).open("a+", encoding="utf-8") as lives:
            lives.seek(0)
            first = not lives.read()
            lives.write("x")
        if first:
            os._exit(3)
        self.say(identifier, "second life")

    def do_die_by_signal(self, identifier: Any, arguments: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def do_die_in_the_middle(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"te' % identifier)
        os._exit(3)

    def do_answer_and_die(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.say(identifier, "x" * arguments["size"])
        os._exit(3)

    def do_close_stdout(self, identifier: Any, arguments: dict[str, Any]) -> None:
        os.close(1)

    # Reluctance to end

    def do_have_child(self, identifier: Any, arguments: dict[str, Any]) -> None:
        child = subprocess.Popen([sys.executable, "-c", _GRANDCHILD], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()  # from here on it ignores SIGTERM
        self.say(identifier, str(child.pid))

    def do_dig_in(self, identifier: Any, arguments: dict[str, Any]) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        threading.Thread(
            target=threading.Event().wait
        ).start()  # keeps the process alive after stdin has ended
        self.say(identifier, str(os.getpid()))

    # Questions

    def do_ask_nonsense(self, identifier: Any, arguments: dict[str, Any]) -> None:
        self.send({"jsonrpc": "2.0", "id": "q", "method": "client/fly", "params": {}})
        reply = json.loads(sys.stdin.buffer.readline())
        self.say(identifier, json.dumps(reply))


if __name__ == "__main__":
    Rogue().run()
