"""A crash that is made up, through the simulated venues: with the platform, and without it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.errors import MissingDataError, ParameterError
from infra.drill.bars import generated_bars, read_bars
from infra.drill.charts import Chart, Line, svg_of
from infra.drill.days import DrillDay, generated_day, real_day, steps
from infra.drill.page import page_of
from infra.drill.play import Plan, play
from infra.drill.story import Played
from infra.drill.tables import books_line, headline, tables_of

DAY = generated_day(30)
SHORT_DAY = replace(generated_day(16), outage=None)
# Its length in real time is the machine's; nothing that is asserted depends on it.
pytestmark = pytest.mark.timeout(900)


def plan_of(day: DrillDay, home: Path) -> Plan:
    return Plan(day=day, bars=generated_bars(day), home=home, step_seconds=25.0,
                approval_minutes=0.0, confirmation_seconds=20.0)  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Return a short crash; the loop looks at what others have written more often than it would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("infra.intraday.writing.RENEW_SECONDS", 0.1)
        patch.setattr("infra.drill.aided.SEEN_SECONDS", 0.2)
        return play(plan_of(SHORT_DAY, tmp_path_factory.mktemp("drill") / "home"))


def test_calls_come_before_the_venues_would_liquidate(played: Played) -> None:
    hit = [one for one in played.outcomes() if one.liquidated_at is not None]
    assert len(hit) >= 2
    for one in hit:
        assert one.n_calls >= 1, one.netting_set_id
        assert one.lead_of_call is not None, one.netting_set_id
        assert one.lead_of_call.total_seconds() > 0, one.netting_set_id
        assert one.cost > 0.0 < one.closed


def test_nothing_is_liquidated_with_it_and_something_without(played: Played) -> None:
    assert played.liquidated == []
    assert played.liquidated_unaided
    for one in played.outcomes():
        assert one.lowest > 0.0, one.netting_set_id
    short = next(one for one in played.outcomes() if one.netting_set_id == "elm-1")
    assert short.liquidated_at is None and not short.n_transfers


def test_collateral_arrives_once_and_the_books_agree_with_the_venues(played: Played) -> None:
    arrived = [one for one in played.moves if one.credited_at is not None]
    assert {"binance", "okx", "fireblocks"} <= {one.source.partition("/")[0] for one in arrived}
    assert {one.n_executed for one in arrived} == {1}
    assert max(one.n_executed for one in played.moves) == 1
    assert played.breaks == []
    for one in arrived:
        assert one.proposed_at <= one.sent_at <= one.credited_at


@pytest.mark.slow
def test_the_outage_and_the_depeg_are_seen_by_the_loop(tmp_path: Path) -> None:
    played = play(plan_of(DAY, tmp_path / "home"))
    assert played.liquidated == [] and played.liquidated_unaided and played.breaks == []
    assert max(one.n_executed for one in played.moves) == 1
    assert "binance gone" in page_of(played)
    outage = DAY.outage
    assert outage is not None
    gone = [one for one in played.doubts if one.name == outage.venue and one.state == "down"]
    assert gone
    assert all(one.begins_at >= outage.begins_at for one in gone)
    assert all(one.ends_at is not None and one.ends_at >= outage.ends_at for one in gone[-1:])
    lowest = min(one.pegs["USDT"] for one in played.samples)
    assert lowest == pytest.approx(0.97, abs=1e-6)


def test_the_page_says_what_the_tables_say_and_needs_no_network(played: Played) -> None:
    page = page_of(played)
    assert headline(played).split(":")[0] in page
    assert "http://" not in page and "https://" not in page and "<script" not in page
    assert page.count("<svg") == 4 + len(played.clients)
    for table in tables_of(played):
        assert table.title in page
    assert "no transfer was carried out twice; the ledger agrees" in books_line(played)


def test_a_day_without_bars_and_a_step_that_is_too_long_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="BTC, ETH"):
        read_bars(tmp_path, real_day("2025-10-10"))
    with pytest.raises(MissingDataError, match="no folder"):
        read_bars(tmp_path / "none", real_day("2025-10-10"))
    with pytest.raises(ParameterError, match="2025-10-10"):
        real_day("1987-10-19")
    with pytest.raises(ParameterError, match="1 to 25"):
        steps(DAY, 60.0)


def test_names_in_a_chart_stay_text() -> None:
    at = [datetime(2026, 3, 11, hour, tzinfo=UTC) for hour in (1, 2)]
    found = svg_of(Chart(title="<b>x</b>", unit="", at=at, lines=[Line("<i>", "s1", [1.0, 2.0])]))
    assert "<b>x</b>" not in found and "<i>" not in found.replace('<i class="s1">', "")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["2025-10-10", "2020-03-12"])
def test_real_days_keep_the_order_of_call_credit_and_liquidation(
    name: str, real_data: Path, tmp_path: Path
) -> None:
    day = real_day(name)
    played = play(Plan(day=day, bars=read_bars(real_data, day), home=tmp_path / "home"))
    hit = [one for one in played.outcomes() if one.liquidated_at is not None]
    assert hit
    for one in hit:
        assert one.lead_of_call is not None and one.lead_of_call.total_seconds() > 0
    assert len(played.liquidated) < len(played.liquidated_unaided)
    assert all(one.n_executed == 1 for one in played.moves if one.credited_at is not None)
    assert all(one.n_executed <= 1 for one in played.moves)
    assert any(one.name == day.outage.venue for one in played.doubts if day.outage)
