"""From one checked entry of the file to a server: references filled in, results checked, secrets noted.

A value that is wrong as written is a mistake in the file. A value that is wrong because of the environment
makes this one server unavailable and no other. Not here: the file.
"""

from __future__ import annotations

import os
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from dmcp.config import checks, redaction
from dmcp.config.model import (
    Limits,
    OAuthSettings,
    RemoteServer,
    RestartPolicy,
    ServerConfig,
    StdioServer,
    Timeouts,
    ToolSelection,
    Unresolved,
)
from dmcp.config.problems import Problem, spell_path
from dmcp.config.references import LARGEST, has_references, resolve
from dmcp.config.schema import RemotePart, StdioPart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dmcp.config.model import Part
    from dmcp.config.positions import Path
    from dmcp.config.schema import ConfigurationFile, OAuthPart

S = TypeVar("S", bound=Struct)

LARGEST_FILE: Final = 16 * 1024 * 1024
"""Characters that references may bring into all values of a file together."""


class Budget(Struct):
    """How many characters references may still bring into the values of a file."""

    left: int = LARGEST_FILE


class ReferenceResolver(Struct):
    """Fills in the references of one server's values, and remembers what came of it.

    Attributes:
        environ: the environment to take values from.
        at: the path of the server's entry.
        secrets: values that must not appear in a log.
        names: the variables referred to where secrets may be: those are withheld from the other servers.
        problems: mistakes in the file.
        unresolved: what in the environment keeps the server from being started, in words.
        budget: how much the references may bring in, shared by all servers of a file.
        directory: where the file is: relative working directories begin there. ``None`` leaves them as they are.
    """

    environ: Mapping[str, str]
    at: Path
    secrets: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    budget: Budget = field(default_factory=Budget)
    directory: str | None = None

    def text(
        self,
        key: Path,
        raw: str,
        fault: Callable[[str], str | None] = checks.text_fault,
        *,
        secret: bool = True,
    ) -> str:
        """Return one value, filled in and checked.

        Args:
            key: its path within the entry.
            raw: the value as the file has it.
            fault: says what is wrong with the result.
            secret: whether what the references brought in is kept out of logs.
        """
        resolved = resolve(raw, self.environ, min(LARGEST, self.budget.left))
        if secret:
            self.secrets.update(value for value in resolved.values if not redaction.is_harmless(value))
            self.names.update(resolved.names)
        self.budget.left -= sum(map(len, resolved.values))
        if resolved.is_too_long:
            self.unresolved.append(
                f"{spell_path(key)} is too long once its environment variables are filled in: they may bring in "
                f"{LARGEST:,} characters, and {LARGEST_FILE:,} into the whole file"
            )
            return ""
        if resolved.missing:
            self.unresolved.extend(
                f"environment variable {name} is not set (used in {spell_path(key)}): "
                f"set it, or give it a default as in ${{{name}:-default}}"
                for name in resolved.missing
            )
        elif wrong := fault(resolved.text):
            if has_references(raw):
                self.unresolved.append(
                    f"{spell_path(key)} {wrong}, once its environment variables are filled in"
                )
            else:
                self.problems.append(Problem((*self.at, *key), wrong))
        return resolved.text

    def optional(
        self, key: Path, raw: str | None, fault: Callable[[str], str | None] = checks.filled_fault
    ) -> str | None:
        """Return the same for a key that may be absent."""
        return None if raw is None else self.text(key, raw, fault)

    def texts(self, key: Path, raw: Sequence[str] | None) -> tuple[str, ...]:
        """Return the same for a list."""
        return tuple(self.text((*key, index), value) for index, value in enumerate(raw or ()))

    def arguments(self, raw: Sequence[str] | None) -> tuple[str, ...]:
        """Return the same for the arguments of a command: what looks like a secret in them is one."""
        filled = self.texts(("args",), raw)
        self.secrets |= redaction.secrets_of_args(filled)
        return filled

    def pairs(
        self, key: str, raw: Mapping[str, str] | None, fault: Callable[[str, str], str | None]
    ) -> Mapping[str, str]:
        """Return the same for names with values: "env" or "headers". What may be a secret in the values is one."""
        filled: dict[str, str] = {}
        for name, value in (raw or {}).items():
            filled[name] = self.text((key, name), value, partial(fault, name))
        of_kind = redaction.secrets_of_headers if key == "headers" else redaction.secrets_of_env
        self.secrets |= of_kind(filled)
        return MappingProxyType(filled)


def _unresolved(unresolved: list[str], target: StdioServer | RemoteServer) -> Unresolved:
    kind = target.kind if isinstance(target, RemoteServer) else "stdio"
    return Unresolved("; ".join(dict.fromkeys(unresolved)), kind)


def server_from(name: str, file: ConfigurationFile, resolver: ReferenceResolver) -> ServerConfig:
    """Return the configuration of one server.

    Args:
        name: its key in the file.
        file: the whole file, for the entry and for the defaults of all servers.
        resolver: fills in its references; afterwards holds the problems and secrets.
    """
    part = file.mcpServers[name]
    if isinstance(part, StdioPart):
        target: StdioServer | RemoteServer = _stdio(part, resolver, file.inherit_env)
    else:
        target = _remote(part, resolver)
    return ServerConfig(
        name=name,
        description=part.description,
        target=_unresolved(resolver.unresolved, target) if resolver.unresolved else target,
        features=part.features,
        timeout=_with(Timeouts(), part.timeout),
        restart=_with(RestartPolicy(), part.restart),
        tools=ToolSelection(part.tools.include, part.tools.exclude),
        direct=_direct(part, file),
        limits=_with(_with(Limits(), file.limits), part.limits),
        startup=part.startup or file.startup,
        idle_stop=part.idle_stop,
        enabled=part.enabled,
        listing_budget=part.listing_budget or file.listing_budget,
    )


def _direct(part: StdioPart | RemotePart, file: ConfigurationFile) -> tuple[str, ...]:
    """Return which of its tools are direct. What is said of the server itself counts before what is said of all."""
    if part.expose == "direct":
        return ("*",)
    if part.tools.direct is not None:
        return part.tools.direct
    return () if part.expose == "dynamic" else file.tools.direct


def _stdio(part: StdioPart, resolver: ReferenceResolver, inherit_env: bool | tuple[str, ...]) -> StdioServer:
    # What command and cwd are made of names places on disk. Masking it would hide what could not be started.
    cwd = None if part.cwd is None else resolver.text(("cwd",), part.cwd, checks.filled_fault, secret=False)
    if cwd and resolver.directory is not None and not cwd.startswith("~"):
        cwd = os.path.join(resolver.directory, cwd)  # noqa: PTH118 - an absolute one stays as it is written
    return StdioServer(
        command=resolver.text(("command",), part.command, checks.filled_fault, secret=False),
        args=resolver.arguments(part.args),
        env=resolver.pairs("env", part.env, checks.env_fault),
        cwd=cwd,
        inherit_env=inherit_env if part.inherit_env is None else part.inherit_env,
    )


def _remote(part: RemotePart, resolver: ReferenceResolver) -> RemoteServer:
    url = resolver.text(("url",), part.url, checks.url_fault)
    resolver.secrets.update(value for value in checks.url_secrets(url) if not redaction.is_harmless(value))
    return RemoteServer(
        url=url,
        kind=part.type or "auto",
        headers=resolver.pairs("headers", part.headers, checks.header_fault),
        oauth=_oauth(part.oauth, part, resolver),
    )


def _oauth(part: OAuthPart, server: RemotePart, resolver: ReferenceResolver) -> OAuthSettings:
    old_id = resolver.optional(("oauth_client_id",), server.oauth_client_id)
    old_scopes = resolver.texts(("oauth_scopes",), server.oauth_scopes)
    secret = resolver.optional(("oauth", "client_secret"), part.client_secret)
    if secret is not None:
        resolver.secrets.add(secret)
    return OAuthSettings(
        client_id=old_id or resolver.optional(("oauth", "client_id"), part.client_id),
        client_secret=secret,
        scopes=old_scopes or resolver.texts(("oauth", "scopes"), part.scopes),
        client_metadata_url=resolver.optional(
            ("oauth", "client_metadata_url"), part.client_metadata_url, _metadata_url_fault
        ),
        redirect_port=part.redirect_port,
        grant=part.grant,
        token_endpoint_auth_method=part.token_endpoint_auth_method,
        private_key_file=resolver.optional(("oauth", "private_key_file"), part.private_key_file),
        issuer=resolver.optional(("oauth", "issuer"), part.issuer, _issuer_fault),
        redirect_host=part.redirect_host,
        redirect_path=part.redirect_path,
        resource=resolver.optional(("oauth", "resource"), part.resource)
        if isinstance(part.resource, str)
        else part.resource,
        assume_pkce=part.assume_pkce,
    )


def _metadata_url_fault(url: str) -> str | None:
    # The URL is the client's id: an authorization server accepts https only.
    return checks.url_fault(url) or (None if url.startswith("https://") else "must begin with https://")


def _issuer_fault(url: str) -> str | None:
    fault = checks.url_fault(url)
    if fault is None and not url.startswith("https://"):
        is_here = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        fault = None if is_here else "must begin with https://, for secrets are sent there"
    return fault


def _with(usual: S, part: Part) -> S:
    """Return the usual values with those that a part of the file gives."""
    given = {name: value for name in part.__struct_fields__ if (value := getattr(part, name)) is not None}
    return replace(usual, **given)
