"""A person's home directory with a browser that signs in, and a guarded server in their configuration."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness import RawClient, dmcp_command, write_config
from harness.cli import run_dmcp

if TYPE_CHECKING:
    import subprocess

    from servers.oauth_process import OAuthServer

SIGNED_IN: Final = "somebody who signed in"
_BROWSER: Final = """
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=20).close()
except urllib.error.HTTPError:
    pass
"""


class Home:
    """One person's machine.

    Attributes:
        folder: their home directory.
        config: their configuration, with the guarded server as "far".
        kept: the file that keeps the sign-in to it.
    """

    def __init__(self, folder: Path, server: OAuthServer, **oauth: Any) -> None:
        self.folder = folder
        self.config = folder / "dmcp.json"
        self.kept = folder / ".dynamic-mcp" / "oauth-servers" / "far.json"
        script = folder / "browser.py"
        script.write_text(_BROWSER)
        self.env = {
            "HOME": str(folder),
            "USERPROFILE": str(folder),
            "BROWSER": f"{sys.executable} {script}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self.configure(server, **oauth)

    def configure(self, server: OAuthServer, headers: dict[str, str] | None = None, **oauth: Any) -> None:
        """Write the configuration."""
        far = {"description": "guarded", "url": server.url, "timeout": {"tools": "20s"}, "oauth": oauth}
        write_config(self.config, {"far": far | ({"headers": headers} if headers else {})})

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command; its configuration is named to it."""
        return run_dmcp(*arguments, env={**self.env, "DYNAMIC_MCP_CONFIG": str(self.config)}, cwd=self.folder)

    def client(self) -> RawClient:
        """A dmcp in front of the guarded server."""
        return RawClient(dmcp_command(self.config), env=self.env)

    def leave(self, content: str, mode: int = 0o600) -> None:
        """Have a file where the sign-in is kept."""
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        self.kept.write_text(content)
        if os.name == "posix":
            self.kept.chmod(mode)
            self.kept.parent.chmod(0o700)


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said, which is never a traceback and never a confession of a bug that is none."""
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    assert "bug" not in text
    return text


async def whoami(client: RawClient) -> str:
    """Call the guarded tool; its answer."""
    text: str = (await client.call("far", "whoami"))["content"][0]["text"]
    return text
