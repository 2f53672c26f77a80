"""The configuration file's own shape: every key, its type, what it is for.

These models check one file strictly and give the JSON schema for editors. Importing this module imports
pydantic, so only ``dmcp.config.loading`` and the commands do, and late. Not here: filling in references, and the
configuration the rest of dmcp sees (``dmcp.config.model``).
"""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)

from dmcp.config import sizes
from dmcp.config.durations import SPELLING, seconds, spell
from dmcp.config.model import DIRECT_BUDGET, Limits, RestartPolicy, Timeouts

REFERENCES: Final = "References such as `${VAR}` and `${VAR:-default}` are filled in from the environment."
_TIMEOUTS: Final = Timeouts()
_RESTART: Final = RestartPolicy()
_LIMITS: Final = Limits()
_LEAST_SIZE: Final = 1024  # bytes: `initialize` would not pass with less
_LARGEST_SIZE: Final = 1024 * 1024 * 1024  # bytes

Duration = Annotated[
    float | None,
    BeforeValidator(seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": SPELLING},
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "null"},
            ]
        }
    ),
]
Size = Annotated[
    int | None,
    Field(ge=_LEAST_SIZE, le=_LARGEST_SIZE),
    BeforeValidator(sizes.size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": sizes.SPELLING},
                {"type": "integer", "minimum": _LEAST_SIZE, "maximum": _LARGEST_SIZE},
                {"type": "null"},
            ]
        }
    ),
]


def _inherited(value: Any) -> Any:
    """Check what ``inherit_env`` says; a list becomes a tuple."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, list):
        raise ValueError("must be true, false or a list of names of environment variables")  # noqa: TRY004 - pydantic's rule
    if not all(isinstance(name, str) and re.fullmatch(_VARIABLE, name) for name in value):
        raise ValueError("must hold names of environment variables; patterns such as A* are not understood")
    return tuple(value)


_VARIABLE: Final = r"[^=*?\s\x00]+"
_INHERITED: Final = {
    "anyOf": [
        {"type": "boolean"},
        {"type": "array", "items": {"type": "string", "pattern": f"^{_VARIABLE}$"}},
    ]
}
InheritEnv = Annotated[bool | tuple[str, ...], BeforeValidator(_inherited), WithJsonSchema(_INHERITED)]
Text = Annotated[str, StringConstraints(min_length=1)]
Description = Annotated[str, StringConstraints(pattern=r"\S")]
Startup = Literal["eager", "lazy"]
_METHODS: Final = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
AuthMethod = Annotated[
    Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
    # Spelt out, because typing caches unions by the set of their literals: another library's order would be ours.
    WithJsonSchema({"type": "string", "enum": _METHODS}),
]


def _lasts(default: float | None, text: str) -> Any:
    shown = None if default is None else spell(default)
    return Field(default=None, description=text, json_schema_extra={"default": shown})


def _measures(default: int, text: str) -> Any:
    return Field(default=None, description=text, json_schema_extra={"default": sizes.spell(default)})


def _counts(default: float, text: str, *, least: float, most: float) -> Any:
    # None is "the default of the file", which may have `limits` of its own at the top.
    return Field(default=None, ge=least, le=most, description=text, json_schema_extra={"default": default})


class Part(BaseModel):
    """What all parts of the file have in common: no unknown key, no value of another type."""

    # Built when first used: of the ten models only the outermost ever validates anything.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class FeaturesPart(Part):
    """Which parts of a server the client may see, and what the server may ask of the client."""

    tools: bool = Field(default=True, description="Show the server's tools.")
    resources: bool = Field(default=True, description="Show the server's resources and resource templates.")
    prompts: bool = Field(default=True, description="Show the server's prompts.")
    sampling: bool = Field(default=True, description="Let the server ask the client's model (sampling).")
    elicitation: bool = Field(default=True, description="Let the server ask you something (elicitation).")
    roots: bool = Field(default=True, description="Let the server ask which folders the client works in.")


class TimeoutPart(Part):
    """How long dmcp waits for the server: "30s", "500ms", "2m", "1min", "1h" or a number of seconds."""

    tools: Duration = _lasts(_TIMEOUTS.tools, "For a tool call.")
    resources: Duration = _lasts(_TIMEOUTS.resources, "For a resource request.")
    prompts: Duration = _lasts(_TIMEOUTS.prompts, "For a prompt request.")
    connect: Duration = _lasts(
        _TIMEOUTS.connect,
        "For the start, up to the answer to `initialize`; half of it for a connection over HTTP.",
    )


class RestartPart(Part):
    """When a server that failed is started again."""

    intensity: int = Field(
        default=_RESTART.intensity, ge=1, description="Failures within `period` before the server is parked."
    )
    period: Duration = _lasts(_RESTART.period, "The window in which failures are counted.")
    backoff_min: Duration = _lasts(_RESTART.backoff_min, "The first delay; each further failure doubles it.")
    backoff_max: Duration = _lasts(_RESTART.backoff_max, "The longest delay.")

    @model_validator(mode="after")
    def _ordered(self) -> "RestartPart":
        if (self.backoff_min or _RESTART.backoff_min) > (self.backoff_max or _RESTART.backoff_max):
            raise ValueError("has a backoff_min longer than its backoff_max: swap them, or give both")
        return self


class LimitsPart(Part):
    """What the server may make grow. Beyond a limit its own call or listing fails, and nobody else notices.

    Sizes: "64MiB", "512KiB", "8MB", "900kB" or a number of bytes. A key that is absent has the value of the file's own
    `limits`.
    """

    frame: Size = _measures(_LIMITS.frame, "One message of the server, uncompressed.")
    listing_entries: int | None = _counts(
        _LIMITS.listing_entries, "Entries of one listing (tools, prompts, ...).", least=1, most=1_000_000
    )
    listing_bytes: Size = _measures(_LIMITS.listing_bytes, "One listing, all its pages together.")
    server_requests: int | None = _counts(
        _LIMITS.server_requests,
        "Requests of the server (sampling, elicitation, roots) that wait for the client at the same time.",
        least=0,
        most=10_000,
    )
    notifications: float | None = _counts(
        _LIMITS.notifications,
        "Notifications a second that are passed on; bursts of five times as many pass.",
        least=1,
        most=100_000,
    )
    call_time: Duration = Field(
        default=None,
        description="How long one call may take, whatever progress it reports; ten times its timeout if absent.",
    )


class ToolsPart(Part):
    """Which tools are switched on: names, or globs such as `read_*`."""

    include: list[Text] = Field(default=[], description="Only these tools; all of them if empty.")
    exclude: list[Text] = Field(default=[], description="Not these tools, even if `include` names them.")
    direct: list[Text] | None = Field(
        default=None,
        description="Show these tools under their own names too, beside dmcp's two; "
        "the file's own `tools.direct` if absent.",
    )


class AllToolsPart(Part):
    """How the tools of all servers are shown to the client."""

    direct: Literal["auto"] | list[Text] = Field(
        default=[],
        description="The default of every server's `tools.direct`; `auto` chooses the tools that were used most in "
        "this directory.",
    )
    budget: Annotated[int, Field(ge=100, le=100_000)] = Field(
        default=DIRECT_BUDGET,
        description="Tokens that the definitions chosen by `auto` may have together.",
    )


class OAuthPart(Part):
    """How to sign in to a remote server. All optional: discovery and registration fill the gaps."""

    client_id: Text | None = Field(default=None, description=f"The id of a registered client. {REFERENCES}")
    client_secret: Text | None = Field(default=None, description=f"Its secret. {REFERENCES}")
    scopes: list[Text] | None = Field(default=None, description=f"The scopes to ask for. {REFERENCES}")
    client_metadata_url: Text | None = Field(
        default=None, description=f"The https address of a client id metadata document. {REFERENCES}"
    )
    redirect_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="The port the browser returns to; any free one if absent."
    )
    redirect_host: Literal["127.0.0.1", "localhost"] = Field(
        default="127.0.0.1",
        description="The host of the address the browser returns to, as your client is registered with it.",
    )
    redirect_path: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~/-]*$", max_length=200)] = Field(
        default="/callback", description="The path of that address."
    )
    issuer: Text | None = Field(
        default=None,
        description="The address of its authorization server. No other is signed in at, or shown your client id and "
        f"secret; the first one seen if absent. {REFERENCES}",
    )
    resource: bool | Text | None = Field(
        default=None,
        description="The `resource` parameter (RFC 8707): `true` sends it always, `false` never, a text sends that. "
        f"Sent until the authorization server refuses it if absent. {REFERENCES}",
    )
    assume_pkce: bool = Field(
        default=False,
        description="Sign in at an authorization server that does not say that it does PKCE. It may ignore it.",
    )
    grant: Literal["authorization_code", "client_credentials"] = Field(
        default="authorization_code", description="Sign-in by a person, or by the client's own credentials."
    )
    token_endpoint_auth_method: AuthMethod | None = Field(
        default=None, description="How the client proves itself; what the server offers if absent."
    )
    private_key_file: Text | None = Field(
        default=None, description=f"A PEM file with the key for `private_key_jwt`. {REFERENCES}"
    )

    @model_validator(mode="after")
    def _complete(self) -> "OAuthPart":
        method = self.token_endpoint_auth_method
        if method == "private_key_jwt" and self.private_key_file is None:
            raise ValueError("uses private_key_jwt: add private_key_file")
        if method in ("client_secret_basic", "client_secret_post") and self.client_secret is None:
            raise ValueError(f"uses {method}: add client_secret")
        if self.grant == "client_credentials":
            if self.client_id is None and self.client_metadata_url is None:
                raise ValueError("uses the grant client_credentials: add client_id")
            if self.client_secret is None and self.private_key_file is None:
                raise ValueError("uses the grant client_credentials: add client_secret or private_key_file")
        return self


class ServerPart(Part):
    """What every server has, wherever it runs."""

    description: Description = Field(
        description="What the server is good for, in a sentence: the assistant chooses by it."
    )
    enabled: bool = Field(default=True, description="Whether the server takes part at all.")
    features: FeaturesPart = Field(
        default_factory=FeaturesPart,
        description="Which parts of the server the client may see, and what it may ask of the client.",
    )
    timeout: TimeoutPart = Field(
        default_factory=TimeoutPart, description="How long dmcp waits for the server."
    )
    restart: RestartPart = Field(
        default_factory=RestartPart, description="When the server is started again after a failure."
    )
    tools: ToolsPart = Field(
        default_factory=ToolsPart, description="Which of its tools are switched on, and how they are shown."
    )
    expose: Literal["dynamic", "direct"] | None = Field(
        default=None,
        description="`direct` shows all its tools under their own names, and leaves the server out of dmcp's two "
        "tools; `dynamic` shows it there, whatever the file's own `tools` say.",
    )
    limits: LimitsPart = Field(
        default_factory=LimitsPart,
        description="What the server may make grow; the file's own `limits` if absent.",
    )
    startup: Startup | None = Field(
        default=None,
        description="`eager` starts the server with dmcp, `lazy` at its first use; "
        "the file's own `startup` if absent.",
    )
    idle_stop: Duration = _lasts(
        None, "Stop the server after this long without use, until its next use. Never if absent."
    )


class StdioPart(ServerPart):
    """A local server: a command that dmcp starts and talks to over its stdin and stdout."""

    type: Literal["stdio"] | None = Field(default=None, description="May be left out: `command` says it.")
    command: Text = Field(description=f"The program to start. {REFERENCES}")
    args: list[str] | None = Field(default=None, description=f"Its arguments. {REFERENCES}")
    env: dict[Text, str] | None = Field(
        default=None, description=f"Variables added to the environment dmcp runs in. {REFERENCES}"
    )
    cwd: Text | None = Field(
        default=None,
        description="The directory to start it in, a relative one as seen from this file; dmcp's own if absent. "
        f"{REFERENCES}",
    )
    inherit_env: InheritEnv | None = Field(
        default=None,
        description="What of the environment dmcp runs in it gets: `true`, all but what only other servers refer to; "
        "`false`, the least a program needs; a list, that and these; the file's own `inherit_env` if absent.",
    )


class RemotePart(ServerPart):
    """A remote server, reached over HTTP."""

    type: Literal["http", "sse"] | None = Field(
        default=None,
        description="`http` is Streamable HTTP, `sse` the older HTTP+SSE; if absent, `http` is tried first.",
    )
    url: Text = Field(description=f"Its http or https address. {REFERENCES}")
    headers: dict[Text, str] | None = Field(
        default=None, description=f"Headers sent with every request. {REFERENCES}"
    )
    oauth: OAuthPart = Field(
        default_factory=OAuthPart,
        description="How to sign in. All optional: discovery and registration fill the gaps.",
    )
    oauth_client_id: Text | None = Field(default=None, description="The older spelling of `oauth.client_id`.")
    oauth_scopes: list[Text] | None = Field(default=None, description="The older spelling of `oauth.scopes`.")

    @model_validator(mode="after")
    def _said_once(self) -> "RemotePart":
        for old, new in (("oauth_client_id", "client_id"), ("oauth_scopes", "scopes")):
            if getattr(self, old) is not None and getattr(self.oauth, new) is not None:
                raise ValueError(f"has both {old} and oauth.{new}: keep one of them")
        return self


def _kind(entry: Any) -> str:
    """Which of the two shapes an entry is held against. An entry with both keys is a stdio one too many."""
    if not isinstance(entry, dict) or "command" in entry:
        return "stdio"
    return "remote" if "url" in entry or entry.get("type") in ("http", "sse") else "stdio"


AnyServer = Annotated[
    Annotated[StdioPart, Tag("stdio")] | Annotated[RemotePart, Tag("remote")], Discriminator(_kind)
]


class ConfigurationFile(Part):
    """The configuration of dmcp: the MCP servers it stands in front of."""

    mcpServers: dict[Text, AnyServer] = Field(  # noqa: N815 - the key's name in every coding tool
        description="The servers, by the name the assistant calls them."
    )
    schema_: str | None = Field(
        default=None, alias="$schema", description="Where editors find this schema; dmcp ignores it."
    )
    startup: Startup = Field(default="eager", description="The default of every server's `startup`.")
    limits: LimitsPart = Field(
        default_factory=LimitsPart, description="The default of every server's `limits`, key by key."
    )
    inherit_env: InheritEnv = Field(
        default=True, description="The default of every local server's `inherit_env`."
    )
    tools: AllToolsPart = Field(
        default_factory=AllToolsPart, description="How the tools of all servers are shown."
    )
    oauth_store: Literal["file", "keyring"] = Field(
        default="file",
        description="Where tokens are kept: in files only you can read, or in the keyring of the system "
        "(needs the extra `keyring`).",
    )


def json_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a configuration file; the same on every call."""
    schema = _without_noise(ConfigurationFile.model_json_schema(by_alias=True))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dmcp configuration",
        **schema,
    }


def _without_noise(schema: Any) -> Any:
    """Without the titles pydantic derives from the keys, and without defaults that are only "absent"."""
    if isinstance(schema, list):
        return [_without_noise(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_noise(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
