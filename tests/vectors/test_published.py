"""Figures that others have published, as kept in this folder with their sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.compute import answer_line
from tests.vectors.agreement import differences

CASES = sorted(
    path
    for path in Path(__file__).parent.glob("*/*.json")
    if '"calculation"' in path.read_text(encoding="utf-8")
)
KNOWN_ERRORS = [path for path in CASES if '"known_error"' in path.read_text(encoding="utf-8")]


def name_of(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def answered(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    case: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    request = {"id": path.stem, "calculation": case["calculation"], "inputs": case["inputs"]}
    answer = json.loads(answer_line(json.dumps(request)))
    return case, answer.get("outputs", answer)


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_published_figure_is_met(path: Path) -> None:
    case, found = answered(path)
    assert case["source"] and case["unit"]
    assert differences(case["expected"], found, case["tolerance"]) == []


@pytest.mark.parametrize("path", KNOWN_ERRORS, ids=name_of)
def test_published_error_is_not_repeated(path: Path) -> None:
    case, found = answered(path)
    error = case["known_error"]
    assert error["reason"]
    assert differences(error["published"], found, case["tolerance"]) != []
