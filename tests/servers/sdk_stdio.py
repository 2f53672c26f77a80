"""A stdio server made with the official Python SDK that has every feature of the handshake era.

Usage: ``sdk_stdio.py [--name NAME]``. The name goes into its URIs and prompt names, so that several can run side by
side. Lists are paged by two, so that nobody gets by with reading one page.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import anyio
import mcp_types as types
import sdk_light  # noqa: F401 - before the SDK
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from sdk_tools import TOOLS, State

# Sampling, roots and logging are deprecated in the newest revision, and are what this server is for.
warnings.simplefilter("ignore", MCPDeprecationWarning)

NAME = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True)).get("--name", "sdk")
PAGE = 2
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
state = State(NAME)


def page(items: list[Any], params: types.PaginatedRequestParams | None) -> tuple[list[Any], str | None]:
    """One page of a list and the cursor of the next one."""
    cursor = params.cursor if params else None
    if cursor is not None and not cursor.isdecimal():
        raise MCPError(types.INVALID_PARAMS, f"no such cursor: {cursor}")
    start = int(cursor or 0)
    following = start + PAGE
    return items[start:following], str(following) if following < len(items) else None


async def list_tools(ctx: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    tools, following = page([tool.declared for tool in TOOLS.values()] + state.more_tools, params)
    return types.ListToolsResult(tools=tools, next_cursor=following)


async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    tool = TOOLS.get(params.name)
    if tool is None:
        raise MCPError(types.INVALID_PARAMS, f"no such tool: {params.name}")
    return await tool.run(ctx, state, params.arguments or {})


def resources() -> list[types.Resource]:
    """What ``resources/list`` offers."""
    notes = [
        types.Resource(
            uri=f"note://{NAME}/{number}",
            name=f"note-{number}",
            title=f"Note {number}",
            description="A note",
            mime_type="text/plain",
            size=len(f"Note {number} of {NAME}"),
            annotations=types.Annotations(audience=["user"], priority=0.5),
        )
        for number in range(1, 6)
    ]
    return [
        *notes,
        types.Resource(uri=f"note://{NAME}/pixel", name="pixel", mime_type="image/png"),
        *state.more_resources,
    ]


async def list_resources(ctx: Any, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
    found, following = page(resources(), params)
    return types.ListResourcesResult(resources=found, next_cursor=following)


async def list_templates(
    ctx: Any, params: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    templates = [
        types.ResourceTemplate(
            uri_template=f"user://{NAME}/{{user}}/profile", name="profile", mime_type="text/plain"
        ),
        types.ResourceTemplate(uri_template=f"file://{NAME}/{{+path}}", name="file", title="Any file"),
        types.ResourceTemplate(uri_template=f"search://{NAME}/find{{?q}}", name="search"),
    ]
    found, following = page(templates, params)
    return types.ListResourceTemplatesResult(resource_templates=found, next_cursor=following)


async def read_resource(ctx: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    uri = str(params.uri)
    if uri == f"note://{NAME}/pixel":
        blob = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PIXEL)
        return types.ReadResourceResult(contents=[blob])
    known = {resource.uri for resource in resources()}
    if uri not in known and not uri.startswith((f"user://{NAME}/", f"file://{NAME}/", f"search://{NAME}/")):
        raise MCPError(-32002, "Resource not found", data={"uri": uri})
    text = types.TextResourceContents(
        uri=uri, mime_type="text/plain", text=f"{uri} of {NAME}", meta={"example.org/read": True}
    )
    return types.ReadResourceResult(contents=[text], meta={"example.org/revision": 7})


async def subscribe(ctx: Any, params: types.SubscribeRequestParams) -> types.EmptyResult:
    state.subscribed.add(str(params.uri))
    return types.EmptyResult()


async def unsubscribe(ctx: Any, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
    state.subscribed.discard(str(params.uri))
    return types.EmptyResult()


async def list_prompts(ctx: Any, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
    who = types.PromptArgument(name="who", description="Whom to greet", required=True)
    mood = types.PromptArgument(name="mood", required=False)
    prompts = [
        types.Prompt(name=f"{NAME}-greet", title="Greet", description="Greets", arguments=[who, mood]),
        types.Prompt(name=f"{NAME}-show", description="Shows every kind of content"),
        types.Prompt(name=f"{NAME}-plain"),
        *state.more_prompts,
    ]
    found, following = page(prompts, params)
    return types.ListPromptsResult(prompts=found, next_cursor=following)


async def get_prompt(ctx: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    given = params.arguments or {}
    embedded = types.EmbeddedResource(
        type="resource", resource=types.TextResourceContents(uri=f"note://{NAME}/1", text="Note 1")
    )
    contents: dict[str, list[Any]] = {
        "greet": [
            types.TextContent(type="text", text=f"Greet {given.get('who')} ({given.get('mood', 'calm')})")
        ],
        "plain": [types.TextContent(type="text", text="Plain")],
        "show": [
            types.TextContent(type="text", text="Text"),
            types.ImageContent(type="image", data=PIXEL, mime_type="image/png"),
            types.AudioContent(type="audio", data="UklGRg==", mime_type="audio/wav"),
            embedded,
        ],
    }
    kind = params.name.removeprefix(f"{NAME}-")
    if kind not in contents:
        raise MCPError(types.INVALID_PARAMS, f"no such prompt: {params.name}")
    messages = [types.PromptMessage(role="user", content=content) for content in contents[kind]]
    return types.GetPromptResult(description=f"The {kind} prompt", messages=messages)


async def complete(ctx: Any, params: types.CompleteRequestParams) -> types.CompleteResult:
    users = ["alice", "albert", "bob"] if "prompt" in params.ref.type else ["ada", "alan", "grace"]
    already = sorted((params.context.arguments or {}) if params.context else {})
    values = [user for user in users if user.startswith(params.argument.value)] + already
    return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))


async def set_level(ctx: Any, params: types.SetLevelRequestParams) -> types.EmptyResult:
    state.level = params.level
    return types.EmptyResult()


async def roots_changed(ctx: Any, params: types.NotificationParams | None) -> None:
    state.roots_changes += 1


def make() -> Server[Any]:
    """The server, to be run over any transport."""
    return Server(
        f"dmcp-test-{NAME}",
        version="1.2.3",
        title="A server with everything",
        instructions="For tests only.",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=subscribe,
        on_unsubscribe_resource=unsubscribe,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_set_logging_level=set_level,
        on_roots_list_changed=roots_changed,
    )


async def main() -> None:
    """Serve until stdin ends."""
    server = make()
    changes = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options(changes))


if __name__ == "__main__":
    anyio.run(main)
