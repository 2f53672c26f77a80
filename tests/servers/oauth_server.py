"""An authorization server and the MCP-like resource it protects, on loopback.

``oauth_process.running`` loads this file anew for each server, so that its state is the server's own, and runs
``serve`` in a thread: a process would take ten times as long to start as most tests need it. It signs everybody in
at once (the authorization endpoint redirects straight back), rotates refresh tokens and revokes the whole family when
one is used twice. ``POST /control`` changes settings while it runs, ``GET /control`` gives the counts. ``/mcp`` is
as little of an MCP server as will do: one tool, JSON answers, no session.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

_SLOW = 30.0  # seconds; every client in the tests gives up long before

DEFAULTS: dict[str, Any] = {
    "lifetime": 3600,  # seconds of an access token; None: not told
    "refresh_tokens": True,
    "certificate": None,  # PEM, its private key included: HTTPS. Only from the start
    "issuer_path": "",
    "token_delay": 0,  # seconds before a token request is answered
    "token_endpoint": None,  # another address than its own
    "authorization_server": None,  # an issuer to name instead of itself
    "resource": "/mcp",  # the `resource` of the metadata: a path, or a whole address
    "scopes_supported": None,
    "server_scopes": None,
    "challenge_scope": None,
    "needed_scope": None,  # /mcp answers 403 to tokens without it
    "name_metadata": True,  # whether the challenge carries resource_metadata
    "named_metadata": None,  # an address to name instead of the right one
    "protected_metadata": True,  # whether there is protected resource metadata
    "server_metadata": "",  # "", "absent", "500", "garbage", "slow", "elsewhere", "huge"
    "claimed_issuer": None,
    "methods": ["none", "client_secret_basic", "client_secret_post"],
    "s256": True,
    "registration": True,
    "documents": False,
    "iss": "right",  # "right", "slash", "wrong", "absent", "promised and absent"
    "refuse": None,  # an error code for the authorization response
    "stray_state": False,  # a callback with a wrong state first
    "token": "",  # "", "500", "garbage", "slow", "html", or an OAuth error code
    "reject_all": False,  # /mcp refuses every token
    "metadata": {},  # members of the server metadata in place of its own; null takes one away
    "metadata_text": None,  # the server metadata as a text of any kind
    "metadata_status": {},  # path prefix -> status of a metadata request
    "protected": {},  # members of the protected resource metadata in place of its own
    "granted": {},  # members of every token answer in place of its own; null takes one away
    "token_answers": {},  # grant -> {"status", "type", "body"} in place of an answer
    "unwanted": [],  # "resource": refused with `unwanted_error`; or a scope: refused with invalid_scope
    "unwanted_error": {"error": "invalid_target"},
    "token_shape": "",  # "form": a form and no JSON; "authed_user": the token in a member, as Slack has it
    "challenge": None,  # the challenge of /mcp, with ADDRESS for that of the metadata
    "metadata_pages": [],  # path prefixes whose metadata is a page with status 200
    "metadata_slow": [],  # path prefixes whose metadata does not come
    "pruned": False,  # /authorize shows an error page to every client registered so far
}


class State:
    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.base = ""
        self.clients: dict[str, dict[str, Any]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.access: dict[str, dict[str, Any]] = {}
        self.refresh: dict[str, dict[str, Any]] = {}
        self.spent: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.last: dict[str, Any] = {}

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    @property
    def issuer(self) -> str:
        return self.base + self.settings["issuer_path"]


state = State()
_TOKEN_FAULTS = {
    "500": Response(status_code=500),
    "garbage": Response(b'{"access_token": ', media_type="application/json"),
    "html": HTMLResponse("<html>welcome to the hotel</html>"),
}


async def control(request: Request) -> Response:
    if request.method == "POST":
        changes = await request.json()
        if changes.pop("revoke", False):
            state.access.clear()
            state.refresh.clear()
        if changes.pop("forget_clients", False):
            state.clients.clear()
        if changes.pop("expire_access", False):
            state.access.clear()
        state.settings.update(changes)
    return JSONResponse({"counts": state.counts, "last": state.last, "clients": list(state.clients)})


async def protected_metadata(request: Request) -> Response:
    state.count("protected_metadata")
    if not state.settings["protected_metadata"]:
        return Response(status_code=404)
    resource = state.settings["resource"]
    document = {
        "resource": state.base + resource if resource.startswith("/") else resource,
        "authorization_servers": [state.settings["authorization_server"] or state.issuer],
    }
    if state.settings["scopes_supported"] is not None:
        document["scopes_supported"] = state.settings["scopes_supported"]
    return JSONResponse(_with(document, state.settings["protected"]))


async def server_metadata(request: Request) -> Response:
    state.count("server_metadata")
    s = state.settings
    return await _metadata_fault(request) or JSONResponse(_with(_metadata(), s["metadata"]))


async def _metadata_fault(request: Request) -> Response | None:
    s, path = state.settings, request.url.path
    if s["server_metadata"] == "slow" or any(path.startswith(start) for start in s["metadata_slow"]):
        await asyncio.sleep(_SLOW)
    faults = {
        "absent": Response(status_code=404),
        "500": Response(status_code=500),
        "garbage": HTMLResponse("<html>welcome to the hotel</html>"),
        "elsewhere": RedirectResponse(str(request.url).replace("127.0.0.1", "localhost"), 302),
        "huge": Response(b" " * (2 * 1024 * 1024), media_type="application/json"),
    }
    fault = faults.get(s["server_metadata"])
    if s["metadata_text"] is not None:
        fault = Response(s["metadata_text"].replace("BASE", state.base), media_type="application/json")
    if any(path.startswith(start) for start in s["metadata_pages"]):
        fault = HTMLResponse("<html>welcome to the hotel</html>")
    status = next((n for start, n in s["metadata_status"].items() if path.startswith(start)), None)
    return fault if status is None else Response(status_code=status)


def _metadata() -> dict[str, Any]:
    s = state.settings
    document = {
        "issuer": s["claimed_issuer"] or state.issuer,
        "authorization_endpoint": f"{state.base}/authorize",
        "token_endpoint": s["token_endpoint"] or f"{state.base}/token",
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": s["methods"],
        "client_id_metadata_document_supported": s["documents"],
        "authorization_response_iss_parameter_supported": s["iss"] == "promised and absent",
    }
    if s["registration"]:
        document["registration_endpoint"] = f"{state.base}/register"
    if s["s256"]:
        document["code_challenge_methods_supported"] = ["S256"]
    if s["server_scopes"] is not None:
        document["scopes_supported"] = s["server_scopes"]
    return document


def _with(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**document, **changes}.items() if value is not None}


async def register(request: Request) -> Response:
    state.count("registrations")
    body = await request.json()
    state.last["registration"] = body
    if not state.settings["registration"]:
        return JSONResponse({"error": "invalid_client_metadata"}, 400)
    client_id = f"client-{secrets.token_hex(4)}"
    method = body["token_endpoint_auth_method"]
    answer = {**body, "client_id": client_id}
    if method != "none":
        answer["client_secret"] = secrets.token_urlsafe(16)
    state.clients[client_id] = answer
    return JSONResponse(answer, 201)


async def authorize(request: Request) -> Response:
    state.count("authorizations")
    query = dict(request.query_params)
    state.last["authorization"] = query
    s = state.settings
    if s["pruned"] and query["client_id"] not in state.clients:
        return HTMLResponse("<html>unknown client</html>", 400)
    answer = {"state": query["state"]}
    issuers = {"right": state.issuer, "slash": f"{state.issuer}/", "wrong": "https://attacker.example"}
    if s["iss"] in issuers:
        answer["iss"] = issuers[s["iss"]]
    if s["stray_state"]:
        s["stray_state"] = False
        await _call_back(query["redirect_uri"], {"state": "of-somebody-else", "code": "stolen"})
    if "resource" in s["unwanted"] and "resource" in query and s["unwanted_error"].get("at_page"):
        answer |= {k: v for k, v in s["unwanted_error"].items() if k != "at_page"}
    elif unwanted := [scope for scope in query.get("scope", "").split() if scope in s["unwanted"]]:
        answer |= {"error": "invalid_scope", "error_description": unwanted[0]}
    elif s["refuse"]:
        answer |= {"error": s["refuse"], "error_description": "because the test says so"}
    else:
        answer["code"] = secrets.token_urlsafe(16)
        state.codes[answer["code"]] = query
    return RedirectResponse(f"{query['redirect_uri']}?{urlencode(answer)}", 302)


async def token(request: Request) -> Response:
    form = dict(parse_qsl((await request.body()).decode()))
    grant = form.get("grant_type", "")
    state.count(f"token:{grant}")
    client, method = _client_of(form, request.headers.get("authorization", ""))
    state.last["token"] = {k: v for k, v in form.items() if k != "client_secret"} | {
        "method": method,
        "client": client,
    }
    await asyncio.sleep(state.settings["token_delay"])
    if (canned := state.settings["token_answers"].get(grant)) is not None:
        return Response(
            canned["body"], canned.get("status", 400), media_type=canned.get("type", "application/json")
        )
    if "resource" in state.settings["unwanted"] and "resource" in form:
        return JSONResponse(
            {k: v for k, v in state.settings["unwanted_error"].items() if k != "at_page"}, 400
        )
    fault = state.settings["token"]
    if fault == "slow":
        await asyncio.sleep(_SLOW)
    if fault:
        return _TOKEN_FAULTS.get(fault) or JSONResponse({"error": fault}, 400)
    if grant == "authorization_code":
        return _for_code(form, client)
    if grant == "refresh_token":
        return _for_refresh(form, client)
    return JSONResponse(_issue(client, form.get("scope", ""), "", refresh=False))


async def mcp(request: Request) -> Response:
    state.count("mcp")
    s = state.settings
    header = state.last["header"] = request.headers.get("authorization", "")
    known = state.access.get(header.removeprefix("Bearer "))
    challenge = "Bearer"
    if s["name_metadata"]:
        address = s["named_metadata"] or f"{state.base}/.well-known/oauth-protected-resource/mcp"
        challenge += f' resource_metadata="{address}",'
    if known is None or s["reject_all"] or (known["expires"] is not None and time.time() > known["expires"]):
        if s["challenge_scope"]:
            challenge += f' scope="{s["challenge_scope"]}",'
        challenge += ' error="invalid_token"' if header else ' realm="test"'
        lines = [challenge]
        if s["challenge"] is not None:
            known_address = f"{state.base}/.well-known/oauth-protected-resource/mcp"
            lines = [line.replace("ADDRESS", known_address) for line in s["challenge"]]
        answer = Response(status_code=401)
        for line in lines:
            answer.headers.append("WWW-Authenticate", line)
        return answer
    if s["needed_scope"] and s["needed_scope"] not in known["scope"].split():
        challenge += f' error="insufficient_scope", scope="{s["needed_scope"]}"'
        return Response(status_code=403, headers={"WWW-Authenticate": challenge})
    if request.method == "POST" and (message := await request.body()):
        return _mcp_answer(json.loads(message))
    return JSONResponse({"scope": known["scope"]}, 200 if request.method == "POST" else 405)


def _mcp_answer(message: dict[str, Any]) -> Response:
    if "id" not in message:
        return Response(status_code=202)
    tool = {"name": "whoami", "inputSchema": {"type": "object"}}
    results = {
        "initialize": {
            "protocolVersion": message.get("params", {}).get("protocolVersion"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "guarded", "version": "1"},
        },
        "tools/list": {"tools": [tool]},
        "prompts/get": {"messages": []},
        "resources/read": {"contents": []},
        "tools/call": {"content": [{"type": "text", "text": "somebody who signed in"}]},
    }
    return JSONResponse({"jsonrpc": "2.0", "id": message["id"], "result": results.get(message["method"], {})})


def _for_code(form: dict[str, str], client: str) -> Response:
    query = state.codes.pop(form.get("code", ""), None)
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if query is None or query["code_challenge"] != proof or query["redirect_uri"] != form.get("redirect_uri"):
        return JSONResponse({"error": "invalid_grant"}, 400)
    if query["client_id"] != client or query.get("resource") != form.get("resource"):
        return JSONResponse({"error": "invalid_target"}, 400)
    return _token_response(_issue(client, query.get("scope", ""), secrets.token_hex(4)))


def _for_refresh(form: dict[str, str], client: str) -> Response:
    old = form.get("refresh_token", "")
    if old in state.spent:
        # Used twice: somebody has stolen it, so that everything that came from it ends.
        state.count("reuses")
        family = state.spent[old]
        state.refresh = {k: v for k, v in state.refresh.items() if v["family"] != family}
        state.access = {k: v for k, v in state.access.items() if v["family"] != family}
    known = state.refresh.pop(old, None)
    if known is None or known["client"] != client:
        return JSONResponse({"error": "invalid_grant"}, 400)
    state.spent[old] = known["family"]
    return _token_response(_issue(client, known["scope"], known["family"]))


def _token_response(answer: dict[str, Any]) -> Response:
    match state.settings["token_shape"]:
        case "form":
            return Response(urlencode(answer), media_type="application/x-www-form-urlencoded")
        case "authed_user":
            return JSONResponse(
                {"ok": True, "access_token": None, "team": {"id": "T1"}, "authed_user": answer}
            )
    return JSONResponse(answer)


def _issue(client: str, scope: str, family: str, *, refresh: bool = True) -> dict[str, Any]:
    lifetime = state.settings["lifetime"]
    access, renewal = f"at-{secrets.token_urlsafe(16)}", f"rt-{secrets.token_urlsafe(16)}"
    expires = None if lifetime is None else time.time() + lifetime
    state.access[access] = {"scope": scope, "family": family, "expires": expires}
    answer: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "scope": scope}
    if lifetime is not None:
        answer["expires_in"] = lifetime
    if refresh and state.settings["refresh_tokens"]:
        state.refresh[renewal] = {"scope": scope, "family": family, "client": client}
        answer["refresh_token"] = renewal
    return _with(answer, state.settings["granted"])


def _client_of(form: dict[str, str], header: str) -> tuple[str, str]:
    if header.startswith("Basic "):
        client, _, _ = base64.b64decode(header[6:]).decode().partition(":")
        return unquote(client), "client_secret_basic"
    if assertion := form.get("client_assertion"):
        payload = assertion.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        state.last["assertion"] = claims
        return claims["sub"], "private_key_jwt"
    return form.get("client_id", ""), "client_secret_post" if "client_secret" in form else "none"


async def _call_back(redirect_uri: str, answer: dict[str, str]) -> None:
    host, _, rest = redirect_uri.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    writer.write(f"GET /{rest}?{urlencode(answer)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    state.last["stray_answer"] = (await reader.readline()).decode()
    writer.close()
    await writer.wait_closed()


_METADATA = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/{rest:path}",
    "/.well-known/openid-configuration",
)
app = Starlette(
    routes=[
        Route("/control", control, methods=["GET", "POST"]),
        Route("/.well-known/oauth-protected-resource/mcp", protected_metadata),
        *(Route(path, server_metadata) for path in _METADATA),
        Route("/register", register, methods=["POST"]),
        Route("/authorize", authorize),
        Route("/token", token, methods=["POST"]),
        Route("/mcp", mcp, methods=["GET", "POST"]),
    ]
)


async def serve(settings: dict[str, Any], ready: Callable[[str, Callable[[], None]], None]) -> None:
    """Serve until told to stop; what is not answered by then never is.

    Args:
        settings: what differs from ``DEFAULTS``.
        ready: called with the base address and with what stops the server, from any thread, once it listens.
    """
    state.settings = DEFAULTS | settings
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    certificate = state.settings["certificate"]
    state.base = f"{'https' if certificate else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        app, log_level="critical", lifespan="off", ssl_certfile=certificate, date_header=False
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    server.force_exit = True
    await server.startup([listener])
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    ready(state.base, lambda: loop.call_soon_threadsafe(stopped.set) and None)
    await stopped.wait()
    await server.shutdown([listener])
