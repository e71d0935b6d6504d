"""One small sample world, closed twice, for all tests of this folder."""

from __future__ import annotations

import pytest

from infra.report.document import Document, document
from infra.report.inputs import ReportInputs
from tests.worlds.reports import report_inputs
from tests.worlds.sample import SampleWorld, sample_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> SampleWorld:
    """Return forty netting sets with spoilt marks and planted breaks."""
    return sample_world(tmp_path_factory.mktemp("worlds") / "small")


@pytest.fixture(scope="session")
def inputs(world: SampleWorld) -> ReportInputs:
    """Return the report inputs of the world."""
    return report_inputs(world)


@pytest.fixture(scope="session")
def content(inputs: ReportInputs) -> Document:
    """Return the document of the world."""
    return document(inputs)
