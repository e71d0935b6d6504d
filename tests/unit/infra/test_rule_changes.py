"""What changed is told parameter by parameter, with old, new, source and date."""

from __future__ import annotations

from datetime import date

from engine.venue_rules import ParameterSet
from infra.rule_changes import RuleChange, flattened, rule_changes
from infra.rules import HouseDocument
from infra.venues.parameters.models import parameter_set, parse_parameters

JAN, MAR = date(2026, 1, 1), date(2026, 3, 1)


def brackets(scope: str, rates: list[float], effective: date = JAN) -> ParameterSet:
    tiers = [
        {"notional_floor": 1000.0 * number, "maintenance_margin_rate": rate}
        for number, rate in enumerate(rates)
    ]
    content = {"rule": "notional_tiers", "tiers": tiers}
    return parameter_set(
        "binance",
        "tiered",
        scope,
        effective_date=effective,
        source=f"page of {effective}",
        evidence="documented",
        parameters=parse_parameters("tiered", content, scope),
    )


def brief(change: RuleChange) -> tuple[str, str, str, object, object]:
    return change.scope, change.change, change.key, change.old, change.new


def test_a_changed_rate_is_named_by_its_path_with_the_new_sets_date_and_source() -> None:
    (change,) = rule_changes([brackets("A", [0.01, 0.02])], [brackets("A", [0.01, 0.03], MAR)])
    assert brief(change) == ("A", "changed", "tiers[1].maintenance_margin_rate", 0.02, 0.03)
    assert (change.effective_date, change.source) == (MAR, "page of 2026-03-01")


def test_sets_that_came_and_went_are_told_as_a_whole() -> None:
    found = rule_changes([brackets("A", [0.01])], [brackets("B", [0.01])])
    assert [(one.scope, one.change) for one in found] == [("A", "removed"), ("B", "added")]
    assert found[0].new is None
    assert found[1].old is None


def test_another_date_or_source_alone_is_no_change() -> None:
    assert rule_changes([brackets("A", [0.01])], [brackets("A", [0.01], MAR)]) == []


def test_tiers_that_were_added_have_no_old_value() -> None:
    found = rule_changes([brackets("A", [0.01])], [brackets("A", [0.01, 0.02])])
    assert ("A", "changed", "tiers[1].maintenance_margin_rate", None, 0.02) in map(brief, found)


def test_a_house_document_is_compared_by_its_parameters_not_its_text() -> None:
    from infra.rules import DEFAULT_PARAMETERS

    text = (DEFAULT_PARAMETERS / "2019-01-01.toml").read_text(encoding="utf-8")
    paths = flattened(HouseDocument(file_name="2019-01-01.toml", text=text))
    assert paths["offset_cap"] == 0.8
    assert paths["collateral.BTC.haircut_tiers[1].haircut"] == 0.15
    assert paths["effective_date"] == "2019-01-01"
