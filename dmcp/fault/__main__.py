"""``python -m dmcp.fault`` is ``dmcp fault``, with nothing else of dmcp loaded."""

from dmcp.cli.fault import fault

fault(prog_name="dmcp fault")
