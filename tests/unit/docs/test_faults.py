"""The page of faults names every fault once, and only tests that there are."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent
PAGE = ROOT / "infra" / "docs" / "faults.md"
FAULTS = [*(f"F{number}" for number in range(1, 81)), *(str(number) for number in range(1, 77))]
REASON = "reason: "
REASONS_MAX = 3
_ROW = re.compile(r"^\| (F?\d+) \| (.+?) \| (.+?) \| (.+) \|$")
_NAME = re.compile(r"`([a-z0-9_]+)`")
_NUMBERED = re.compile(r"(?<![a-z0-9])f(\d{1,2})(?=_)")


def rows(text: str) -> list[tuple[str, str, str, str]]:
    """Return fault, what happens, what holds and proof of each row."""
    found = [_ROW.match(line) for line in text.splitlines()]
    return [(one[1], one[2], one[3], one[4]) for one in found if one]


def faults_of(text: str) -> list[str]:
    """Return what is wrong with the numbers of a page."""
    counts = Counter(fault for fault, *_ in rows(text))
    return [
        *(f"{fault} is missing" for fault in FAULTS if fault not in counts),
        *(f"{fault} is there {n} times" for fault, n in counts.items() if n > 1),
        *(f"{fault} is no fault" for fault in counts if fault not in FAULTS),
    ]


def unproven(text: str, tests: set[str]) -> list[str]:
    """Return rows whose proof is not there, and tests whose fault does not name them."""
    named = {fault: set(_NAME.findall(proof)) for fault, _, _, proof in rows(text)}
    proofs = {fault: proof for fault, _, _, proof in rows(text)}
    found = [
        f"{fault}: there is no test_{name}"
        for fault, names in named.items()
        for name in sorted(names - tests)
    ]
    found += [
        f"{fault}: neither a test nor a reason"
        for fault, names in named.items()
        if not names and not proofs[fault].startswith(REASON)
    ]
    for name in sorted(tests):
        for number in _NUMBERED.findall(name):
            if name not in named.get(f"F{number}", set()):
                found.append(f"F{number}: test_{name} is not in its row")
    return found


def invariants(text: str) -> tuple[set[str], set[str]]:
    """Return invariants that rows name, and those that the page explains."""
    named = {one for _, _, holds, _ in rows(text) for one in re.findall(r"I-\d\d", holds)}
    return named, set(re.findall(r"^\| (I-\d\d) \|", text, flags=re.MULTILINE))


def unknown_proofs(text: str, tests: set[str]) -> list[str]:
    """Return tests that the page names anywhere and that are not there."""
    named = {name for name in _NAME.findall(text) if name.count("_") >= 3}
    return sorted(named - tests)


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tests() -> set[str]:
    """Return the names of all tests, without the word that all begin with."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        # Parsed as far as needed: tests are functions of a module, or of a class in it.
        for node in ast.parse(path.read_bytes()).body:
            inner = node.body if isinstance(node, ast.ClassDef) else [node]
            found.update(
                one.name.removeprefix("test_")
                for one in inner
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
                and one.name.startswith("test_")
            )
    return found


def test_every_fault_has_one_row(page: str) -> None:
    assert faults_of(page) == []


def test_every_row_is_proven_by_tests_that_there_are(page: str, tests: set[str]) -> None:
    assert unproven(page, tests) == []


def test_reasons_are_rare_and_every_other_row_says_what_holds(page: str) -> None:
    reasons = [fault for fault, _, _, proof in rows(page) if proof.startswith(REASON)]
    assert len(reasons) <= REASONS_MAX
    assert all(
        re.fullmatch(r"I-\d\d(, I-\d\d)*", holds)
        for fault, _, holds, _ in rows(page)
        if fault not in reasons
    )


def test_every_invariant_that_is_named_is_explained(page: str) -> None:
    named, explained = invariants(page)
    assert named <= explained
    assert len(explained) == 55


def test_the_checks_see_a_page_that_is_wrong(page: str, tests: set[str]) -> None:
    lines = page.splitlines()
    (place,) = [number for number, line in enumerate(lines) if line.startswith("| F30 |")]
    without = "\n".join(lines[:place] + lines[place + 1 :])
    assert faults_of(without) == ["F30 is missing"]
    assert any("f30_" in one for one in unproven(without, tests))
    twice = "\n".join([*lines, lines[place]])
    assert faults_of(twice) == ["F30 is there 2 times"]
    assert unproven(page, tests - {"latency_is_waited_for"}) == [
        "F7: there is no test_latency_is_waited_for"
    ]
    assert unproven(page, tests | {"f7_a_new_one"}) == ["F7: test_f7_a_new_one is not in its row"]
    empty = page.replace(lines[place], "| F30 | nothing | I-39 | somebody has looked at it |")
    assert "F30: neither a test nor a reason" in unproven(empty, tests)


def test_every_test_that_the_page_names_is_there(page: str, tests: set[str]) -> None:
    assert unknown_proofs(page, tests) == []
    assert unknown_proofs(page + "`a_test_that_nobody_wrote`", tests) == [
        "a_test_that_nobody_wrote"
    ]
