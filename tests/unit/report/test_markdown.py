"""What flow pages show is text, and charts that need no network."""

from __future__ import annotations

import base64
from decimal import Decimal

from infra.report import markdown
from infra.report.amounts import exact
from infra.report.document import document
from infra.report.inputs import ReportInputs
from tests.unit.report.builder import Size, build_inputs


def test_every_cell_of_every_table_is_text(inputs: ReportInputs) -> None:
    tables = [
        markdown.requirement_table(inputs.assessment),
        markdown.client_rows(inputs.assessment),
        markdown.calls_table(inputs.assessment),
        markdown.breaks_table(inputs.breaks),
        markdown.quality_table(inputs.checks),
        markdown.dataset_table(inputs.dataset_counts),
    ]
    for rows in tables:
        assert rows
        assert len({tuple(row) for row in rows}) == 1
        assert all(type(cell) is str and cell != "nan" for row in rows for cell in row.values())


def test_failed_and_held_sets_come_first(inputs: ReportInputs) -> None:
    statuses = [row["Status"] for row in markdown.requirement_table(inputs.assessment)]
    assert statuses[:3] == ["failed", "held", "held"]


def test_the_table_shows_the_exact_requirement(inputs: ReportInputs) -> None:
    amounts = inputs.assessment.requirements.set_index("netting_set_id")["requirement_amount"]
    for row in markdown.requirement_table(inputs.assessment):
        assert row["Requirement"] == exact(amounts[row["Netting set"]])


def test_tables_in_agreement_currencies_need_no_exchange_rate() -> None:
    inputs = build_inputs(Size(currencies=("USD", "EUR")))
    rows = markdown.calls_table(inputs.assessment)
    assert {row["Currency"] for row in rows} == {"USD", "EUR"}


def test_broken_rules_come_first(inputs: ReportInputs) -> None:
    verdicts = [row["Verdict"] for row in markdown.quality_table(inputs.checks)]
    assert verdicts == sorted(verdicts)
    assert verdicts[0] == "broken"


def test_charts_travel_inside_their_url(inputs: ReportInputs) -> None:
    content = document(inputs)
    assert inputs.coverage is not None
    for url in (
        markdown.component_chart_data_url(inputs.assessment),
        markdown.utilisation_chart_data_url(inputs.assessment),
        markdown.change_chart_data_url(content),
        markdown.coverage_chart_data_url(inputs.coverage),
    ):
        assert url is not None
        kind, _, body = url.partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert base64.b64decode(body).startswith(b"<svg ")


def test_the_summary_has_the_total_and_what_needs_attention(inputs: ReportInputs) -> None:
    text = markdown.summary_markdown(inputs, report_url="file:///report.html")
    amounts = [a for a in inputs.assessment.requirements["requirement_amount"] if a is not None]
    assert exact(sum(amounts, Decimal(0))) in text
    assert "## Needs attention" in text
    assert "[The whole report](file:///report.html)" in text
