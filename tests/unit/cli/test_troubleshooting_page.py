from __future__ import annotations

import re
from pathlib import Path

import pytest

import dmcp

ROOT = Path(dmcp.__file__).parent
PAGE = (ROOT.parent / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SAID = re.sub(
    r'"\s+f?"', "", "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py")))
)
SHORTEST = 8  # characters; shorter pieces between two "..." are found anywhere


def quoted() -> list[str]:
    """The first column of each table of messages, and the messages that begin a list's lines, in italics."""
    tables = re.findall(r"^\| (?!\w+ says|the assistant|assistant|-)([^`|]*?) \|", PAGE, re.MULTILINE)
    return [
        *(row for row in tables if "..." in row or "HTTP" in row),
        *re.findall(r"^- \*(.+?)\*:", PAGE, re.MULTILINE),
    ]


def pieces(message: str) -> list[str]:
    """What stands between the parts that dmcp fills in: "..." on the page, and the words a method or a kind has."""
    parts = re.split(r"\.\.\.|(?<=answer )initialize|(?<=Unknown) (?:group|tool)", message)
    return [part for part in (part.strip(" ,;:()") for part in parts) if len(part) >= SHORTEST]


@pytest.mark.parametrize("message", quoted())
def test_a_message_the_page_explains_is_one_that_dmcp_says(message: str) -> None:
    plain = SAID.replace('\\"', '"').replace("{SERVER_NAME}", "dmcp")
    assert [piece for piece in pieces(message) if piece not in plain] == []


def test_the_page_explains_messages_of_servers_calls_and_commands() -> None:
    assert len([message for message in quoted() if pieces(message)]) > 12
