"""What is kept about one server: one entry for each pair of resource and issuer. Pure: shapes and their JSON.

The predecessor's files are read too: its tokens stand at the top level and belong to no known issuer.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from dmcp.auth.discovery import is_same_issuer
from dmcp.auth.registration import METHODS, Client, seconds_of
from dmcp.auth.tokens import Tokens, is_usable_token

VERSION = 1
_ENTRIES = 20  # of one server: a server that names another issuer every time does not fill the disk
LEGACY = ""
"""The resource and the issuer of tokens whose file names neither. They are sent nowhere until they are adopted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Credentials for one resource from one issuer. They are never used with another of either.

    Attributes:
        resource: the canonical address of the MCP server, or ``LEGACY``.
        issuer: the authorization server, or ``LEGACY``.
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
        """Return whether its tokens are good, were not rejected and were asked for with at least these scopes."""
        tokens = self.tokens
        if tokens is None or tokens.authorization == rejected or tokens.needs_refresh(now):
            return False
        return set(scopes) <= set(self.requested)


@dataclass(frozen=True, slots=True)
class Bond:
    """For this issuer, and no other, the client id of the configuration was used first."""

    resource: str
    client_id: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Record:
    """All entries of a server, the newest first, and which issuers the configured clients are bound to."""

    entries: tuple[Entry, ...] = field(default=())
    bonds: tuple[Bond, ...] = field(default=())

    @property
    def left(self) -> Entry | None:
        """Return what the predecessor kept under this name: tokens of nobody knows which address."""
        return next((e for e in self.entries if e.resource == LEGACY and e.tokens is not None), None)

    def find(self, resource: str) -> Entry | None:
        """Return the newest entry for a resource."""
        return next((e for e in self.entries if e.resource == resource), None)

    def find_issuer(self, resource: str, issuer: str) -> Entry | None:
        """Return the entry of exactly this pair."""
        of_resource = (e for e in self.entries if e.resource == resource)
        return next((e for e in of_resource if is_same_issuer(e.issuer, issuer)), None)

    def migrate_legacy(self, resource: str) -> Record | None:
        """Return the record with what the predecessor left bound to a resource; ``None`` if it left nothing."""
        left = self.left
        if left is None:
            return None
        return self.with_entry(replace(left, resource=resource, audience=resource))

    def better_than(
        self, rejected: str | None, resource: str, scopes: tuple[str, ...], now: float
    ) -> Tokens | None:
        """Return the tokens of a resource, if they are good, were not rejected and were asked for with these scopes."""
        entry = self.find(resource)
        return entry.tokens if entry is not None and entry.is_better_than(rejected, scopes, now) else None

    def issuer_of_configured(self, resource: str, client_id: str | None) -> str | None:
        """Return the issuer for which the user's own client id was used first; ``None`` when it never was."""
        for bond in self.bonds:
            if (bond.resource, bond.client_id) == (resource, client_id):
                return bond.issuer
        for entry in self.entries:
            client = entry.client
            if (
                client
                and client.source == "configured"
                and entry.issuer != LEGACY
                and (entry.resource, client.client_id) == (resource, client_id)
            ):
                return entry.issuer
        return None

    def with_entry(self, entry: Entry) -> Record:
        """Return the record with this entry first, in place of the one of the same pair and of a predecessor's."""

        def is_replaced(other: Entry) -> bool:
            if other.resource != entry.resource:
                return other.resource == LEGACY
            return other.issuer == LEGACY or is_same_issuer(other.issuer, entry.issuer)

        kept = [e for e in self.entries if not is_replaced(e)]
        return replace(self, entries=(entry, *kept)[:_ENTRIES])

    def with_bond(self, bond: Bond) -> Record:
        """Return the record with a client bound to this issuer, in place of the one it was bound to."""
        pair = (bond.resource, bond.client_id)
        kept = [b for b in self.bonds if (b.resource, b.client_id) != pair]
        return replace(self, bonds=(bond, *kept)[:_ENTRIES])

    def with_client(self, resource: str, issuer: str, client: Client | None) -> Record:
        """Return the record with another client in the entry of this pair; the same if there is no such entry."""
        entry = self.find_issuer(resource, issuer)
        changed = (replace(e, client=client) if e is entry else e for e in self.entries)
        return replace(self, entries=tuple(changed))

    def without_tokens(self, access: str) -> Record:
        """Return the record without the tokens that hold this access token; the client stays registered."""
        kept = (
            replace(e, tokens=None) if e.tokens and e.tokens.access == access else e for e in self.entries
        )
        return replace(self, entries=tuple(kept))


def to_json(record: Record) -> dict[str, Any]:
    """Return the record as it stands in a file."""
    out: dict[str, Any] = {"version": VERSION, "entries": [_entry_to_json(e) for e in record.entries]}
    if record.bonds:
        out["bonds"] = [asdict(bond) for bond in record.bonds]
    return out


def from_json(document: object) -> Record | None:
    """Return the record of a file's content, the predecessor's included; ``None`` when it is neither."""
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("access_token"), str):
        tokens = _tokens_from_json(document)
        return None if tokens is None else Record((Entry(LEGACY, LEGACY, tokens=tokens),))
    entries = document.get("entries")
    if document.get("version") != VERSION or not isinstance(entries, list):
        return None
    bonds = document.get("bonds")
    return Record(
        tuple(e for e in map(_entry_from_json, entries) if e is not None),
        tuple(b for b in map(_bond_from_json, bonds) if b is not None) if isinstance(bonds, list) else (),
    )


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
        if client.unconfirmed:
            out["client"]["doubted"] = True
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
    resource, issuer = _text(document, "resource"), document.get("issuer")
    # Without an issuer it is what was adopted of the predecessor's and has not been renewed yet.
    if not resource or not isinstance(issuer, str):
        return None
    audience = document.get("audience")  # empty: the issuer does not want that parameter
    return Entry(
        resource=resource,
        issuer=issuer,
        audience=audience if isinstance(audience, str) else resource,
        token_endpoint=_text(document, "token_endpoint") or "",
        client=_client_from_json(document.get("client")),
        tokens=_tokens_from_json(document.get("tokens")),
        requested=_texts(document.get("requested")),
    )


def _bond_from_json(document: object) -> Bond | None:
    if not isinstance(document, dict):
        return None
    values = [_text(document, key) for key in ("resource", "client_id", "issuer")]
    return Bond(*(v for v in values if v)) if all(values) else None


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
        secret_expires_at=seconds_of(expires),
        unconfirmed=document.get("doubted") is True,
    )


def _tokens_from_json(document: object) -> Tokens | None:
    access = _text(document, "access_token") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not is_usable_token(access):
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
    return datetime.fromtimestamp(max(0.0, min(seconds, 253402300799.0)), UTC).isoformat()


def _from_date(value: object) -> float | None:
    try:
        seconds = datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
    return seconds if seconds is not None and math.isfinite(seconds) else None
