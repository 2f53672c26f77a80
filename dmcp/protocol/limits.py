"""Every limit on what a peer can make grow, in one place. ``docs/security.md`` has the same table.

Those a person may need to raise for one server are in ``dmcp.config.model.Limits`` (the key ``limits``).
Units: bytes, entries, characters, seconds. Beyond a limit the peer's own call, listing or message fails and the error
says which limit it was; nobody else notices.
"""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024
KIB: Final = 1024

MAX_FRAME: Final = 64 * MIB
"""Bytes of one message, in either direction. Of a server's: ``limits.frame``."""

# Signing in ----------------------------------------------------------------------------------------------------------

MAX_CHALLENGE: Final = 8 * KIB
"""Characters of a ``WWW-Authenticate`` header that are read; the rest says nothing."""

MAX_SCOPES: Final = 200
"""Scopes of one list a server gives; of more the first ones count."""

MAX_SCOPE: Final = 512
"""Characters of one scope; a longer one is left out."""

MAX_TOKEN: Final = 16 * KIB
"""Characters of an access or refresh token, a client id or a client secret. A header has to carry the first."""

MAX_AUTH_ADDRESS: Final = 2 * KIB
"""Characters of an address in metadata or in a challenge."""

MAX_AUTHORIZATION_SERVERS: Final = 8
"""Authorization servers of one server's metadata that are looked at; only one of them is asked."""

MAX_SHOWN_REFUSAL: Final = 300
"""Characters of what an authorization server says that are shown."""

MAX_SIGN_IN_FILE: Final = 1 * MIB
"""Bytes of the file that keeps the sign-ins to one server."""
