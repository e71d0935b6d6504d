"""The committee report of a run, its JSON and Parquet twins, terminal tables and explanations."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.report.coverage import coverage_of
    from infra.report.explain import explain_json
    from infra.report.inputs import Coverage, ReportInputs, ReportPaths, RunFacts
    from infra.report.quality_page import write_quality_page
    from infra.report.terminal import explain_view, owes_table
    from infra.report.write import write_report

# Resolved on first use: pandas, jinja2, rich and matplotlib stay out of the start of a command.
_HOMES = {
    "Coverage": "inputs",
    "ReportInputs": "inputs",
    "ReportPaths": "inputs",
    "RunFacts": "inputs",
    "coverage_of": "coverage",
    "explain_json": "explain",
    "explain_view": "terminal",
    "owes_table": "terminal",
    "write_quality_page": "quality_page",
    "write_report": "write",
}

__all__ = [
    "Coverage",
    "ReportInputs",
    "ReportPaths",
    "RunFacts",
    "coverage_of",
    "explain_json",
    "explain_view",
    "owes_table",
    "write_quality_page",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"infra.report.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
