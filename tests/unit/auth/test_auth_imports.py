"""What a sign-in needs is imported beside the event loop: it takes longer than a turn may."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import asyncio, json, sys, threading
on_loop = []
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"httpx", "authlib", "joserfc", "cryptography", "filelock"} | {"dmcp"}:
            if begun and threading.current_thread() is threading.main_thread():
                on_loop.append(name)
begun = False
sys.meta_path.insert(0, Finder())
from dmcp.auth.lazy import LazyAuthorizer
from dmcp.config.model import OAuthSettings, RemoteServer

async def main():
    global begun
    authorizer, server = LazyAuthorizer(lambda: "file"), RemoteServer("https://far", oauth=OAuthSettings())
    begun = True
    assert await authorizer.load("far", server) is None
    async with (await authorizer._authorizer())._web(server):
        from dmcp.auth import discovery
        discovery.server_metadata_urls("https://issuer")
    print(json.dumps([on_loop, "authlib" in sys.modules]))

asyncio.run(main())
"""


def test_nothing_large_is_imported_on_the_loop(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(ran.stdout) == [[], True]
