from __future__ import annotations

import random

import pytest

from dmcp.config.references import escape, has_references, resolve

ENVIRON = {"HOME": "/home/ada", "EMPTY": "", "TOKEN": "t0ken", "_x9": "low", "TRICKY": "${HOME}"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${HOME}/bin", "/home/ada/bin"),
        ("a${TOKEN}b${_x9}c", "at0kenblowc"),
        ("${EMPTY}", ""),
        ("${EMPTY:-else}", "else"),
        ("${UNSET:-else}", "else"),
        ("${UNSET:-}", ""),
        ("${TOKEN:-else}", "t0ken"),
        ("${UNSET:-${HOME}/x}", "/home/ada/x"),
        ("${UNSET:-${ALSO_UNSET:-deep}}!", "deep!"),
        ("${TOKEN:-${UNSET}}", "t0ken"),
        ("${UNSET:-a:-b}", "a:-b"),
        ("${TRICKY}", "${HOME}"),
    ],
)
def test_a_reference_takes_the_value_or_the_default_as_bash_does(written: str, expected: str) -> None:
    resolved = resolve(written, ENVIRON)
    assert resolved.text == expected
    assert not resolved.missing
    assert has_references(written)


@pytest.mark.parametrize(
    "written",
    [
        "$HOME",
        "$",
        "}",
        "{}",
        "${}",
        "${1}",
        "${HOME",
        "${a-b}",
        "${env:HOME}",
        "${#HOME}",
        "${UNSET:-x",
        "$HOME}",
    ],
)
def test_anything_else_stands_for_itself(written: str) -> None:
    assert resolve(written, ENVIRON).text == written


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("$${HOME}", "${HOME}"),
        ("$$${HOME}", "$${HOME}"),
        ("$$HOME", "$$HOME"),
        ("$${U:-${TOKEN}}", "${U:-t0ken}"),
    ],
)
def test_a_doubled_dollar_before_a_brace_makes_it_literal(written: str, expected: str) -> None:
    assert resolve(written, ENVIRON).text == expected


def test_missing_variables_are_named_once_each_in_order() -> None:
    assert resolve("${B}${A}${B}${TOKEN}", ENVIRON).missing == ("B", "A")


def test_a_missing_variable_in_a_default_that_is_needed_is_missing() -> None:
    assert resolve("${UNSET:-${GONE}}", ENVIRON).missing == ("GONE",)


def test_values_that_came_from_outside_are_told() -> None:
    assert set(resolve("x${TOKEN}y${UNSET:-fallback}", ENVIRON).values) == {"t0ken", "fallback"}


def test_an_escaped_text_means_itself_whatever_it_holds() -> None:
    source = random.Random(20)
    for _ in range(500):
        text = "".join(source.choices(["$", "{", "}", ":-", "HOME", "UNSET", " "], k=source.randrange(12)))
        assert resolve(escape(text), ENVIRON).text == text


@pytest.mark.parametrize("written", ["${A:-" * 5000, "${A:-" * 5000 + "}" * 5000])
def test_deep_nesting_is_read_without_a_crash(written: str) -> None:
    assert isinstance(resolve(written, {}).text, str)
