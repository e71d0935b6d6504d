"""Requirements are recorded once and exactly, and the last fresh one is found again."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from engine.errors import InvariantBroken, MissingDataError, ModelInputError
from engine.snapshot import LastFresh
from infra.db import Database
from tests.integration.db.facts import DAY, begin, requirements


def save(
    database: Database, day: int, frame: pd.DataFrame, status: str = "completed", *, force=False
) -> str:
    run = begin(database, date(2026, 11, day), force=force)
    database.requirements.save(run.run_id, frame)
    if status != "running":
        database.runs.finish(run.run_id, status, {})
    return run.run_id


def test_requirements_come_back_exactly(database: Database) -> None:
    run = begin(database)
    saved = requirements("NS-2", "NS-1", amount="123456789012.12345678")
    assert database.requirements.save(run.run_id, saved) == 2
    found = database.requirements.of_run(run.run_id)
    expected = saved.sort_values("netting_set_id", ignore_index=True)[found.columns]
    pd.testing.assert_frame_equal(found, expected)
    assert found["requirement_amount"][0] == Decimal("123456789012.12345678")
    assert found["requirement"][0] == 100.2499999
    assert np.isposinf(found["margin_ratio"][0])


def test_a_failed_netting_set_is_kept_with_its_reason(database: Database) -> None:
    frame = requirements("NS-1", status="failed").assign(
        reason="unknown instrument okx:X",
        requirement_amount=None,
        collateral_amount=None,
        call_amount=None,
        call_action="none",
        core_margin=float("nan"),
    )
    run_id = save(database, 20, frame, "incomplete")
    found = database.requirements.of_run(run_id)
    assert found["reason"][0] == "unknown instrument okx:X"
    assert found["requirement_amount"][0] is None
    assert np.isnan(found["core_margin"][0])


def test_saving_again_changes_nothing_and_other_figures_are_refused(database: Database) -> None:
    run = begin(database)
    database.requirements.save(run.run_id, requirements("NS-1", "NS-2"))
    database.requirements.save(run.run_id, requirements("NS-2", "NS-1"))
    for other in (
        requirements("NS-1"),
        requirements("NS-1", "NS-3"),
        requirements("NS-1", "NS-2", amount="100.26"),
        requirements("NS-1", "NS-2").assign(core_margin=np.nextafter(100.123456789, 101)),
    ):
        with pytest.raises(InvariantBroken, match="other requirements than it has recorded"):
            database.requirements.save(run.run_id, other)
    assert len(database.requirements.of_run(run.run_id)) == 2


def test_another_exact_amount_among_the_components_comes_back_exactly(database: Database) -> None:
    run = begin(database)
    frame = requirements("NS-1").assign(withheld_amount=[Decimal("0.10")])
    database.requirements.save(run.run_id, frame)
    database.requirements.save(run.run_id, frame)
    found = database.requirements.of_run(run.run_id)
    assert found["withheld_amount"].tolist() == [Decimal("0.10")]
    with pytest.raises(InvariantBroken):
        database.requirements.save(run.run_id, frame.assign(withheld_amount=[Decimal("0.11")]))


def test_a_float_amount_or_a_missing_column_is_refused(database: Database) -> None:
    run = begin(database)
    with pytest.raises(ModelInputError, match="call_amount needs a Decimal"):
        database.requirements.save(run.run_id, requirements("NS-1").assign(call_amount=1.5))
    with pytest.raises(ModelInputError, match="lack the columns status"):
        database.requirements.save(run.run_id, requirements("NS-1").drop(columns="status"))
    with pytest.raises(MissingDataError, match="no run eod-x"):
        database.requirements.save("eod-x", requirements("NS-1"))


def test_the_last_fresh_requirement_skips_what_does_not_count(database: Database) -> None:
    save(database, 14, requirements("NS-1", "NS-2", "NS-3", amount="1"))
    save(database, 15, requirements("NS-1", amount="2"))
    save(database, 16, requirements("NS-1", "NS-2", amount="3", status="held"))
    save(database, 17, requirements("NS-1", amount="4"), "failed")
    save(database, 18, requirements("NS-2", amount="5"))
    # The forced second sequence holds NS-2: what the first had assessed no longer counts.
    save(database, 18, requirements("NS-2", amount="6", status="held"), force=True)
    save(database, 19, requirements("NS-3", amount="7"), "incomplete")
    # A forced sequence that has not finished supersedes nothing.
    save(database, 19, requirements("NS-3", amount="8"), "running", force=True)
    found = database.requirements.last_fresh(DAY)
    assert found["netting_set_id"].tolist() == ["NS-1", "NS-2", "NS-3"]
    assert found["requirement"].tolist() == [2.0, 1.0, 7.0]
    assert [day.day for day in found["business_date"]] == [15, 14, 19]
    assert database.requirements.last_fresh(date(2026, 11, 15))["requirement"].tolist() == [1.0] * 3


def test_without_history_the_last_fresh_frame_is_empty_and_typed(database: Database) -> None:
    found = database.requirements.last_fresh(DAY)
    assert len(found) == 0
    assert list(found.columns) == list(LastFresh().requirements.columns)
    assert found["requirement"].dtype == "float64"
    assert found["business_date"].dtype.kind == "M"


def test_a_thousand_netting_sets_are_saved_in_a_second_of_the_processor(database: Database) -> None:
    run = begin(database)
    frame = requirements(*(f"NS-{number:04d}" for number in range(1_000)))
    started = time.process_time()
    database.requirements.save(run.run_id, frame)
    assert time.process_time() - started < 1.0
    database.runs.finish(run.run_id, "completed", {})
    assert len(database.requirements.last_fresh(date(2026, 12, 1))) == 1_000


@pytest.mark.slow
def test_a_hundred_thousand_netting_sets_are_saved_in_fifteen_seconds(database: Database) -> None:
    run = begin(database)
    frame = requirements(*(f"NS-{number:06d}" for number in range(100_000)))
    started = time.process_time()
    database.requirements.save(run.run_id, frame)
    took = time.perf_counter() - started
    print(f"saved 100,000 requirements in {took:.1f} s")
    assert took < 15.0
    database.runs.finish(run.run_id, "completed", {})
    started = time.perf_counter()
    assert len(database.requirements.last_fresh(date(2026, 12, 1))) == 100_000
    print(f"found 100,000 last fresh in {time.perf_counter() - started:.1f} s")
