from __future__ import annotations

import random

import pytest

from dmcp.cli.coding_tools.references import (
    BRACES,
    CURLY,
    EDITOR,
    NOTHING,
    PLAIN_BRACES,
    PLAIN_SHELL,
    SHELL,
    TEMPLATED,
    Syntax,
    convert,
)
from dmcp.config.references import resolve

VARIABLES = {"workspaceFolder": "/work/${odd}", "userHome": "/home/ann"}
ALL = (NOTHING, BRACES, PLAIN_BRACES, SHELL, PLAIN_SHELL, EDITOR, CURLY, TEMPLATED)


@pytest.mark.parametrize(
    ("syntax", "text", "expected"),
    [
        (BRACES, "Bearer ${TOKEN}", "Bearer ${TOKEN}"),
        (BRACES, "${DIR:-/srv/a}/b", "${DIR:-/srv/a}/b"),
        (BRACES, "$TOKEN", "$TOKEN"),
        (BRACES, "${A:-${B}}", "${A:-$${B}}"),
        (PLAIN_BRACES, "${A} ${A:-b}", "${A} $${A:-b}"),
        (SHELL, "$HOST:$PORT/${PATH_:-x}", "${HOST}:${PORT}/${PATH_:-x}"),
        (SHELL, "costs $5 or $", "costs $5 or $"),
        (PLAIN_SHELL, "$A ${B} ${C:-d}", "${A} ${B} $${C:-d}"),
        (EDITOR, "${env:HOME_DIR}/x${NOT}", "${HOME_DIR}/x$${NOT}"),
        (EDITOR, "${userHome}/x", "/home/ann/x"),
        (EDITOR, "${workspaceFolder}/x", "/work/$${odd}/x"),
        (CURLY, "{env:A}{env:B}}}", "${A}${B}}}"),
        (CURLY, "${env:A}", "$${A}"),
        (TEMPLATED, "${{ secrets.A }}-${{inputs.B}}", "${A}-${B}"),
        (NOTHING, "${A} $B {env:C}", "$${A} $B {env:C}"),
    ],
)
def test_a_reference_becomes_dmcps_own_spelling(syntax: Syntax, text: str, expected: str) -> None:
    if text == "${env:A}" and syntax is CURLY:
        # A dollar right before a reference has no spelling in dmcp: it stays as it is, and is said.
        carried, problems = convert(text, syntax, VARIABLES)
        assert carried == "$${env:A}"
        assert "a dollar sign right before" in problems[0].what
        return
    assert convert(text, syntax, VARIABLES) == (expected, [])


@pytest.mark.parametrize(
    ("syntax", "text", "expected"),
    [
        (EDITOR, "Bearer ${input:issues-token}", "Bearer ${ISSUES_TOKEN}"),
        (EDITOR, "${config:my.port}", "${CONFIG_MY_PORT}"),
        (EDITOR, "${input:1st}", "${VALUE_1ST}"),
        (CURLY, "{file:~/.secrets/token}", "${SECRETS_TOKEN}"),
    ],
)
def test_what_only_the_tool_can_resolve_becomes_a_variable_to_be_set(
    syntax: Syntax, text: str, expected: str
) -> None:
    carried, problems = convert(text, syntax, {})
    assert carried == expected
    assert [expected.removeprefix("Bearer ") in problem.advice for problem in problems] == [True]


@pytest.mark.parametrize("syntax", ALL)
def test_a_text_without_references_means_itself_in_dmcp(syntax: Syntax) -> None:
    dice = random.Random(7)
    for _ in range(300):
        text = "".join(dice.choice("$$${}:-aA1 /\\\"'\n") for _ in range(dice.randrange(12)))
        carried, problems = convert(text, NOTHING, {})
        assert resolve(carried, {"a": "x", "A": "x"}).text == text
        assert problems == []
        again, _ = convert(text, syntax, {})
        assert resolve(again, {}).text is not None


def test_a_dollar_before_a_reference_is_kept_and_said() -> None:
    carried, problems = convert("$${TOKEN}", BRACES, {})
    assert resolve(carried, {"TOKEN": "secret"}).text == "$${TOKEN}"
    assert "environment variable" in problems[0].advice


def test_references_resolve_to_what_the_tool_would_have_passed_on() -> None:
    environ = {"A": "one", "B": "two"}
    carried, _ = convert("x$A-${B}-${C:-three}$5", SHELL, {})
    assert resolve(carried, environ).text == "xone-two-three$5"
