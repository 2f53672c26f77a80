"""A misbehaving MCP server, for the tests here and for people who write MCP clients.

The package has three layers: what may go wrong (``faults``, ``script``), when and how (``plan``, ``rewrite``: pure,
they return steps), and a thin serving part over stdio or Streamable HTTP. Behind the faults stands a correct little
server (``server``) or a real one (``wrap``). Of dmcp only ``dmcp.protocol``, ``dmcp.errors`` and ``dmcp.programs`` are
used here, and the proxy never imports this package.
"""
