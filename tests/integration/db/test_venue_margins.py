"""Venue margins are recorded once and exactly; requirements say which side binds."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy.exc import DatabaseError

from engine.errors import InvariantBroken
from infra.db import Database
from tests.integration.db.facts import begin, drift, requirements, venue_margins


def test_margins_come_back_exactly_with_the_furthest_class(database: Database) -> None:
    run = begin(database)
    saved = venue_margins("A-2", "A-1", margin=100.251)
    classes = drift(("A-1", 1e-5, "snapshot_skew"), ("A-1", 0.2, "model_only"))
    assert database.venue_margins.save(run.run_id, saved, classes) == 2
    found = database.venue_margins.of_run(run.run_id)
    assert found["account_id"].tolist() == ["A-1", "A-2"]
    assert found["initial_margin_amount"].tolist() == [Decimal("100.26")] * 2
    assert found["initial_margin"].tolist() == [100.251] * 2
    assert np.isposinf(found["margin_ratio"]).all()
    assert found["drift_class"].tolist() == ["model_only", ""]


def test_an_account_without_a_margin_is_kept_with_its_reason(database: Database) -> None:
    run = begin(database)
    failed = venue_margins("A-1", margin=float("nan"), status="failed")
    database.venue_margins.save(run.run_id, failed, drift())
    found = database.venue_margins.of_run(run.run_id)
    assert found["initial_margin_amount"][0] is None
    assert found["reason"][0] == "no parameters"


def test_saving_again_changes_nothing_and_other_figures_are_refused(database: Database) -> None:
    run = begin(database)
    classes = drift(("A-1", 0.0, "exact"))
    database.venue_margins.save(run.run_id, venue_margins("A-1", "A-2"), classes)
    database.venue_margins.save(run.run_id, venue_margins("A-2", "A-1"), classes)
    for other in (venue_margins("A-1"), venue_margins("A-1", "A-2", margin=100.2500000001)):
        with pytest.raises(InvariantBroken, match="other venue margins than it has recorded"):
            database.venue_margins.save(run.run_id, other, classes)


def test_a_run_without_accounts_records_none(database: Database) -> None:
    run = begin(database)
    assert database.venue_margins.save(run.run_id, venue_margins(), drift()) == 0
    assert database.venue_margins.of_run(run.run_id).empty


def test_requirements_keep_both_sides_and_which_one_binds(database: Database) -> None:
    run = begin(database)
    frame = requirements("NS-1", "NS-2").assign(
        venue_amount=[Decimal("120.00"), None],
        owed_amount=[Decimal("120.00"), Decimal("100.25")],
        binding=["venue", "unknown"],
        n_venue_accounts=[2, 1],
    )
    database.requirements.save(run.run_id, frame)
    database.requirements.save(run.run_id, frame)
    found = database.requirements.of_run(run.run_id)
    assert found["binding"].tolist() == ["venue", "unknown"]
    assert found["venue_amount"].tolist() == [Decimal("120.00"), None]
    assert found["owed_amount"].tolist() == [Decimal("120.00"), Decimal("100.25")]
    assert found["n_venue_accounts"].tolist() == [2, 1]
    with pytest.raises(InvariantBroken):
        database.requirements.save(run.run_id, frame.assign(binding=["house", "unknown"]))


def test_requirements_without_accounts_have_no_venue_columns(database: Database) -> None:
    run = begin(database)
    database.requirements.save(run.run_id, requirements("NS-1"))
    assert not {"binding", "venue_amount"} & set(database.requirements.of_run(run.run_id).columns)


def test_a_side_that_nobody_knows_is_refused(database: Database) -> None:
    run = begin(database)
    frame = requirements("NS-1").assign(
        venue_amount=[None], owed_amount=[Decimal("1")], binding=["both"]
    )
    with pytest.raises((DatabaseError, InvariantBroken)):
        database.requirements.save(run.run_id, frame)
