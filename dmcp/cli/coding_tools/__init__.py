"""Coding tools: where they keep their MCP servers, how they spell them, and how dmcp is put into them.

To support another tool, add an entry to ``table.TOOLS`` and a golden test; see CONTRIBUTING.md.

- ``table``: the tools, as data (types in ``model``); ``special``: the few things data cannot say, as functions.
- ``formats``, ``jsonc``: JSON, JSONC, TOML and YAML, read and edited; ``references``: how tools refer to variables.
- Import: ``places`` -> ``discover`` (``detect``, for a single file) -> ``entries`` -> ``load``, then ``output``.
- Install: ``install``, with ``replaced`` (servers that dmcp replaces) and ``changes`` (to undo them).

Not here: the click commands (``dmcp.cli.import_``, ``dmcp.cli.install``) and dmcp's own configuration format
(``dmcp.config``). Nothing here is imported unless one of these commands runs.
"""
