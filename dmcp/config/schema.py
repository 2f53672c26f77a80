"""The configuration file's own shape: every key, its type, what it is for.

``dmcp.config.problems`` checks a file against these types and says all that is wrong; the JSON schema for editors is
made from them too. msgspec's own reading stops at the first mistake, and pydantic takes 30 ms and 9 MB to be imported.
Not here: filling in references, and the configuration the rest of dmcp sees (``dmcp.config.model``).
"""

from __future__ import annotations

import re
from functools import cache
from inspect import cleandoc
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta, field, inspect

from dmcp.config import durations, sizes
from dmcp.config.model import (
    LISTING_BUDGET,
    Features,
    Limits,
    Part,
    RestartPolicy,
    Text,
    Timeouts,
)

REFERENCES: Final = "References such as `${VAR}` and `${VAR:-default}` are filled in from the environment."
_TIMEOUTS: Final = Timeouts()
_RESTART: Final = RestartPolicy()
_LIMITS: Final = Limits()
_LEAST_SIZE: Final = 1024  # bytes: `initialize` would not pass with less
_LARGEST_SIZE: Final = 1024 * 1024 * 1024  # bytes
_LEAST_BUDGET: Final = 2000  # characters: less has no room for what is said around a tool
_LARGEST_BUDGET: Final = 1_000_000

# Members of ``Meta.extra``, for what checks a value:
READS: Final = "reads"
"""What makes the value of what is written, or raises ``ValueError`` with a predicate. ``None`` is left alone."""
FAULT: Final = "fault"
"""A predicate for a text that does not match its pattern."""
CHOOSE: Final = "choose"
"""Returns which of several parts a value is held against."""


def _size(value: object) -> int | None:
    found = sizes.size(value)
    if found is not None and found < _LEAST_SIZE:
        raise ValueError(f"is too small: the least is {_LEAST_SIZE}")
    if found is not None and found > _LARGEST_SIZE:
        raise ValueError(f"is too large: the most is {_LARGEST_SIZE}")
    return found


def _inherited(value: Any) -> Any:
    """Check what ``inherit_env`` says; a list becomes a tuple."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, list):
        raise ValueError("must be true, false or a list of names of environment variables")  # noqa: TRY004 - a file's fault
    if not all(isinstance(name, str) and re.fullmatch(_VARIABLE, name) for name in value):
        raise ValueError("must hold names of environment variables; patterns such as A* are not understood")
    return tuple(value)


def _lasts(default: float | None, text: str) -> Meta:
    number = {"type": "number", "exclusiveMinimum": 0}
    usual = None if default is None else durations.format_duration(default)
    return _read(durations.seconds, usual, text, durations.SPELLING, number)


def _measures(default: int, text: str) -> Meta:
    number = {"type": "integer", "minimum": _LEAST_SIZE, "maximum": _LARGEST_SIZE}
    return _read(_size, sizes.format_size(default), text, sizes.SPELLING, number)


def _read(read: Any, default: str | None, text: str, spelling: str, number: dict[str, Any]) -> Meta:
    kinds = [{"type": "string", "pattern": spelling}, number, {"type": "null"}]
    usual = {} if default is None else {"default": default}
    return Meta(description=text, extra={READS: read}, extra_json_schema={"anyOf": kinds, **usual})


def _inherits(text: str, *, null: bool = False) -> Meta:
    names = {"type": "array", "items": {"type": "string", "pattern": f"^{_VARIABLE}$"}}
    kinds = [{"type": "boolean"}, names, *([{"type": "null"}] if null else [])]
    return Meta(description=text, extra={READS: _inherited}, extra_json_schema={"anyOf": kinds})


def _about(text: str, **more: Any) -> Meta:
    return Meta(description=text, extra_json_schema=more or None)


def _kind(entry: Any) -> type[StdioPart | RemotePart]:
    """Return which of the two shapes an entry is held against. With both keys it is a stdio one too many."""
    if not isinstance(entry, dict) or "command" in entry:
        return StdioPart
    return RemotePart if "url" in entry or entry.get("type") in ("http", "sse") else StdioPart


_VARIABLE: Final = r"[^=*?\s\x00]+"
_BLANK: Final = "is blank: say in a sentence what the server is good for"
_PATH: Final = "must begin with / and hold letters, digits and ._~/- only"
Startup = Literal["eager", "lazy"]
Port = Annotated[int, Meta(ge=1, le=65535)]
Budget = Annotated[int, Meta(ge=_LEAST_BUDGET, le=_LARGEST_BUDGET)]


class TimeoutPart(Part, frozen=True):
    """How long dmcp waits for the server: "30s", "500ms", "2m", "1min", "1h" or a number of seconds."""

    tools: Annotated[float | None, _lasts(_TIMEOUTS.tools, "For a tool call.")] = None
    resources: Annotated[float | None, _lasts(_TIMEOUTS.resources, "For a resource request.")] = None
    prompts: Annotated[float | None, _lasts(_TIMEOUTS.prompts, "For a prompt request.")] = None
    connect: Annotated[
        float | None,
        _lasts(
            _TIMEOUTS.connect,
            "For the start, up to the answer to `initialize`; half of it for a connection over HTTP.",
        ),
    ] = None


class RestartPart(Part, frozen=True):
    """When a server that failed is started again."""

    intensity: Annotated[int, Meta(ge=1), _about("Failures within `period` before the server is parked.")] = (
        _RESTART.intensity
    )
    period: Annotated[float | None, _lasts(_RESTART.period, "The window in which failures are counted.")] = (
        None
    )
    backoff_min: Annotated[
        float | None, _lasts(_RESTART.backoff_min, "The first delay; each further failure doubles it.")
    ] = None
    backoff_max: Annotated[float | None, _lasts(_RESTART.backoff_max, "The longest delay.")] = None

    def fault(self) -> str | None:
        """See ``Part``."""
        if (self.backoff_min or _RESTART.backoff_min) > (self.backoff_max or _RESTART.backoff_max):
            return "has a backoff_min longer than its backoff_max: swap them, or give both"
        return None


class LimitsPart(Part, frozen=True):
    """What the server may make grow. Beyond a limit its own call or listing fails, and nobody else notices.

    Sizes: "64MiB", "512KiB", "8MB", "900kB" or a number of bytes. A key that is absent has the value of the file's own
    `limits`.
    """

    frame: Annotated[int | None, _measures(_LIMITS.frame, "One message of the server, uncompressed.")] = None
    listing_entries: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        _about("Entries of one listing (tools, prompts, ...).", default=_LIMITS.listing_entries),
    ] = None
    listing_bytes: Annotated[
        int | None, _measures(_LIMITS.listing_bytes, "One listing, all its pages together.")
    ] = None
    server_requests: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)] | None,
        _about(
            "Requests of the server (sampling, elicitation, roots) that wait for the client at the same time.",
            default=_LIMITS.server_requests,
        ),
    ] = None
    notifications: Annotated[
        Annotated[float, Meta(ge=1, le=100_000)] | None,
        _about(
            "Notifications a second that are passed on; bursts of five times as many pass.",
            default=_LIMITS.notifications,
        ),
    ] = None
    call_time: Annotated[
        float | None,
        _lasts(
            None, "How long one call may take, whatever progress it reports; ten times its timeout if absent."
        ),
    ] = None


class ToolsPart(Part, frozen=True):
    """Which tools are switched on: names, or globs such as `read_*`."""

    include: Annotated[tuple[Text, ...], _about("Only these tools; all of them if empty.")] = ()
    exclude: Annotated[tuple[Text, ...], _about("Not these tools, even if `include` names them.")] = ()
    direct: Annotated[
        tuple[Text, ...] | None,
        _about(
            "Show these tools under their own names too, beside dmcp's two; the file's own `tools.direct` if absent."
        ),
    ] = None


class AllToolsPart(Part, frozen=True):
    """How the tools of all servers are shown to the client."""

    direct: Annotated[
        tuple[Text, ...],
        _about("The default of every server's `tools.direct`."),
    ] = ()


class OAuthPart(Part, frozen=True):
    """How to sign in to a remote server. All optional: discovery and registration fill the gaps."""

    client_id: Annotated[Text | None, _about(f"The id of a registered client. {REFERENCES}")] = None
    client_secret: Annotated[Text | None, _about(f"Its secret. {REFERENCES}")] = None
    scopes: Annotated[tuple[Text, ...] | None, _about(f"The scopes to ask for. {REFERENCES}")] = None
    client_metadata_url: Annotated[
        Text | None, _about(f"The https address of a client id metadata document. {REFERENCES}")
    ] = None
    redirect_port: Annotated[
        Port | None, _about("The port the browser returns to; any free one if absent.")
    ] = None
    redirect_host: Annotated[
        Literal["127.0.0.1", "localhost"],
        _about("The host of the address the browser returns to, as your client is registered with it."),
    ] = "127.0.0.1"
    redirect_path: Annotated[
        str,
        Meta(pattern=r"^/[A-Za-z0-9._~/-]*$", max_length=200, extra={FAULT: _PATH}),
        _about("The path of that address."),
    ] = "/callback"
    issuer: Annotated[
        Text | None,
        _about(
            "The address of its authorization server. No other is signed in at, or shown your client id and "
            f"secret; the first one seen if absent. {REFERENCES}"
        ),
    ] = None
    resource: Annotated[
        bool | Text | None,
        _about(
            "The `resource` parameter (RFC 8707): `true` sends it always, `false` never, a text sends that. "
            f"Sent until the authorization server refuses it if absent. {REFERENCES}"
        ),
    ] = None
    assume_pkce: Annotated[
        bool,
        _about("Sign in at an authorization server that does not say that it does PKCE. It may ignore it."),
    ] = False
    grant: Annotated[
        Literal["authorization_code", "client_credentials"],
        _about("Sign-in by a person, or by the client's own credentials."),
    ] = "authorization_code"
    token_endpoint_auth_method: Annotated[
        Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"] | None,
        _about("How the client proves itself; what the server offers if absent."),
    ] = None
    private_key_file: Annotated[
        Text | None, _about(f"A PEM file with the key for `private_key_jwt`. {REFERENCES}")
    ] = None

    def fault(self) -> str | None:
        """See ``Part``."""
        method = self.token_endpoint_auth_method
        if method == "private_key_jwt" and self.private_key_file is None:
            return "uses private_key_jwt: add private_key_file"
        if method in ("client_secret_basic", "client_secret_post") and self.client_secret is None:
            return f"uses {method}: add client_secret"
        if self.grant == "client_credentials":
            if self.client_id is None and self.client_metadata_url is None:
                return "uses the grant client_credentials: add client_id"
            if self.client_secret is None and self.private_key_file is None:
                return "uses the grant client_credentials: add client_secret or private_key_file"
        return None


class ServerPart(Part, frozen=True, kw_only=True):
    """What every server has, wherever it runs."""

    description: Annotated[
        str,
        Meta(pattern=r"\S", extra={FAULT: _BLANK}),
        _about("What the server is good for, in a sentence: the assistant chooses by it."),
    ]
    enabled: Annotated[bool, _about("Whether the server takes part at all.")] = True
    features: Annotated[
        Features,
        _about("Which parts of the server the client may see, and what it may ask of the client."),
    ] = Features()
    timeout: Annotated[TimeoutPart, _about("How long dmcp waits for the server.")] = TimeoutPart()
    restart: Annotated[RestartPart, _about("When the server is started again after a failure.")] = (
        RestartPart()
    )
    tools: Annotated[ToolsPart, _about("Which of its tools are switched on, and how they are shown.")] = (
        ToolsPart()
    )
    expose: Annotated[
        Literal["dynamic", "direct"] | None,
        _about(
            "`direct` shows all its tools under their own names, and leaves the server out of dmcp's two "
            "tools; `dynamic` shows it there, whatever the file's own `tools` say."
        ),
    ] = None
    limits: Annotated[
        LimitsPart, _about("What the server may make grow; the file's own `limits` if absent.")
    ] = LimitsPart()
    startup: Annotated[
        Startup | None,
        _about(
            "`eager` starts the server with dmcp, `lazy` at its first use; the file's own `startup` if absent."
        ),
    ] = None
    idle_stop: Annotated[
        float | None,
        _lasts(None, "Stop the server after this long without use, until its next use. Never if absent."),
    ] = None
    listing_budget: Annotated[
        Budget | None,
        _about(
            "Characters of one answer of `get_dynamic_tools`: what does not fit is shown in less detail, and then in "
            "pages; the file's own `listing_budget` if absent."
        ),
    ] = None


class StdioPart(ServerPart, frozen=True, kw_only=True):
    """A local server: a command that dmcp starts and talks to over its stdin and stdout."""

    type: Annotated[Literal["stdio"] | None, _about("May be left out: `command` says it.")] = None
    command: Annotated[Text, _about(f"The program to start. {REFERENCES}")]
    args: Annotated[tuple[str, ...] | None, _about(f"Its arguments. {REFERENCES}")] = None
    env: Annotated[
        dict[Text, str] | None,
        _about(f"Variables added to the environment dmcp runs in. {REFERENCES}"),
    ] = None
    cwd: Annotated[
        Text | None,
        _about(
            "The directory to start it in, a relative one as seen from this file; dmcp's own if absent. "
            f"{REFERENCES}"
        ),
    ] = None
    inherit_env: Annotated[
        bool | tuple[str, ...] | None,
        _inherits(
            "What of the environment dmcp runs in it gets: `true`, all but what only other servers refer to; "
            "`false`, the least a program needs; a list, that and these; the file's own `inherit_env` if absent.",
            null=True,
        ),
    ] = None


class RemotePart(ServerPart, frozen=True, kw_only=True):
    """A remote server, reached over HTTP."""

    type: Annotated[
        Literal["http", "sse"] | None,
        _about("`http` is Streamable HTTP, `sse` the older HTTP+SSE; if absent, `http` is tried first."),
    ] = None
    url: Annotated[Text, _about(f"Its http or https address. {REFERENCES}")]
    headers: Annotated[dict[Text, str] | None, _about(f"Headers sent with every request. {REFERENCES}")] = (
        None
    )
    oauth: Annotated[
        OAuthPart, _about("How to sign in. All optional: discovery and registration fill the gaps.")
    ] = OAuthPart()
    oauth_client_id: Annotated[Text | None, _about("The older spelling of `oauth.client_id`.")] = None
    oauth_scopes: Annotated[tuple[Text, ...] | None, _about("The older spelling of `oauth.scopes`.")] = None

    def fault(self) -> str | None:
        """See ``Part``."""
        for old, new in (("oauth_client_id", "client_id"), ("oauth_scopes", "scopes")):
            if getattr(self, old) is not None and getattr(self.oauth, new) is not None:
                return f"has both {old} and oauth.{new}: keep one of them"
        return None


_EITHER: Final = [{"$ref": f"#/$defs/{part.__name__}"} for part in (StdioPart, RemotePart)]
if TYPE_CHECKING:
    AnyServer = StdioPart | RemotePart
else:  # msgspec tells parts apart by a value that they have in common, and these have none
    AnyServer = Annotated[Any, Meta(extra={CHOOSE: _kind}, extra_json_schema={"oneOf": _EITHER})]


class ConfigurationFile(Part, frozen=True, kw_only=True):
    """The configuration of dmcp: the MCP servers it stands in front of."""

    mcpServers: Annotated[  # noqa: N815 - the key's name in every coding tool
        dict[Text, AnyServer], _about("The servers, by the name the assistant calls them.")
    ]
    schema_: Annotated[str | None, _about("Where editors find this schema; dmcp ignores it.")] = field(
        name="$schema", default=None
    )
    startup: Annotated[Startup, _about("The default of every server's `startup`.")] = "eager"
    listing_budget: Annotated[Budget, _about("The default of every server's `listing_budget`.")] = (
        LISTING_BUDGET
    )
    limits: Annotated[LimitsPart, _about("The default of every server's `limits`, key by key.")] = (
        LimitsPart()
    )
    inherit_env: Annotated[
        bool | tuple[str, ...], _inherits("The default of every local server's `inherit_env`.")
    ] = True
    tools: Annotated[AllToolsPart, _about("How the tools of all servers are shown.")] = AllToolsPart()
    oauth_store: Annotated[
        Literal["file", "keyring"],
        _about(
            "Where tokens are kept: in files only you can read, or in the keyring of the system "
            "(needs the extra `keyring`)."
        ),
    ] = "file"


@cache
def type_of(part: type[Part]) -> inspect.StructType:
    """Return what msgspec says of the types of a part."""
    found = inspect.type_info(part)
    assert isinstance(found, inspect.StructType)  # noqa: S101 - each part is one
    return found


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a configuration file; the same on every call."""
    named: dict[str, Any] = {}
    for part in (ConfigurationFile, StdioPart, RemotePart):
        _schema(type_of(part), named)
    whole = named.pop(ConfigurationFile.__name__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dmcp configuration",
        "$defs": dict(sorted(named.items())),
        **whole,
    }


_NAMES: Final = {
    inspect.BoolType: "boolean",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.StrType: "string",
    inspect.NoneType: "null",
    inspect.LiteralType: "string",
    inspect.VarTupleType: "array",
    inspect.DictType: "object",
}
_BOUNDS: Final = {
    "ge": "minimum",
    "le": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
}


def _schema(kind: inspect.Type, named: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type, and put those of parts among the named ones."""
    found: dict[str, Any] = {"type": _NAMES.get(type(kind))}
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=more):
            found = {**_schema(inner, named), **(more or {})}
        case inspect.StructType(cls=part):
            if part.__name__ not in named:
                named[part.__name__] = _part_schema(kind, named)
            found = {"$ref": f"#/$defs/{part.__name__}"}
        case inspect.UnionType(types=types):
            found = {"anyOf": [_schema(one, named) for one in types]}
        case inspect.LiteralType(values=values):
            found |= {"enum": list(values)} if values[1:] else {"const": values[0]}
        case inspect.VarTupleType(item_type=inner):
            found["items"] = _schema(inner, named)
        case inspect.DictType(key_type=key, value_type=inner):
            if getattr(key, "min_length", None):
                found["propertyNames"] = {"minLength": 1}
            found["additionalProperties"] = _schema(inner, named)
        case inspect.AnyType():
            found = {}
    bounds = {said: getattr(kind, name, None) for name, said in _BOUNDS.items()}
    return found | {name: one for name, one in bounds.items() if one is not None}


def _part_schema(kind: inspect.StructType, named: dict[str, Any]) -> dict[str, Any]:
    members = {}
    for one in kind.fields:
        usual: Any = (
            [] if one.default == () else one.default if isinstance(one.default, bool | int | str) else None
        )
        members[one.encode_name] = {
            **({} if usual is None else {"default": usual}),
            **_schema(one.type, named),
        }
    required = [one.encode_name for one in kind.fields if one.required]
    return {
        "type": "object",
        "description": cleandoc(kind.cls.__doc__ or ""),
        "properties": members,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }
