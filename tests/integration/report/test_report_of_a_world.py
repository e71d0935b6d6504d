"""What the engine answers on a sample world is what the report says."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from engine.assessment import COMPONENT_COLUMNS
from infra.report.amounts import total
from infra.report.components import PART_COLUMNS
from infra.report.document import Document
from infra.report.inputs import ReportInputs
from infra.report.terminal import owes_table
from infra.report.write import write_report

_HASHES = """
import hashlib, sys
from pathlib import Path
from infra.report.write import write_report
from tests.worlds.reports import report_inputs
from tests.worlds.sample import sample_world
folder = Path(sys.argv[1])
inputs = report_inputs(sample_world(folder / "world", n_netting_sets=15))
write_report(inputs, folder / "report")
for path in sorted((folder / "report").rglob("*")):
    if path.is_file():
        print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


def test_parts_of_every_requirement_add_up_exactly(content: Document) -> None:
    assert PART_COLUMNS == COMPONENT_COLUMNS
    for _, row in content.netting_sets.dropna(subset="requirement").iterrows():
        assert total(row[column] for column in PART_COLUMNS) == row["requirement"]


def test_totals_add_up_over_sets_clients_and_currencies(content: Document) -> None:
    whole = total(content.netting_sets["requirement_reported"])
    assert whole > 0
    assert total(content.clients["requirement_reported"]) == whole
    assert total(content.currencies["requirement_reported"]) == whole
    assert content.headlines[0].amount == whole


def test_the_world_has_several_currencies_and_they_are_converted(content: Document) -> None:
    assert content.reporting.is_converted
    assert content.reporting.currency == "USD"


def test_the_causes_of_the_engine_explain_the_change(content: Document) -> None:
    change = content.change
    assert change is not None
    moved = float(change.after - change.before)
    assert sum(amount for _, amount in change.causes) == pytest.approx(moved, abs=0.5)
    assert dict(change.causes).get("not_attributed", 0.0) == 0.0


def test_every_call_of_the_engine_is_in_the_table(content: Document, inputs: ReportInputs) -> None:
    requirements = inputs.assessment.requirements
    decided = requirements[requirements["call_action"] != "none"]
    assert len(content.calls) == len(decided)
    by_set = content.calls.set_index("netting_set_id")["amount"]
    for name, amount, withheld in zip(
        decided["netting_set_id"], decided["call_amount"], decided["withheld_amount"], strict=True
    ):
        assert by_set[name] == abs(amount + withheld)


def test_the_settlement_table_is_the_exact_sum(content: Document, inputs: ReportInputs) -> None:
    settlements = inputs.assessment.settlements
    for _, row in content.settlements.iterrows():
        chosen = settlements[
            (settlements["kind"] == row["kind"]) & (settlements["asset"] == row["asset"])
        ]
        assert row["net"] == sum(chosen["amount_exact"], Decimal(0))


def test_collateral_by_asset_adds_up_to_the_collateral_value(content: Document) -> None:
    table = content.collateral
    cuts = ["haircut_value", "concentration_cut", "not_counted", "collateral_value"]
    assert table[cuts].sum(axis=1).to_numpy() == pytest.approx(table["market_value"].to_numpy())
    whole = float(total(content.netting_sets["collateral_value_reported"]))
    assert table["collateral_value"].sum() == pytest.approx(whole, abs=len(content.netting_sets))
    assert (table[cuts] >= -1e-6).all(axis=None)
    assert table["share"].sum() == pytest.approx(1.0)


def test_quarantined_marks_and_planted_breaks_are_concerns(content: Document) -> None:
    sections = {concern.section for concern in content.concerns}
    assert {"quality", "breaks"} <= sections
    assert sections & {"held-failed"}


def test_the_terminal_table_fits_and_has_the_same_total(
    content: Document, inputs: ReportInputs
) -> None:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(owes_table(inputs.assessment, usd_rates=inputs.usd_rates))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert content.headlines[0].shown.replace("\xa0", "") in text
    assert "…" not in text


def test_the_same_world_gives_the_same_bytes_under_any_hash_seed(tmp_path: Path) -> None:
    # Both at once: most of the time goes into starting Python.
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _HASHES, str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, zone in (("0", "UTC"), ("4242", "Asia/Tokyo"))
    ]
    printed = [process.communicate(timeout=240)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert printed[0].count("\n") >= 15
    assert printed[0] == printed[1]


def test_shuffled_frames_give_the_same_bytes(inputs: ReportInputs, tmp_path: Path) -> None:
    def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.sample(frac=1.0, random_state=3).reset_index(drop=True)

    assessment = replace(
        inputs.assessment,
        requirements=shuffled(inputs.assessment.requirements),
        worst_scenarios=shuffled(inputs.assessment.worst_scenarios),
        contributions=shuffled(inputs.assessment.contributions),
        collateral=shuffled(inputs.assessment.collateral),
    )
    other = replace(inputs, assessment=assessment, previous=shuffled(inputs.previous))
    pages = [write_report(i, tmp_path / str(n)).html for n, i in enumerate((inputs, other))]
    digests = [hashlib.sha256(page.read_bytes()).hexdigest() for page in pages]
    assert digests[0] == digests[1]
