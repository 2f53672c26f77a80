"""``python -m dmcp.fault`` is ``dmcp fault``, with nothing else of dmcp loaded."""

from dmcp.cli.fault import fault_command

fault_command(prog_name="dmcp fault")
