"""An explanation leads from the call back to scenarios, positions, rules, and adds up."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from engine.errors import InvariantBroken, MissingDataError
from infra.report.amounts import exact
from infra.report.explain import Explanation, explain_json, explanation
from infra.report.terminal import explain_view
from tests.worlds.sample import SampleWorld


def explained(world: SampleWorld, name: str) -> Explanation:
    close = world.after
    return explanation(close.assessment, close.close.snapshot, close.close.rules, name)


def names_where(world: SampleWorld, **wanted: str) -> list[str]:
    rows = world.after.assessment.requirements
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    return rows["netting_set_id"].to_list()


def test_the_call_arithmetic_of_every_set_ends_at_the_decision(world: SampleWorld) -> None:
    requirements = world.after.assessment.requirements.set_index("netting_set_id")
    for name in requirements.index[requirements["status"] != "failed"]:
        steps = explained(world, name).call_steps
        assert steps[-1].amount == requirements.loc[name, "call_amount"]


def test_each_line_of_the_arithmetic_follows_from_those_above(world: SampleWorld) -> None:
    steps = {
        s.label: s.amount
        for s in explained(world, names_where(world, call_action="call")[0]).call_steps
    }
    above = max(steps["Requirement"] + steps["less threshold"], Decimal(0))
    assert steps["Above the threshold"] == above
    assert steps["Credit support amount"] == above + steps["plus independent amount"]
    difference = steps["Credit support amount"] + steps["less collateral value"]
    assert steps["Difference"] == difference
    assert steps["Rounded"] >= difference
    assert steps["Call"] == steps["Rounded"]


def test_positions_and_parts_sum_to_the_requirement(world: SampleWorld) -> None:
    name = names_where(world, status="assessed")[0]
    found = explained(world, name)
    assert found.requirement is not None
    assert sum((amount for *_, amount in found.parts), Decimal(0)) == found.requirement
    assert found.positions["contribution"].sum() == pytest.approx(
        float(found.requirement), abs=0.02
    )
    assert found.positions["share"].sum() == pytest.approx(1.0, abs=1e-6)


def test_collateral_lines_sum_to_the_collateral_value(world: SampleWorld) -> None:
    for name in names_where(world, call_action="call"):
        found = explained(world, name)
        counted = found.collateral["collateral_value"].sum()
        assert counted == pytest.approx(float(found.collateral_value), abs=0.02)


def test_a_withheld_return_says_how_much_and_why(world: SampleWorld) -> None:
    names = names_where(world, call_action="blocked")
    assert names
    last = explained(world, names[0]).call_steps[-1]
    assert last.label == "Return withheld"
    assert last.amount == 0
    assert "inputs are not fresh or a break is open" in last.remark


def test_scenarios_come_with_the_shocks_of_what_is_held(world: SampleWorld) -> None:
    found = explained(world, names_where(world, status="assessed")[0])
    shocks = [c for c in found.scenarios.columns if ":" in c]
    assert shocks
    assert {c.partition(":")[2] for c in shocks} <= set(found.positions["underlying"])
    assert found.scenarios["loss"].is_monotonic_decreasing


def test_the_view_shows_every_exact_figure(world: SampleWorld) -> None:
    name = names_where(world, call_action="call")[0]
    close = world.after
    console = Console(file=io.StringIO(), width=160, color_system=None)
    console.print(explain_view(close.assessment, close.close.snapshot, close.close.rules, name))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    found = explained(world, name)
    for step in found.call_steps:
        assert exact(step.amount) in text
    for _, _, amount in found.parts:
        assert not amount or exact(amount) in text
    assert "EMIR RTS 153/2013 art. 28" in text
    assert close.close.rules.rule_book_hash[:16] in text


def test_the_json_is_json_and_keeps_money_as_text(world: SampleWorld) -> None:
    name = names_where(world, call_action="call")[0]
    close = world.after
    answer = explain_json(close.assessment, close.close.snapshot, close.close.rules, name)
    again = json.loads(json.dumps(answer, allow_nan=False))
    assert again["schema"] == "plimsoll.explanation/1"
    assert Decimal(again["requirement"]) == explained(world, name).requirement
    assert again["call_steps"][0]["label"] == "Requirement"
    assert isinstance(again["positions"][0]["mark_price"], float)


def test_a_failed_set_is_explained_by_its_reason(world: SampleWorld) -> None:
    assessment = world.after.assessment
    rows = assessment.requirements.copy()
    rows.loc[0, ["status", "reason"]] = ["failed", "unknown instrument x:y"]
    rows.loc[0, "requirement_amount"] = None
    close = world.after.close
    broken = replace(assessment, requirements=rows)
    name = str(rows.loc[0, "netting_set_id"])
    found = explanation(broken, close.snapshot, close.rules, name)
    assert (found.requirement, found.parts, found.call_steps) == (None, (), ())
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(explain_view(broken, close.snapshot, close.rules, name))
    assert "unknown instrument x:y" in console.file.getvalue()  # type: ignore[attr-defined]


def test_an_unknown_set_is_refused_with_close_names(world: SampleWorld) -> None:
    name = names_where(world, status="assessed")[0]
    with pytest.raises(MissingDataError, match=name):
        explained(world, name + "0")


def test_a_decision_that_the_agreement_does_not_lead_to_is_a_bug(world: SampleWorld) -> None:
    name = names_where(world, call_action="call")[0]
    rows = world.after.assessment.requirements.copy()
    chosen = rows["netting_set_id"] == name
    rows.loc[chosen, "call_amount"] = rows.loc[chosen, "call_amount"] + Decimal("0.01")
    close = world.after.close
    with pytest.raises(InvariantBroken, match=name):
        explanation(
            replace(world.after.assessment, requirements=rows), close.snapshot, close.rules, name
        )
