"""Every limit on what a peer can make grow, in one place. ``docs/security.md`` has the same table.

Those a user may need to raise for one server are in ``dmcp.config.model.Limits`` (the key ``limits``).
Units: bytes, entries, characters, seconds. Beyond a limit the peer's own call, listing or message fails and the error
says which limit it was; nobody else notices.
"""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024
KIB: Final = 1024

MAX_FRAME: Final = 64 * MIB
"""Bytes of one message, in either direction. Of a server's: ``limits.frame``."""

# The log -----------------------------------------------------------------------------------------------------------

MAX_LOG_LINES: Final = 2000
"""Lines that wait for a standard error that is not read; what comes on top is dropped and counted."""

MAX_LOG_BYTES: Final = 1 * MIB
"""Characters of the lines that wait, likewise."""

MAX_LOG_LINE: Final = 4 * KIB
"""Characters of one event in the log."""

MAX_REMARKS_A_MINUTE: Final = 20
"""Remarks of one kind about one server that are logged a minute; then one line says how many more there were."""

MAX_REMARK_KINDS: Final = 1000
"""Pairs of server and kind that are counted at the same time; the oldest is given up for a new one."""

MAX_MASKED_TEXT: Final = 16 * KIB
"""Characters of a text that is shown to a person or a model in a sentence of dmcp's, searched for secrets."""

MAX_KNOWN_SECRETS: Final = 10_000
"""Tokens and secrets learned at run time that are masked; the oldest is forgotten. Those configured always are."""

# Processes -----------------------------------------------------------------------------------------------------------

MAX_START: Final = 300.0
"""Seconds the start of a server may take, beyond its ``timeout.connect``, while it works (it downloads itself, say)."""

MAX_STDERR_LINES: Final = 100
"""Lines of a server's stderr that are kept, the newest."""

MAX_STDERR_LINE: Final = 4 * KIB
"""Bytes of one line of a server's stderr; of a longer one the beginning is kept."""

MAX_STDERR: Final = 64 * KIB
"""Characters of a server's stderr that are kept, all lines together."""

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

# What a server sends besides its answers ------------------------------------------------------------------------------

MAX_PAUSE: Final = 300.0
"""Seconds the clock of one call stands still in all while a user answers what its server asks."""

MAX_HOLD: Final = 300.0
"""Seconds a call is held by stages in all, before it goes to its server."""

MAX_SERVER_REQUEST: Final = 16 * MIB
"""Bytes of one request of a server (a sampling request may carry images)."""

MAX_QUESTION: Final = 256 * KIB
"""Bytes of one question to the user (elicitation)."""

MAX_QUESTION_TEXT: Final = 4000
"""Characters of a question's message that the user is shown."""

MAX_URL: Final = 8192
"""Characters of an address the user is asked to open."""

MAX_ID: Final = 1024
"""Bytes of the id of a server's request, of an elicitation's id, of a progress token."""

MAX_ELICITATIONS: Final = 256
"""Addresses (elicitations in URL mode) one server has open at once; beyond it the oldest is forgotten."""

REQUEST_BURST: Final = 4
"""Seconds' worth of ``limits.server_requests`` that one server may ask at once; afterwards that many a second."""

PERSON_TIMEOUT: Final = 1800.0
"""Seconds a question of a server that belongs to no call stays open."""

ROOTS_TIMEOUT: Final = 30.0
"""Seconds the client gets to answer what no person answers (``roots/list``)."""

MAX_NOTIFICATION: Final = 4 * MIB
"""Bytes of one notification of a server that is passed on."""

NOTIFICATION_BURST: Final = 5
"""Seconds' worth of ``limits.notifications`` that may pass at once."""

MAX_LATE_UPDATES: Final = 1024
"""Resources whose newest update waits because a server tells of more than ``limits.notifications``."""

MAX_LATE_BYTES: Final = 4 * MIB
"""Bytes of one server's newest progress and updates that wait because there are more than ``limits.notifications``."""

MAX_SUBSCRIPTIONS: Final = 1024
"""Resources of one server the client may be subscribed to."""

MAX_URI: Final = 8192
"""Characters of a resource's URI that can be subscribed to."""

MAX_PAGES: Final = 1000
"""Pages of one listing of a server."""

BYTES_A_VALUE: Final = 24
"""Bytes of ``limits.listing_bytes`` for each value (object, list, text, number) a listing may have: 350,000 as a rule.
Each costs memory, and time when the listing is replaced, however short it is."""

MAX_REMARKS: Final = 20
"""Oddities of one listing (an entry without a name) that are named in the log; of the rest the number is told."""

MAX_LISTING_RETRY: Final = 300.0
"""Seconds between two tries of a listing that fails, at most; the first is after one second, and each doubles it."""

MAX_UNHANDLED: Final = 256
"""Messages of one server that wait for its actor before it is read no further until the actor has caught up."""

LONG_FRAME: Final = 16 * KIB
"""Bytes of a message of a server beyond which the next one is not read before its actor has handled this one: it may
be slow to understand, and many of them would keep the actor from ending."""

BATCH_PORTION: Final = 32
"""Messages of one batch that are handled in one turn of the loop."""

MAX_UNREAD_ANSWERS: Final = 4 * MIB
"""Bytes a server may leave unread before it gets no more answers to its own requests."""

CALL_TIME_FACTOR: Final = 10
"""Times its timeout that one call may take whatever progress it shows, where ``limits.call_time`` is absent."""

# HTTP: what a remote server, an authorization server or a proxy may send besides the body of a message.

MAX_HEADER_BYTES: Final = 64 * KIB
"""Bytes of everything in one HTTP answer that is not its body: status line, headers, interim answers, trailers.

Framing of chunks may grow with the body: ``CHUNK_OVERHEAD`` bytes for each byte of it."""

MAX_HEADER_LINES: Final = 200
"""Header lines of one HTTP answer, interim answers (1xx) and trailers included."""

CHUNK_OVERHEAD: Final = 16
"""Bytes of framing (chunk sizes, chunk extensions) that each byte of a body may bring along."""

MAX_HEADER_VALUE: Final = 8 * KIB
"""Bytes of a value the server gives to be sent back: a session id, the id of an event. A longer one is not kept."""

MAX_COOKIES: Final = 50
"""Cookies kept of one server; each may have ``MAX_COOKIE`` bytes. The oldest makes room."""

MAX_COOKIE: Final = 4 * KIB
"""Bytes of one cookie, name and value; what is longer is not kept (RFC 6265, 6.1 asks for at least that much)."""

MAX_REFUSAL: Final = 64 * KIB
"""Bytes that are read of the body of an HTTP error: it is quoted, not passed on."""

MAX_CONNECTIONS: Final = 600
"""Connections to one origin for one server: the 256 calls it may have in flight, twice, and its streams."""

MAX_IDLE_CONNECTIONS: Final = 256
"""Unused connections kept open for one server."""

MAX_RETRY_AFTER: Final = 3600.0
"""Seconds of a ``Retry-After`` that are believed; the call's own deadline ends it sooner."""

MAX_DOCUMENT: Final = 1 * MIB
"""Bytes of a document of an authorization server, uncompressed: metadata, tokens. Usual is a thousandth of it."""

# Listings, names and routes ------------------------------------------------------------------------------------------

MAX_MATCHED_URI: Final = 4096
"""Characters of a URI that templates are tried on. A longer one is found by its listing or by a long name only."""

MAX_TEMPLATE: Final = 1024
"""Characters of a URI template that is tried on URIs. A longer one is listed, and matches nothing."""

MAX_TEMPLATE_WORK: Final = 20_000
"""Steps of about a microsecond that go into finding the template of one URI, shared among the groups."""

MAX_LEARNED: Final = 1000
"""URIs remembered of one group because a result named them. The oldest are forgotten first."""

MAX_LEARNED_URI: Final = 2048
"""Characters of a URI that is remembered because a result named it."""

MAX_SUBSCRIBED: Final = 10_000
"""Names under which the client has subscribed to resources. The oldest are forgotten first."""

MAX_PAGE: Final = 4 * MIB
"""Bytes of one page of a listing dmcp composes; one larger entry makes a page of its own."""

MAX_CURSOR: Final = 512
"""Characters of a cursor. dmcp's own are shorter."""

MAX_OLD_ENTRIES: Final = 20_000
"""Entries of listings that have changed since, kept for a client that is in the middle of paging through them."""

MAX_OLD_BYTES: Final = 4 * MIB
"""Bytes of such listings. Of a larger one the next page is refused, and the client begins again."""

MAX_SHOWN_DESCRIPTION: Final = 4 * KIB
"""Characters of a tool's description in ``get_dynamic_tools``. The rest is cut off."""

MAX_OWN_DESCRIPTION: Final = 2000
"""UTF-16 units of the description of one of dmcp's own tools: a coding tool cuts at 2,048 (``docs/tools.md``)."""

MAX_GROUP_NAME: Final = 80
"""Characters of a group's name in such a description; in the schema it stands whole."""

MAX_TOOL_NAME: Final = 256
"""Characters of a tool's name that ``tools.include`` and ``tools.exclude`` are applied to; a longer one is off."""

MAX_HINT_NAMES: Final = 2000
"""Names that are compared with a mistyped one."""

MAX_HINT_NAME: Final = 80
"""Characters of a name that are compared with a mistyped one, or shown in a hint."""

MAX_CATEGORY: Final = 120
"""Characters of what ``get_dynamic_tools`` says of a group that is down."""

MAX_STORED: Final = 16 * MIB
"""Bytes of the file that keeps the listings of a lazy server between runs, written or read."""

# The shape of a message (dmcp.protocol.scan, jsonrpc) -------------------------------------------------------------

MAX_AT_ONCE: Final = 4 * MIB
"""Bytes of a message that is read in one turn of the loop. A larger one is read in slices, over several turns."""

MAX_DEPTH: Final = 950
"""Levels a message may nest. The stack of Python 3.11 has room for no more."""

MAX_MEMBERS: Final = 1000
"""Members of an object of which only a few mean something: a message, a page of a listing."""

MAX_NUMBER: Final = 16 * MIB
"""Bytes of one number."""

MAX_OPEN_REQUESTS: Final = 4096
"""Requests of the client that are not answered yet, those that wait for the configuration included."""

MAX_BATCH: Final = 1000
"""Messages in one batch (revision 2025-03-26)."""

MAX_METHOD: Final = 1024
"""Bytes of a method's name, as JSON with its quotes."""

MAX_VALUES: Final = 100_000
"""Values (objects, lists, texts, numbers) in what dmcp has to understand itself: the params of a request other than the
arguments of a tool, a notification, one entry of a listing. Results and arguments of tools are not counted."""

MAX_REPAIRED: Final = 4 * KIB
"""Bytes of a tool's arguments in which texts that stand for numbers are looked for."""

MAX_EXPLAINED: Final = 64 * KIB
"""Bytes of a tool's arguments that are held against its schema when the call has failed."""

MAX_CHECK_STEPS: Final = 5000
"""Values of arguments and parts of a schema that are compared when a call has failed, or may have to be repaired."""

MAX_FAILURE: Final = 16 * KIB
"""Bytes of a failed result that is looked into; a larger one is passed on without an explanation."""

MAX_RESULT_SEARCHED: Final = MIB
"""Bytes of a tool's result in which links to resources are looked for. A larger one is passed on unread."""

# Search over tools (dmcp.protocol.search) ----------------------------------------------------------------------------

MAX_QUERY: Final = 1000
"""Characters of a query that count; the rest of it is not looked at."""

MAX_QUERY_TERMS: Final = 48
"""Different words of a query that count."""

MAX_SEARCHED_NAME: Final = 128
"""Characters of a tool's, a group's or a parameter's name that can be found."""

MAX_SEARCHED_DESCRIPTION: Final = 2 * KIB
"""Characters of a tool's or a group's description that can be found."""

MAX_SEARCHED_PARAMETER: Final = 200
"""Characters of a parameter's description that can be found."""

MAX_SEARCHED_PARAMETERS: Final = 40
"""Parameters of a tool that can be found."""

MAX_SIGNATURE: Final = 1000
"""Characters of a tool's signature; parameters that are not required are left out of a longer one."""

MAX_SIGNATURE_PARAMETERS: Final = 16
"""Parameters a signature shows; required ones come first."""

MAX_SIGNATURE_STEPS: Final = 400
"""Parts of one schema that are looked at for its signature, references that are followed included."""

MAX_ENUM_SHOWN: Final = 8
"""Values of an enumeration that a signature shows; one with more is only told of."""

MAX_SUMMARY: Final = 100
"""Characters of the first sentence of a tool's description in a signature."""

MAX_NAMES_ASKED: Final = 50
"""Tools that ``get_dynamic_tools`` shows by their names at once."""
