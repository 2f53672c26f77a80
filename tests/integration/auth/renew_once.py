"""A dmcp process's auth actor and nothing else: on a line of stdin, 10 requests ask for a header at once.

Run as ``python renew_once.py FOLDER URL``. Prints ``ready``, then the set of header values as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from dmcp.actors.auth import AuthActor
from dmcp.actors.credentials import ActorCredentials
from dmcp.auth.authorizer import Authorizer
from dmcp.auth.store import FileStore
from dmcp.config.model import RemoteServer
from dmcp.messages.auth import Configured


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(folder: str, url: str) -> None:
    actor = AuthActor.start(Authorizer(FileStore(Path(folder)), lambda: False))
    actor.tell(Configured("srv", RemoteServer(url)))
    credentials = ActorCredentials(actor, "srv", RemoteServer(url))
    _say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    headers = await asyncio.gather(*(credentials.authorization() for _ in range(10)))
    _say(json.dumps(sorted({header or "" for header in headers})))
    actor.stop(block=False)


asyncio.run(main(*sys.argv[1:]))
