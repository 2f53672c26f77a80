"""dmcp put into other coding tools, and taken out again.

``hosts`` (what there is to say of each tool) -> ``fronted`` (what ``--replace`` switches off) -> ``change`` (every
edit, with what undoes it) -> ``text`` (into a file, the rest of it as it was) -> ``record`` (kept for uninstall);
``work`` puts them in order

Not here: the commands a person types (``dmcp.cli.install``), and where tools keep their files (``dmcp.cli.importers``).
"""
