"""MCP and JSON-RPC without I/O: frames, envelopes, revisions, sessions, naming, merged listings.

Nothing here knows an event loop, an actor or a transport. Only this room looks at a version string.
"""
