"""dmcp: one MCP server in front of all of a person's MCP servers.

The package is a house of rooms, drawn in ``docs/architecture.md``. Start reading at ``dmcp.app``,
the composition root. This module owns the version and nothing else, so that importing it is free.
"""

__version__ = "0.1.0"
