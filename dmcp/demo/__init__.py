"""The two small MCP servers behind ``dmcp demo``: notes and units. Standard library only, nothing kept on disk.

Not here: the demonstration itself (``dmcp.cli.demo``). No other part of dmcp imports this room.
"""
