"""Renders the faults and their limits into docs/faults.md: from the models that read a fault script.

``python docs/render_faults.py`` writes them into the page; a test fails when they differ.
"""

from __future__ import annotations

from pathlib import Path

from dmcp.fault.faults import KINDS, Limits, arguments, fields, places, summary

PAGE = Path(__file__).resolve().parent / "faults.md"


def _section(page: str, mark: str, text: str) -> str:
    before, begin, rest = page.partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    return before + begin + text + end + after


def _faults() -> str:
    """Return one section for each fault."""
    parts = []
    for name, kind in KINDS.items():
        lines = [f"### `{name}`", "", summary(kind), ""]
        lines += [f"- {transport}: {phases}" for transport, phases in places(kind)]
        if rows := list(arguments(kind)):
            lines += ["", "| argument | default | meaning |", "|---|---|---|"]
            lines += [f"| `{argument}` | `{default}` | {meaning} |" for argument, default, meaning in rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _limits() -> str:
    """Return the table of the limits every fault takes."""
    rows = [f"| `{name}` | `{default}` | {meaning} |" for name, default, meaning in fields(Limits)]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"


def rendered(page: str) -> str:
    """Return the page with both made anew."""
    return _section(_section(page, "faults", _faults()), "limits", _limits())


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
