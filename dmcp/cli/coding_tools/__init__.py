"""Coding tools: where they keep their MCP servers, how they spell them, and how dmcp is put into them.

To support another tool, add an entry to ``table.TOOLS`` and a golden test; see CONTRIBUTING.md.

- ``table``: the tools, as data (types in ``tool``); ``special``: the few things data cannot say, as functions.
- ``formats``: JSON, JSONC, TOML and YAML, read and edited; ``references``: how tools refer to environment variables.
- Import: ``places`` -> ``discover`` -> ``entries`` -> ``load``, then ``placement``, ``output`` and ``dialog``.
- Install: ``install``, with ``replaced`` (servers that dmcp replaces), ``changes`` and ``record`` (to undo them).

Not here: the click commands (``dmcp.cli.import_``, ``dmcp.cli.install``) and dmcp's own configuration format
(``dmcp.config``). Nothing here is imported unless one of these commands runs.
"""
