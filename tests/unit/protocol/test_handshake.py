"""The handshake era behind operations: whatever is asked or told comes out of the wire as it went in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmcp.config.model import Timeouts
from dmcp.errors import DownstreamError
from dmcp.protocol import jsonrpc, operations, scan, wire
from dmcp.protocol.eras import handshake
from dmcp.protocol.operations import (
    CallTool,
    Cancelled,
    Complete,
    Elicit,
    ElicitationCompleted,
    GetPrompt,
    Initialized,
    ListChanged,
    ListItems,
    ListRoots,
    LogMessage,
    Ping,
    Progress,
    ReadResource,
    ResourceUpdated,
    RootsChanged,
    Sample,
    SetLogLevel,
    Subscribe,
    Unsubscribe,
)

TEXTS = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)
KNOWN = {
    *("name", "arguments", "uri", "group", "cursor", "ref", "level", "task", "_meta"),
    *("progressToken", "logger", "elicitationId", "requestId", "reason"),
}
EXTRA = st.none() | st.dictionaries(
    TEXTS.filter(lambda key: key not in KNOWN), VALUES, min_size=1, max_size=3
)
MORE = EXTRA.map(lambda extra: extra or {})
KINDS = st.sampled_from(["tools", "resources", "templates", "prompts"])
OPERATIONS = st.one_of(
    st.builds(CallTool, TEXTS, OBJECTS, EXTRA),
    st.builds(ListItems, KINDS, st.none() | TEXTS, st.none(), EXTRA),
    st.builds(ReadResource, TEXTS, st.none(), EXTRA),
    st.builds(Subscribe, TEXTS, st.none(), EXTRA),
    st.builds(Unsubscribe, TEXTS, st.none(), EXTRA),
    st.builds(GetPrompt, TEXTS, st.none(), EXTRA),
    st.builds(
        lambda name, extra: Complete("prompts", name, {"type": "ref/prompt", "name": name}, None, extra),
        TEXTS,
        EXTRA,
    ),
    st.builds(
        lambda uri, extra: Complete("resources", uri, {"type": "ref/resource", "uri": uri}, None, extra),
        TEXTS,
        EXTRA,
    ),
    st.builds(SetLogLevel, st.sampled_from(operations.LOG_LEVELS)),
    st.just(Ping()),
)
FROM_SERVERS = st.one_of(
    st.builds(Progress, st.integers(1, 10**6), MORE),
    st.builds(LogMessage, TEXTS, st.none() | TEXTS, MORE),
    st.builds(ResourceUpdated, TEXTS, MORE),
    st.sampled_from(
        [ListChanged(("tools",)), ListChanged(("resources", "templates")), ListChanged(("prompts",))]
    ),
    st.builds(ElicitationCompleted, TEXTS, MORE),
    st.builds(Cancelled, st.integers() | TEXTS, TEXTS),
)
FROM_CLIENTS = st.one_of(
    st.builds(Progress, st.integers(1, 10**6), MORE),
    st.builds(Cancelled, st.integers(-(2**53), 2**53) | TEXTS, TEXTS),
    st.sampled_from([Initialized(), RootsChanged()]),
)


def plain(value: Any) -> Any:
    """A form with every member decoded."""
    if isinstance(value, tuple):
        parts = [plain(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    return plain(wire.opened(value)) if wire.is_raw(value) else value


def only_extra_kept(news: Any) -> Any:
    """A notification whose other members have to be decoded already."""
    return news._replace(extra=plain(news.extra)) if hasattr(news, "extra") else news


def sent(frame: bytes) -> Any:
    """The message in a frame."""
    wire.use_fast_json()
    return jsonrpc.read(frame)


@given(OPERATIONS, st.booleans(), EXTRA)
def test_an_operation_that_was_sent_is_read_as_the_same(
    operation: operations.Operation, wants_progress: bool, meta: Any
) -> None:
    request = sent(handshake.request(7, operation, wants_progress=wants_progress, meta=meta))
    found = handshake.read_request(request.method, request.params)
    assert type(found.operation) is type(operation)
    assert plain(found.operation) == operation
    assert plain(found.meta) == meta
    assert found.progress_token == (7 if wants_progress else None)


@given(FROM_SERVERS)
def test_a_notification_of_a_server_is_read_as_the_same(news: operations.ServerNotification) -> None:
    note = sent(handshake.notification(news))
    assert only_extra_kept(handshake.read_server_notification(note.method, note.params)) == news


@given(FROM_CLIENTS)
def test_a_notification_of_the_client_is_read_as_the_same(news: operations.ClientNotification) -> None:
    note = sent(handshake.notification(news))
    assert only_extra_kept(handshake.read_client_notification(note.method, note.params)) == news


@pytest.mark.parametrize("form", [ListRoots, Sample, Elicit])
@given(OBJECTS)
def test_a_question_is_read_as_the_same(form: type[operations.Question], params: dict[str, Any]) -> None:
    request = sent(handshake.write_question(3, form(params)))
    found = handshake.read_question(request.method, request.params)
    assert type(found) is form
    assert plain(found) == form(params)
    assert operations.CAPABILITY[form] in ("roots", "sampling", "elicitation")


def test_the_bytes_of_arguments_and_of_unknown_members_are_not_touched() -> None:
    wire.use_fast_json()
    raw = wire.use_fast_json().raw(b'{"a" : 1e400, "b":1.50}')
    frame = handshake.request(1, CallTool("t", raw, {"later": raw}), meta={"trace": raw})
    assert frame.count(b'{"a" : 1e400, "b":1.50}') == 3


@pytest.mark.parametrize(
    ("method", "params", "wrong"),
    [
        ("tools/call", {}, "name must be a string"),
        ("tools/call", {"name": "t", "arguments": []}, "arguments must be an object"),
        ("resources/read", {"uri": 1}, "uri must be a string"),
        ("resources/read", {"uri": "u", "group": 1}, "group must be a string"),
        ("prompts/get", {}, "name must be a string"),
        ("completion/complete", {"ref": {"type": "x"}}, "ref must have the type"),
        ("completion/complete", {"ref": {"type": "ref/prompt"}}, "name must be a string"),
        ("logging/setLevel", {"level": "loud"}, "level must be one of debug"),
        ("tools/unknown", {}, "Method not found: tools/unknown"),
    ],
)
def test_a_request_that_is_none_says_what_is_wrong(method: str, params: dict[str, Any], wrong: str) -> None:
    with pytest.raises(DownstreamError, match=wrong):
        handshake.read_request(method, params)


def test_nothing_but_a_ping_comes_before_initialize() -> None:
    session = handshake.ServerSession()
    assert session.read("ping", {}).operation == Ping()
    with pytest.raises(DownstreamError, match="initialize comes first"):
        session.read("tools/list", {})
    found = session.read("initialize", {"protocolVersion": "2025-11-25"})
    assert isinstance(found.operation, handshake.Initialize)
    session.initialize(found.operation.params)
    assert session.read("tools/list", {}).operation == ListItems("tools")


@pytest.mark.parametrize(
    ("token", "kept"), [(1, 1), ("a", "a"), ("x" * 1025, None), (True, None), (1.5, None), ([], None)]
)
def test_a_progress_token_is_a_number_or_a_short_text(token: Any, kept: Any) -> None:
    found = handshake.read_request("tools/list", {"_meta": {"progressToken": token, "k": 1}})
    assert found.progress_token == kept
    assert found.meta == {"k": 1}


def test_each_kind_of_operation_has_its_own_time_and_most_can_be_repeated() -> None:
    limits = Timeouts(tools=1.0, resources=2.0, prompts=3.0)
    asked: list[operations.Operation] = [
        *(CallTool("t", {}), ListItems("tools"), Ping(), SetLogLevel("info")),
        *(ReadResource("u"), Subscribe("u"), ListItems("templates")),
        *(GetPrompt("p"), ListItems("prompts"), Complete("prompts", "p", {})),
    ]
    assert [operations.timeout_of(one, limits) for one in asked] == [1.0] * 4 + [2.0] * 3 + [3.0] * 3
    assert [operations.is_repeatable(one, {}) for one in asked] == [False, True, False, False] + [True] * 6
    assert operations.is_repeatable(CallTool("t", {}), {"t": {"annotations": {"readOnlyHint": True}}})


def test_a_server_is_asked_for_older_revisions_once_each() -> None:
    assert handshake.next_offer(["2025-11-25"], -32602, "unsupported version") == "2025-06-18"
    assert handshake.next_offer(["2025-11-25"], 0, json.dumps({"supported": ["2024-11-05"]})) == "2024-11-05"
    assert handshake.next_offer(["2025-11-25"], -32601, "no such method") is None
    assert handshake.next_offer([*handshake.REVISIONS], 0, "version") is None


@pytest.mark.parametrize("slowly", [False, True])
def test_what_dmcp_only_passes_on_keeps_its_bytes_in_both_directions(slowly: bool) -> None:
    """Numbers no float holds, spelling, order: decoding and encoding again would change them (``1e400`` to null)."""
    wire.use_fast_json()
    body = b'{"n" : 1e400, "m":1.50,"big":123456789012345678901234567890,"s":"\\u00e9"}'

    def read(method: bytes, params: bytes) -> Any:
        frame = b'{"jsonrpc":"2.0","id":3,"method":"%b","params":%b}' % (method, params)
        return scan.at_once(jsonrpc.read_in_slices(frame)) if slowly else jsonrpc.read_at_once(frame)

    asked = read(
        b"sampling/createMessage", b'{"messages":[%b],"_meta":{"progressToken":5,"k":%b}}' % (body, body)
    )
    question = handshake.read_question(asked.method, asked.params)
    assert question is not None
    assert question.progress_token == 5
    assert handshake.write_question(9, question).count(body) == 2
    note = read(b"notifications/message", b'{"level":"info","data":%b}' % body)
    news = handshake.read_server_notification(note.method, note.params)
    assert isinstance(news, LogMessage)
    assert body in handshake.notification(news._replace(logger="g"))
    request = read(
        b"prompts/get", b'{"name":"p","arguments":%b,"_meta":{"progressToken":5,"k":%b}}' % (body, body)
    )
    found = handshake.read_request(request.method, request.params)
    assert not isinstance(found.operation, handshake.Initialize)
    assert handshake.request(9, found.operation, meta=found.meta).count(body) == (1 if slowly else 2)
