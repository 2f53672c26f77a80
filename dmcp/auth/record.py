"""What is kept about one server: one entry for each pair of resource and issuer. Pure: shapes and their JSON.

The predecessor's files are read too: its tokens stand at the top level and belong to no known issuer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from dmcp.auth.registration import METHODS, Client
from dmcp.auth.tokens import Tokens

VERSION = 1
ANY = ""
"""The resource and the issuer of tokens whose file names neither."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Credentials for one resource from one issuer. They are never used with another of either.

    Attributes:
        resource: the canonical address of the MCP server, or ``ANY``.
        issuer: the authorization server, or ``ANY``.
        audience: the value of the ``resource`` parameter.
        token_endpoint: where the tokens are renewed.
        requested: the scopes asked for so far, which a step-up adds to.
    """

    resource: str
    issuer: str
    audience: str = ""
    token_endpoint: str = ""
    client: Client | None = None
    tokens: Tokens | None = None
    requested: tuple[str, ...] = ()

    def is_better_than(self, rejected: str | None, scopes: tuple[str, ...], now: float) -> bool:
        """Whether its tokens are good, were not rejected and were asked for with at least these scopes."""
        tokens = self.tokens
        if tokens is None or tokens.authorization == rejected or tokens.is_due(now):
            return False
        return set(scopes) <= set(self.requested)


@dataclass(frozen=True, slots=True)
class Record:
    """All entries of a server, the newest first."""

    entries: tuple[Entry, ...] = field(default=())

    def find(self, resource: str) -> Entry | None:
        """The newest entry for a resource; a predecessor's entry only if there is no other."""
        of_resource = (e for e in self.entries if e.resource == resource)
        return next(of_resource, None) or next((e for e in self.entries if e.resource == ANY), None)

    def find_issuer(self, resource: str, issuer: str) -> Entry | None:
        """The entry of exactly this pair."""
        return next((e for e in self.entries if (e.resource, e.issuer) == (resource, issuer)), None)

    def better_than(
        self, rejected: str | None, resource: str, scopes: tuple[str, ...], now: float
    ) -> Tokens | None:
        """The tokens of a resource, if they are good, were not rejected and were asked for with these scopes."""
        entry = self.find(resource)
        return entry.tokens if entry is not None and entry.is_better_than(rejected, scopes, now) else None

    def issuer_of_configured(self, resource: str, client_id: str | None) -> str | None:
        """The issuer for which the person's own client id was used last; ``None`` when it never was."""
        for entry in self.entries:
            client = entry.client
            if (
                client
                and client.source == "configured"
                and (entry.resource, client.client_id) == (resource, client_id)
            ):
                return entry.issuer
        return None

    def with_entry(self, entry: Entry) -> Record:
        """The record with this entry first, in place of the one of the same pair and of a predecessor's."""
        pair = (entry.resource, entry.issuer)
        kept = (e for e in self.entries if (e.resource, e.issuer) != pair and e.resource != ANY)
        return Record((entry, *kept))

    def without_tokens(self, access: str) -> Record:
        """The record without the tokens that hold this access token; the client stays registered."""
        return Record(
            tuple(
                replace(e, tokens=None) if e.tokens and e.tokens.access == access else e for e in self.entries
            )
        )


def to_json(record: Record) -> dict[str, Any]:
    """The record as it stands in a file."""
    return {"version": VERSION, "entries": [_entry_to_json(e) for e in record.entries]}


def from_json(document: object) -> Record | None:
    """A record from a file's content, the predecessor's included; ``None`` when it is neither."""
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("access_token"), str):
        tokens = _tokens_from_json(document)
        return None if tokens is None else Record((Entry(ANY, ANY, tokens=tokens),))
    entries = document.get("entries")
    if document.get("version") != VERSION or not isinstance(entries, list):
        return None
    return Record(tuple(e for e in map(_entry_from_json, entries) if e is not None))


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    client, tokens = entry.client, entry.tokens
    out: dict[str, Any] = {
        "resource": entry.resource,
        "issuer": entry.issuer,
        "audience": entry.audience,
        "token_endpoint": entry.token_endpoint,
        "requested": list(entry.requested),
    }
    if client is not None:
        out["client"] = {
            "client_id": client.client_id,
            "client_secret": client.secret
            if client.source == "registered"
            else None,  # else it is configured
            "token_endpoint_auth_method": client.auth_method,
            "source": client.source,
            "redirect_uri": client.redirect_uri,
            "client_secret_expires_at": client.secret_expires_at,
        }
    if tokens is not None:
        out["tokens"] = {
            "access_token": tokens.access,
            "refresh_token": tokens.refresh,
            "obtained_at": _to_date(tokens.obtained_at),
            "expires_at": None if tokens.expires_at is None else _to_date(tokens.expires_at),
            "scopes": list(tokens.scopes),
        }
    return out


def _entry_from_json(document: object) -> Entry | None:
    if not isinstance(document, dict):
        return None
    resource, issuer = _text(document, "resource"), _text(document, "issuer")
    if not resource or not issuer:
        return None
    return Entry(
        resource=resource,
        issuer=issuer,
        audience=_text(document, "audience") or resource,
        token_endpoint=_text(document, "token_endpoint") or "",
        client=_client_from_json(document.get("client")),
        tokens=_tokens_from_json(document.get("tokens")),
        requested=_texts(document.get("requested")),
    )


def _client_from_json(document: object) -> Client | None:
    if not isinstance(document, dict):
        return None
    client_id, method = _text(document, "client_id"), _text(document, "token_endpoint_auth_method")
    if not client_id or method not in METHODS:
        return None
    source, expires = document.get("source"), document.get("client_secret_expires_at")
    return Client(
        client_id=client_id,
        secret=_text(document, "client_secret"),
        auth_method=method,
        source=source if source in {"configured", "document"} else "registered",
        redirect_uri=_text(document, "redirect_uri"),
        secret_expires_at=float(expires) if isinstance(expires, int | float) else 0.0,
    )


def _tokens_from_json(document: object) -> Tokens | None:
    access = _text(document, "access_token") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not access:
        return None
    return Tokens(
        access=access,
        refresh=_text(document, "refresh_token"),
        obtained_at=_from_date(document.get("obtained_at")) or 0.0,
        expires_at=_from_date(document.get("expires_at")),
        scopes=_texts(document.get("scopes")),
    )


def _text(document: dict[str, Any], key: str) -> str | None:
    value = document.get(key)
    return value if isinstance(value, str) and value else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()


def _to_date(seconds: float) -> str:
    # A server may promise millions of years; the calendar ends before that.
    return datetime.fromtimestamp(min(seconds, 253402300799.0), UTC).isoformat()


def _from_date(value: object) -> float | None:
    try:
        seconds = datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
    return seconds if seconds is not None and math.isfinite(seconds) else None
