"""The tools of ``sdk_stdio.py``: what each declares, and what it does. Beside it, so that both fit on a page."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass
class State:
    """What the server remembers for as long as its process lives."""

    name: str
    level: str = "none"
    subscribed: set[str] = field(default_factory=set)
    roots_changes: int = 0
    cancelled: int = 0
    calls: int = 0
    more_tools: list[types.Tool] = field(default_factory=list)
    more_resources: list[types.Resource] = field(default_factory=list)
    more_prompts: list[types.Prompt] = field(default_factory=list)


Run = Callable[[Any, State, dict[str, Any]], Awaitable[types.CallToolResult]]


@dataclass(frozen=True)
class Declared:
    """A tool: its declaration and its deed."""

    declared: types.Tool
    run: Run


TOOLS: dict[str, Declared] = {}


def tool(declared: types.Tool) -> Callable[[Run], Run]:
    """Register a tool."""

    def register(run: Run) -> Run:
        TOOLS[declared.name] = Declared(declared, run)
        return run

    return register


def schema(**properties: str) -> dict[str, Any]:
    """The JSON schema of an object; a dialect is named, as many servers do."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
    }


def text(words: str, **more: Any) -> types.CallToolResult:
    """A result of one text."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=words)], **more)


@tool(
    types.Tool(
        name="echo",
        title="Echo",
        description="Gives the text back",
        input_schema=schema(text="string") | {"required": ["text"]},
        annotations=types.ToolAnnotations(title="Echo", read_only_hint=True, open_world_hint=False),
        icons=[types.Icon(src="https://example.org/echo.png", mime_type="image/png", sizes=["48x48"])],
        meta={"example.org/kept": {"deep": [1, None, "x"]}},
    )
)
async def echo(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    return text(str(given["text"]))


@tool(
    types.Tool(
        name="add",
        description="Adds",
        input_schema=schema(a="number", b="number"),
        output_schema={"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]},
        annotations=types.ToolAnnotations(idempotent_hint=True),
    )
)
async def add(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    total = given["a"] + given["b"]
    return text(str(total), structured_content={"sum": total})


@tool(types.Tool(name="contents", description="Every kind of content", input_schema=schema()))
async def contents(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    uri = f"note://{state.name}/1"
    noted = types.Annotations(
        audience=["user", "assistant"], priority=1.0, last_modified="2025-01-12T15:00:58Z"
    )
    return types.CallToolResult(
        content=[
            types.TextContent(
                type="text", text="ünïcödé \u2028 \U0001f600", annotations=noted, meta={"k": 1}
            ),
            types.ImageContent(type="image", data=PIXEL, mime_type="image/png"),
            types.AudioContent(type="audio", data="UklGRg==", mime_type="audio/wav"),
            types.ResourceLink(type="resource_link", uri=uri, name="note-1", mime_type="text/plain"),
            types.EmbeddedResource(
                type="resource", resource=types.TextResourceContents(uri=uri, text="Note")
            ),
            types.EmbeddedResource(
                type="resource", resource=types.BlobResourceContents(uri=uri, blob="AAEC")
            ),
        ],
        structured_content={"nested": {"list": [1, 2.5, None, True]}},
        meta={"example.org/result": "kept"},
    )


@tool(types.Tool(name="fail", description="A tool error", input_schema=schema()))
async def fail(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    return text("It did not work", is_error=True)


@tool(types.Tool(name="refuse", description="A JSON-RPC error", input_schema=schema()))
async def refuse(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    raise MCPError(-32042, "Sign in first", data={"elicitations": [], "hint": ["kept", 1]})


@tool(types.Tool(name="meta", description="The _meta it was called with", input_schema=schema()))
async def meta(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    received = dict((ctx.params or {}).get("_meta") or {})
    return text("see the structured content", structured_content={"meta": received})


@tool(types.Tool(name="progress", description="Reports progress", input_schema=schema(steps="integer")))
async def progress(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    for step in range(1, given["steps"] + 1):
        await ctx.session.report_progress(step, given["steps"], f"step {step}")
    return text("done")


@tool(
    types.Tool(name="sample", description="Asks the client's model", input_schema=schema(question="string"))
)
async def sample(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    content = types.TextContent(type="text", text=given["question"])
    asked = [types.SamplingMessage(role="user", content=content)]
    reply = await ctx.session.create_message(asked, max_tokens=100, system_prompt="Be brief", temperature=0.5)
    return text(f"{reply.model}: {reply.content.text}")


@tool(types.Tool(name="elicit", description="Asks the person with a form", input_schema=schema()))
async def elicit(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    form = {
        "type": "object",
        "properties": {"colour": {"type": "string", "title": "Colour"}},
        "required": ["colour"],
    }
    answer = await ctx.session.elicit_form("Which colour?", form, related_request_id=ctx.request_id)
    return text(f"{answer.action} {answer.content}")


@tool(types.Tool(name="elicit_url", description="Sends the person to a page", input_schema=schema()))
async def elicit_url(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    answer = await ctx.session.elicit_url("Please sign in", "https://example.org/sign-in", "sign-in-1")
    await ctx.session.send_elicit_complete("sign-in-1")
    return text(answer.action)


@tool(types.Tool(name="roots", description="Asks for the client's roots", input_schema=schema()))
async def roots(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    listed = await ctx.session.list_roots()
    return text(" ".join(f"{root.name}={root.uri}" for root in listed.roots))


@tool(types.Tool(name="client", description="What it knows of its client", input_schema=schema()))
async def client(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    told = ctx.session.client_params
    known = {
        "revision": ctx.protocol_version,
        "capabilities": told.capabilities.model_dump(by_alias=True, mode="json", exclude_none=True),
        "name": told.client_info.name,
    }
    return text(ctx.protocol_version, structured_content=known)


@tool(
    types.Tool(
        name="log", description="Writes a log message", input_schema=schema(level="string", words="string")
    )
)
async def log(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    await ctx.session.send_log_message(given.get("level", "info"), {"words": given["words"]}, logger="inner")
    return text("logged")


@tool(types.Tool(name="hang", description="Waits until it is cancelled", input_schema=schema()))
async def hang(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    try:
        await ctx.session.report_progress(1, None, "hanging")
        await anyio.sleep_forever()
    except anyio.get_cancelled_exc_class():
        state.cancelled += 1
        raise
    raise AssertionError("unreachable")


@tool(types.Tool(name="sleep", description="Waits", input_schema=schema(ms="number")))
async def sleep(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    await anyio.sleep(given["ms"] / 1000)
    return text("slept")


@tool(types.Tool(name="blob", description="A text of this size", input_schema=schema(bytes="integer")))
async def blob(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    return text("x" * given["bytes"])


@tool(types.Tool(name="state", description="What it remembers", input_schema=schema()))
async def remembered(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    memory = {
        "level": state.level,
        "subscribed": sorted(state.subscribed),
        "roots_changes": state.roots_changes,
        "cancelled": state.cancelled,
        "calls": state.calls,
        "pid": os.getpid(),
    }
    return text("see the structured content", structured_content=memory)


@tool(types.Tool(name="count", description="Counts its calls", input_schema=schema()))
async def count(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    state.calls += 1
    return text(str(state.calls))


@tool(types.Tool(name="touch", description="Changes a resource", input_schema=schema(uri="string")))
async def touch(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    if given["uri"] in state.subscribed:
        await ctx.session.send_resource_updated(given["uri"])
    return text("touched")


@tool(types.Tool(name="grow", description="Adds to a list and says so", input_schema=schema(what="string")))
async def grow(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    match given["what"]:
        case "tools":
            state.more_tools.append(types.Tool(name=f"new-{len(state.more_tools)}", input_schema=schema()))
            await ctx.session.send_tool_list_changed()
        case "resources":
            uri = f"new://{state.name}/{len(state.more_resources)}"
            state.more_resources.append(types.Resource(uri=uri, name="new"))
            await ctx.session.send_resource_list_changed()
        case _:
            state.more_prompts.append(types.Prompt(name=f"{state.name}-new-{len(state.more_prompts)}"))
            await ctx.session.send_prompt_list_changed()
    return text("grown")


@tool(types.Tool(name="crash", description="Ends the process at once", input_schema=schema(status="integer")))
async def crash(ctx: Any, state: State, given: dict[str, Any]) -> types.CallToolResult:
    os._exit(given.get("status", 3))
