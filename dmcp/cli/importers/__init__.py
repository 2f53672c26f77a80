"""What other coding tools know about MCP servers, read into dmcp's own terms.

One module per coding tool holds what is particular to it, as data. The rest is shared:

``machine`` -> ``documents`` -> ``gather`` -> ``entries`` (``references``) -> ``rendering`` -> ``writing``

Not here: the click command and its questions (``dmcp.cli.import_``), and dmcp's own
configuration format (``dmcp.config``). Nothing here is imported unless that command runs.
"""
