"""Reports made once and looked at by many tests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.report.document import Document, document
from infra.report.inputs import ReportInputs, ReportPaths
from infra.report.write import write_report
from tests.unit.report.builder import Size, build_inputs


@pytest.fixture(scope="session")
def inputs() -> ReportInputs:
    """Return report inputs of sixty netting sets with all optional parts."""
    return build_inputs(Size())


@pytest.fixture(scope="session")
def content(inputs: ReportInputs) -> Document:
    """Return the document of ``inputs``."""
    return document(inputs)


@pytest.fixture(scope="session")
def written(inputs: ReportInputs, tmp_path_factory: pytest.TempPathFactory) -> ReportPaths:
    """Return the written report of ``inputs``."""
    return write_report(inputs, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def page(written: ReportPaths) -> str:
    """Return the page as text."""
    return written.html.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def twin(written: ReportPaths) -> dict[str, Any]:
    """Return the JSON twin."""
    found: dict[str, Any] = json.loads(written.json.read_text(encoding="utf-8"))
    return found
