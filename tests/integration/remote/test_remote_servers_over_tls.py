"""HTTPS through a whole dmcp: an authority the person names is trusted, and without it they are told what to do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trustme

from harness import RawClient, RpcError, dmcp_command, write_config
from integration.remote.guarded import look
from servers.oauth_process import running
from servers.remote_process import remote

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
URLS = {"elicitation": {"form": {}, "url": {}}}
"""The capabilities of a client that shows a person an address."""
ADVICE = r"its TLS certificate is not trusted \(.+\).*SSL_CERT_FILE"


class Papers(NamedTuple):
    """Files of a private authority: its own certificate, and one of this machine with its key."""

    authority: Path
    certificate: Path

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))


@pytest.fixture
def papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Papers:
    """A private authority nobody trusts, in a home directory without any browser."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    authority, found = trustme.CA(), Papers(tmp_path / "authority.pem", tmp_path / "certificate.pem")
    authority.cert_pem.write_to_path(str(found.authority))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(found.certificate))
    return found


def client_of(folder: Path, entry: dict[str, Any], **env: str) -> RawClient:
    return RawClient(dmcp_command(write_config(folder / "dmcp.json", {"far": entry})), env=env)


@pytest.mark.parametrize("mode", ["http", "sse"])
async def test_an_https_server_works_when_its_authority_is_named(
    mode: str, papers: Papers, tmp_path: Path
) -> None:
    with remote(tmp_path, mode, certificate=papers.certificate) as far:
        async with client_of(tmp_path, far.entry, SSL_CERT_FILE=str(papers.authority)) as client:
            await client.initialize()
            assert await client.tools("far")
        assert far.url.startswith("https://")


async def test_an_https_server_nobody_vouches_for_is_unavailable_and_the_person_is_told_what_to_set(
    papers: Papers, tmp_path: Path
) -> None:
    with remote(tmp_path, certificate=papers.certificate) as far:
        async with client_of(tmp_path, far.entry) as client:
            await client.initialize()
            with pytest.raises(RpcError, match=f"far is unavailable: .*{ADVICE}"):
                await client.call("far", "echo", {"text": "a"})
            with pytest.raises(RpcError, match="far is unavailable: not reachable") as caught:
                await client.tools("far")
            assert "SSL_CERT_FILE" in caught.value.data["reason"]
        assert far.journal() == []


async def test_a_server_that_never_says_who_it_is_cannot_be_reached_within_the_configured_time(
    papers: Papers, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # the system accepts in its name
        entry = {
            "description": "mute",
            "url": f"https://127.0.0.1:{mute.getsockname()[1]}",
            "timeout": {"connect": "1s"},
        }
        async with client_of(tmp_path, entry) as client:
            await client.initialize()
            with pytest.raises(
                RpcError, match=r"far is unavailable: .*does not finish the TLS handshake in time"
            ):
                await client.call("far", "echo", {"text": "a"})


async def test_a_server_and_its_authorization_server_over_https_are_signed_in_to(
    papers: Papers, tmp_path: Path
) -> None:
    with running(papers.trust, certificate=str(papers.certificate)) as guarded:
        entry = {"description": "guarded", "url": guarded.url}
        async with client_of(tmp_path, entry, SSL_CERT_FILE=str(papers.authority)) as client:
            await client.initialize(capabilities=URLS)
            look(client)
            offered = await client.heard("elicitation/create")
            url = offered["params"]["url"]
            assert url.startswith("https://")
            await asyncio.to_thread(
                lambda: urllib.request.urlopen(url, timeout=20, context=papers.trust).close()
            )
            result = await client.call("far", "whoami")
            assert result["content"][0]["text"] == "somebody who signed in"


async def test_an_authorization_server_nobody_vouches_for_is_named_and_nobody_is_asked_to_sign_in(
    papers: Papers, tmp_path: Path
) -> None:
    with (
        running(papers.trust, certificate=str(papers.certificate)) as secure,
        running(authorization_server=secure.base) as guarded,
    ):
        entry = {"description": "guarded", "url": guarded.url}
        async with client_of(tmp_path, entry) as client:
            await client.initialize(capabilities=URLS)
            with pytest.raises(RpcError, match=f"far is unavailable: {secure.base} .*{ADVICE}"):
                await client.call("far", "whoami")
            assert client.inbox == []
