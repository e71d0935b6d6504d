"""57 versions of Binance's brackets as rules: margins at three dates, the diff, and its effect."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from engine.errors import ParameterError
from tasks.prefect_server import PrefectServer
from tasks.rule_book_views import Asked, margins_by_date, rules_compared
from tasks.rule_proposals import (
    ImportOrder,
    activate_proposal,
    import_rules,
    latest_close,
    shadow_proposal,
)
from tasks.workplace import workplace
from tests.integration.flows.conftest import working_in

DATES = (date(2022, 5, 21), date(2023, 8, 16), date(2024, 10, 24))
NOTIONAL = 1_000_000.0
BINANCE = Asked(venue="binance", model="tiered")


@pytest.fixture(scope="module")
def activated(
    real_data: Path,
    closed_both: Path,
    prefect_server: PrefectServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Import all versions, shadow them on the latest close and activate them."""
    home = tmp_path_factory.mktemp("history") / "home"
    shutil.copytree(closed_both, home)
    with working_in(home, prefect_server), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLIMSOLL_PRINCIPAL", "alice")
        order = ImportOrder(real_data / "binance_leverage_tiers.parquet", "binance")
        proposed = import_rules(order).proposal
        assert shadow_proposal(proposed.proposal_id).effect is not None
        patch.setenv("PLIMSOLL_PRINCIPAL", "bob")
        done, n_versions = activate_proposal(proposed.proposal_id, proposed.content_hash)
        assert (done.state, n_versions) == ("activated", len(proposed.sets))
        yield
        workplace().database.close()


def test_every_symbol_at_three_dates_and_what_the_changes_do_to_a_book(activated: None) -> None:
    rows = {row.scope: row for row in margins_by_date("binance", DATES, NOTIONAL)}
    # N x rate - cum of the published brackets: 1 % - 1,300 until 2023, then 0.65 % - 950.
    assert rows["BTCUSDT"].maintenance_margins == (8_700.0, 8_700.0, 5_550.0)
    assert "LUNAUSDT" not in rows
    assert sum(row.maintenance_margins[2] is not None for row in rows.values()) > 340

    diff = rules_compared(str(DATES[1]), str(DATES[2]), BINANCE, with_book=True)
    changed = {one.scope for one in diff.changes if one.change == "changed"}
    assert {"BTCUSDT", "ETHUSDT"} <= changed
    assert diff.effect is not None
    accounts = diff.effect.accounts
    touched = accounts[accounts["is_changed"]]
    assert len(touched) > 0
    assert set(touched["venue"]) == {"binance"}
    other = accounts[accounts["venue"] != "binance"]
    assert not other["is_changed"].any()


def test_what_was_known_before_the_import_is_still_seen_as_known_then(activated: None) -> None:
    registry = workplace().database.parameters
    imported = [one for one in registry.versions() if one.origin == "activated"]
    before = min(one.recorded_at for one in imported)
    shipped = registry.in_force(DATES[0], before.replace(microsecond=0))
    assert not [one for one in shipped if one.scope == "BTCUSDT"]
    assert [one for one in registry.in_force(DATES[0]) if one.scope == "BTCUSDT"]


def test_an_import_of_the_same_versions_has_nothing_to_propose(
    activated: None, real_data: Path
) -> None:
    order = ImportOrder(real_data / "binance_leverage_tiers.parquet", "binance")
    with pytest.raises(ParameterError, match="no parameter differs from what is in force"):
        import_rules(order)


def test_the_latest_close_is_what_a_shadow_run_assesses(activated: None) -> None:
    proposal = workplace().database.proposals.get("rules-0001")
    assert proposal.shadow is not None
    assert proposal.shadow.details["run_id"] == latest_close(workplace())
