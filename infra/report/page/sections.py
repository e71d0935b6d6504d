"""What the page shows, in the order in which a committee asks."""

from __future__ import annotations

from infra.report.document import Document
from infra.report.page.cells import Section
from infra.report.page.control_sections import (
    breaks_section,
    calls_section,
    held_failed_section,
    quality_section,
    settlements_section,
)
from infra.report.page.risk_sections import (
    change_section,
    coverage_section,
    requirement_section,
    scenarios_section,
    utilisation_section,
)
from infra.report.page.rule_sections import (
    netting_sets_section,
    parameters_section,
    proxies_section,
)
from infra.report.page.venue_sections import drift_section, venues_section

_MAKERS = (
    requirement_section,
    change_section,
    utilisation_section,
    venues_section,
    drift_section,
    scenarios_section,
    coverage_section,
    calls_section,
    settlements_section,
    held_failed_section,
    breaks_section,
    quality_section,
    proxies_section,
    parameters_section,
    netting_sets_section,
)


def sections(document: Document) -> list[Section]:
    """Return all sections below the summary, in order."""
    return [maker(document) for maker in _MAKERS]
