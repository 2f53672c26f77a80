"""What all tests share: a raw client, the official SDK's client, the wire check, configurations, processes.

Not here: fixtures (``tests/conftest.py``) and the servers that stand behind dmcp (``tests/servers``, ``tests/npm``).
"""

from harness.child import EVENTS, WAIT, Child
from harness.configs import Entry, npm_server, plain_server, sdk_server, tapped, write_config
from harness.official import OfficialClient, text_of
from harness.processes import alive, descendants, gone, marked
from harness.raw import LongLineClient, RawClient, RpcError, dmcp_command
from harness.wire import Ledger, read_tap

__all__ = [
    "EVENTS",
    "WAIT",
    "Child",
    "Entry",
    "Ledger",
    "LongLineClient",
    "OfficialClient",
    "RawClient",
    "RpcError",
    "alive",
    "descendants",
    "dmcp_command",
    "gone",
    "marked",
    "npm_server",
    "plain_server",
    "read_tap",
    "sdk_server",
    "tapped",
    "text_of",
    "write_config",
]
