"""The tables of the READMEs are what was measured; nothing is timed here."""

from __future__ import annotations

import pytest

from tests.benchmark import report


@pytest.mark.parametrize("part", list(report.READMES))
def test_tables_of_the_readme_are_written_from_the_measured_figures(part: str) -> None:
    text = report.READMES[part].read_text(encoding="utf-8")
    assert report.with_tables(text, part) == text
