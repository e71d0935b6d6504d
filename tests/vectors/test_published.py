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


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_published_figure_is_met(path: Path) -> None:
    case: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert case["source"] and case["unit"]
    request = {"id": path.stem, "calculation": case["calculation"], "inputs": case["inputs"]}
    answer = json.loads(answer_line(json.dumps(request)))
    assert differences(case["expected"], answer.get("outputs", answer), case["tolerance"]) == []
