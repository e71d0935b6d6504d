"""The figures of a report agree with each other and with the assessment."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from engine.errors import ModelInputError
from infra.report.amounts import total
from infra.report.change import CAUSES
from infra.report.coverage import coverage_of
from infra.report.document import Document, document
from infra.report.inputs import Coverage, ReportInputs
from tests.unit.report.builder import Size, build_coverage, build_inputs


def headline(content: Document, key: str) -> Decimal | None:
    return next(item.amount for item in content.headlines if item.key == key)


def test_the_headline_is_the_exact_sum_of_requirements(content: Document) -> None:
    amounts = content.inputs.assessment.requirements["requirement_amount"]
    assert headline(content, "requirement") == sum(a for a in amounts if a is not None)


def test_clients_and_currencies_sum_to_the_total(content: Document) -> None:
    whole = headline(content, "requirement")
    assert total(content.clients["requirement_reported"]) == whole
    assert total(content.currencies["requirement_reported"]) == whole


def test_totals_over_currencies_are_sums_of_converted_amounts() -> None:
    inputs = build_inputs(Size(currencies=("USD", "EUR", "USDT")))
    content = document(inputs)
    assert content.reporting.currency == "USD"
    by_set = content.netting_sets.set_index("netting_set_id")
    eur = by_set[(by_set["currency"] == "EUR") & (by_set["status"] != "failed")].iloc[0]
    expected = float(eur["requirement"]) * inputs.usd_rates["EUR"]
    assert float(eur["requirement_reported"]) == pytest.approx(expected, abs=0.005)
    assert total(content.clients["requirement_reported"]) == headline(content, "requirement")


def test_a_missing_exchange_rate_is_refused_by_name() -> None:
    inputs = replace(build_inputs(Size(currencies=("USD", "EUR"))), usd_rates={})
    with pytest.raises(ModelInputError, match="USD rate of EUR"):
        document(inputs)


def test_one_foreign_currency_needs_no_rate() -> None:
    inputs = replace(build_inputs(Size(currencies=("EUR",))), usd_rates={})
    assert document(inputs).reporting.currency == "EUR"


def test_the_causes_sum_to_the_change(content: Document) -> None:
    change = content.change
    assert change is not None
    assert sum(amount for _, amount in change.causes) == pytest.approx(
        float(change.after - change.before), abs=1.0
    )


def test_sets_that_came_went_or_failed_are_causes_of_their_own(content: Document) -> None:
    assert content.change is not None
    causes = dict(content.change.causes)
    assert causes["closed"] < 0 < causes["opened"]
    assert causes["failed"] < 0
    assert "not_attributed" not in causes


def test_a_change_that_nothing_explains_is_called_so(inputs: ReportInputs) -> None:
    assert inputs.attribution is not None
    halved = inputs.attribution.assign(**{c: inputs.attribution[c] / 2 for c in CAUSES})
    change = document(replace(inputs, attribution=halved)).change
    assert change is not None
    causes = dict(change.causes)
    assert abs(causes["not_attributed"]) > 1.0
    assert sum(causes.values()) == pytest.approx(float(change.after - change.before), abs=1.0)


def test_without_an_earlier_close_there_is_no_change() -> None:
    content = document(build_inputs(Size(), with_history=False))
    assert content.change is None
    assert all(item.change is None for item in content.headlines)


def test_a_failed_netting_set_is_named_and_adds_nothing(content: Document) -> None:
    failed = content.netting_sets[content.netting_sets["status"] == "failed"]
    assert failed["requirement"].isna().all()
    assert any("ns-00002" in concern.text for concern in content.concerns)


def test_a_set_without_collateral_has_no_utilisation_but_a_deficit(content: Document) -> None:
    row = content.netting_sets.set_index("netting_set_id").loc["ns-00059"]
    assert pd.isna(row["utilisation"])
    assert row["deficit_reported"] == row["requirement"]


def test_excess_of_one_set_does_not_hide_the_deficit_of_another(content: Document) -> None:
    surplus = content.netting_sets["surplus"].dropna()
    assert headline(content, "deficit") == sum(-s for s in surplus if s < 0)


def test_calls_come_first_and_the_largest_of_them_on_top(content: Document) -> None:
    directions = content.calls["direction"].to_list()
    assert directions == sorted(directions, key=["call", "return", "blocked"].index)
    called = content.calls.loc[content.calls["direction"] == "call", "amount"].to_list()
    assert called == sorted(called, reverse=True)


def test_recorded_calls_are_shown_with_returns_that_were_withheld(inputs: ReportInputs) -> None:
    recorded = pd.DataFrame(
        {
            "call_id": ["c-1"],
            "netting_set_id": ["ns-00059"],
            "currency": ["USD"],
            "direction": ["call"],
            "amount": pd.Series([Decimal("5")], dtype="object"),
            "state": ["issued"],
        }
    )
    calls = document(replace(inputs, calls=recorded)).calls
    assert calls["state"].iat[0] == "issued"
    blocked = (inputs.assessment.requirements["call_action"] == "blocked").sum()
    assert len(calls) == 1 + blocked


def test_closed_breaks_are_left_out(inputs: ReportInputs) -> None:
    assert inputs.breaks is not None
    status = ["closed"] + ["persisting"] * (len(inputs.breaks) - 1)
    content = document(replace(inputs, breaks=inputs.breaks.assign(status=status)))
    assert len(content.breaks) == len(inputs.breaks) - 1


def test_the_scenario_losses_sum_to_the_worst_loss_of_every_set(content: Document) -> None:
    worst = content.inputs.assessment.worst_scenarios
    first = worst[worst["rank"] == 1]
    assert content.scenarios["loss_reported"].sum() == pytest.approx(first["loss"].sum())
    assert content.scenarios["n_worst"].sum() == len(first)


def test_a_frame_without_its_columns_is_refused_by_name(inputs: ReportInputs) -> None:
    with pytest.raises(ModelInputError, match="checks lacks the columns detail"):
        replace(inputs, checks=inputs.checks.drop(columns="detail"))


def test_the_traffic_light_follows_the_exceptions() -> None:
    green = build_coverage(Size())
    assert (int(green.days["exception"].sum()), green.zone) == (8, "green")
    doubled = green.days.assign(loss=green.days["loss"] * 1.5)
    red: Coverage = coverage_of("book", "USD", doubled, 0.99)
    assert red.zone == "red"
    assert red.p_value < 0.01
