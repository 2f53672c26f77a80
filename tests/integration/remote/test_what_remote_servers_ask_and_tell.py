"""Questions, news and progress of remote servers reach the client as those of local ones do.

The server's questions and ``resources/updated`` come over the stream of the session, which is not a call's: over
Streamable HTTP the standalone GET, over HTTP+SSE the only one there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import mcp_types as types
import pytest

from harness import OfficialClient, dmcp_command, text_of, write_config
from servers.remote_process import RemoteServer, remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    # The SDK marks what the newest revision has deprecated; handshake-era servers live by it.
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]


@pytest.fixture(params=["http", "sse"])
def far(
    request: pytest.FixtureRequest, tmp_path: Path, no_process_is_left_behind: None
) -> Iterator[RemoteServer]:
    with remote(tmp_path, request.param) as server:
        yield server


def client_of(far: RemoteServer, room: Path) -> OfficialClient:
    return OfficialClient(dmcp_command(write_config(room / "dmcp.json", {"far": far.entry})))


async def test_every_question_of_a_remote_server_is_answered(far: RemoteServer, tmp_path: Path) -> None:
    async with client_of(far, tmp_path) as client:
        sampled = await client.call("far", "sample", {"question": "Why?"})
        assert text_of(sampled) == "test-model: A sampled reply"
        assert text_of(await client.call("far", "elicit")) == "accept {'colour': 'green'}"
        assert text_of(await client.call("far", "elicit_url")) == "accept"
        await client.heard(lambda note: isinstance(note, types.ElicitCompleteNotification))
        assert text_of(await client.call("far", "roots")) == "project=file:///work/project"


async def test_news_of_a_remote_server_reach_the_client(far: RemoteServer, tmp_path: Path) -> None:
    uri = "note://far/1"
    async with client_of(far, tmp_path) as client:
        await client.session.subscribe_resource(uri)
        await client.call("far", "touch", {"uri": uri})
        updated = await client.heard(lambda note: isinstance(note, types.ResourceUpdatedNotification))
        assert str(updated.params.uri) == uri
        await client.session.unsubscribe_resource(uri)
        await client.session.set_logging_level("info")
        await client.call("far", "log", {"level": "error", "words": "Careful"})
        told = await client.heard(lambda note: isinstance(note, types.LoggingMessageNotification))
        assert told.params.data == {"words": "Careful"}
        await client.session.list_resources()  # who has never listed is told of no change
        await client.call("far", "grow", {"what": "resources"})
        await client.heard(lambda note: isinstance(note, types.ResourceListChangedNotification))
        assert "new://far/0" in {str(r.uri) for r in (await client.session.list_resources()).resources}


async def test_progress_and_cancelling_work_with_a_remote_server(far: RemoteServer, tmp_path: Path) -> None:
    async with client_of(far, tmp_path) as client:
        steps = []

        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            steps.append((progress, total, message))

        await client.call("far", "progress", {"steps": 3}, progress_callback=progressed)
        assert steps == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]
        hanging = anyio.Event()

        async def begun(progress: float, total: float | None, message: str | None) -> None:
            hanging.set()

        async def hang() -> None:
            await client.call("far", "hang", progress_callback=begun)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hang)
                await hanging.wait()
                tasks.cancel_scope.cancel()
        far.until(method="notifications/cancelled")
        state = await client.call("far", "state")
        assert state.structured_content["cancelled"] == 1
