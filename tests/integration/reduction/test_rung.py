"""The last rung of the ladder: planned on the loop's prices, sent on them, stopped by them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from engine.intraday import CollateralReport
from infra.db import Database, open_database
from infra.db.loop_lease import Fenced
from infra.reduction import rung as rung_module
from infra.reduction.standing import LeftToTheLoop
from tests.integration.reduction.rung_life import COINS, FALLEN, HELD, LOWER, RungLife, close

AUTOMATIC = "reduce@1.25/1.10:automatic"


@pytest.fixture
def database(sqlite_template: Path, quick_folder: Path) -> Iterator[Database]:
    path = quick_folder / "plimsoll.db"
    shutil.copy(sqlite_template, path)
    found = open_database(f"sqlite:///{path}", actor="test")
    yield found
    found.close()


@pytest.fixture
def life(database: Database, tmp_path: Path) -> RungLife:
    """Return a loop whose netting set A may be reduced once people have approved."""
    return RungLife(database, tmp_path, close())


def approved(life: RungLife) -> None:
    (plan,) = life.plans()
    desk = rung_module.ReductionDesk(
        life.database, life.rung.parts.policy_of().policy, life.kill_switch
    )
    for who in ("bob", "carol"):
        if life.database.reductions.get(plan.plan_id).state == "proposed":
            desk.approve(plan.plan_id, who, plan.payload_hash)


def test_nothing_is_planned_above_the_rung(life: RungLife) -> None:
    life.falls(60_000.0)
    life.falls(seconds=10.0, n=2)
    life.round()
    assert life.plans() == []


def test_in_shadow_the_plan_is_on_record_once_and_people_hear_of_it(
    database: Database, tmp_path: Path
) -> None:
    life = RungLife(database, tmp_path, close("shadow", AUTOMATIC))
    life.breached()
    life.round()
    (plan,) = life.plans()
    assert (plan.state, plan.mode) == ("shadow", "shadow")
    (event,) = [one for one in database.intraday_events.after(0) if one.name == "plimsoll.breach"
                and one.payload["level"] == "reduce"]  # fmt: skip
    assert plan.intent.cause == f"ladder:{event.event_id}"
    assert plan.intent.run_id.startswith(life.core.run_id)
    assert plan.figures["ratio_before"] == pytest.approx(
        float(event.payload["utilisation"]), rel=0.02
    )
    (told,) = life.told()
    assert told["level"] == "reduce" and "plimsoll reduce show" in told["next_action"]
    life.falls(seconds=30.0, n=3)
    life.rounds(3)
    assert len(life.plans()) == 1 and len(life.told()) == 1
    assert life.venue.n_submitted == 0


def test_approved_orders_leave_until_the_loop_says_that_it_is_restored(life: RungLife) -> None:
    life.breached()
    life.round()
    (plan,) = life.plans()
    assert plan.state == "proposed"
    life.falls()
    life.round()
    assert life.venue.n_submitted == 0, "nobody has approved it"
    approved(life)
    life.rounds()
    (plan,) = life.plans()
    assert plan.state == "restored"
    assert "(the loop)" in plan.note
    assert 0 < life.venue.positions[HELD] < COINS
    assert life.venue.filled() == 0 or life.venue.filled(HELD) < 0


def test_it_stops_when_collateral_arrives_though_legs_are_left(life: RungLife) -> None:
    life.breached()
    life.round()
    approved(life)
    life.falls(FALLEN, 4.0)
    life.round()
    sent = life.venue.n_submitted
    assert sent == 1
    life.report(CollateralReport("A", "custodian", "USD", 400_000.0))
    life.rounds()
    (plan,) = life.plans()
    assert plan.state == "restored"
    assert life.venue.n_submitted == sent
    assert life.venue.filled(HELD) > -plan.intent.leg(1).quantity


def test_the_next_slice_waits_until_the_loop_has_heard_of_the_last(life: RungLife) -> None:
    life.breached()
    life.round()
    approved(life)
    life.falls(FALLEN, 1.5)
    life.round()
    life.falls(FALLEN, 1.5)
    life.round()
    assert life.venue.n_submitted == 1
    assert "hears of order" in life.plans()[0].note


def test_i32_nothing_is_planned_or_sold_on_doubtful_prices(life: RungLife) -> None:
    life.breached()
    life.round()
    approved(life)
    now = life.core.book.as_of
    life.core.trust.distrust("venue", "binance", "uncertain", 1, "it answers nonsense", "test")
    life.falls(LOWER, 4.0)
    for _ in range(5):
        life.falls(LOWER, 4.0)
        life.round()
    assert life.venue.n_submitted == 0
    assert "in doubt" in life.plans()[0].note
    life.core.trust.heal("venue", "binance", 1, "test")
    life.rounds(price=LOWER)
    assert life.venue.n_submitted > 0
    assert life.core.book.as_of >= now


def test_i32_a_doubt_from_before_the_rung_keeps_the_plan_off_and_is_told_once(
    life: RungLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rung_module, "AGAIN_SECONDS", 0.0)
    life.breached()
    life.core.trust.distrust("venue", "binance", "uncertain", 1, "it answers nonsense", "test")
    for _ in range(3):
        life.falls(LOWER)
        life.round()
    assert life.plans() == []
    assert "in doubt" in life.rung.waits["A"]
    (told,) = life.told()
    assert told["reason"].startswith("nothing is sold")
    life.core.trust.heal("venue", "binance", 1, "test")
    life.falls(LOWER)
    life.round()
    assert len(life.plans()) == 1


def test_an_armed_switch_plans_and_sends_nothing(life: RungLife) -> None:
    life.breached()
    life.kill_switch.arm("bob", "a test")
    life.round()
    assert life.plans() == []
    assert "kill switch" in life.rung.waits["A"]


def test_where_the_rung_waits_for_a_person_so_does_what_it_leads_to(
    database: Database, tmp_path: Path
) -> None:
    """Orders cannot be taken back: the more cautious of rung and agreement counts."""
    life = RungLife(database, tmp_path, close("automatic"))
    life.breached()
    life.round()
    assert [(one.mode, one.state) for one in life.plans()] == [("approval", "proposed")]


def test_automatic_on_both_sides_goes_by_itself_within_limits(
    database: Database, tmp_path: Path
) -> None:
    life = RungLife(database, tmp_path, close("automatic", AUTOMATIC))
    life.breached()
    life.round()
    life.rounds()
    (plan,) = life.plans()
    assert (plan.mode, plan.state) == ("automatic", "restored")
    assert life.venue.positions[HELD] < COINS


def test_i43_who_does_not_lead_any_more_records_and_sends_nothing(life: RungLife) -> None:
    life.breached()
    leases = life.database.loop_leases
    leases.take("intraday", "another", leases.look("intraday"))
    with pytest.raises(Fenced):
        life.round()
    assert life.plans() == [] and life.told() == []


def test_what_the_ladder_led_to_is_left_to_the_loop_by_everybody_else(life: RungLife) -> None:
    life.breached()
    life.round()
    approved(life)
    parts = life.rung.parts
    desk = rung_module.ReductionDesk(life.database, parts.policy_of().policy, life.kill_switch)

    class Known:
        def now(self, record, traded):
            raise AssertionError("not asked")

    waiting = asyncio.run(desk.send_due(parts.wiring, LeftToTheLoop(Known()))).waiting
    assert ["beside the loop" in words for words in waiting.values()] == [True]
    assert life.venue.n_submitted == 0


def test_a_rung_that_is_passed_again_is_planned_anew(
    life: RungLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rung_module, "AGAIN_SECONDS", 0.0)
    life.breached()
    life.round()
    approved(life)
    life.rounds()
    assert [one.state for one in life.plans()] == ["restored"]
    life.falls(50_000.0, seconds=30.0, n=3)
    life.heard()
    life.falls(50_000.0)
    life.round()
    assert [one.intent.attempt for one in life.plans()] == [1, 2]
    assert life.plans()[1].figures["ratio_before"] > 1.25


@pytest.mark.parametrize(
    "point", ["rung:plan", "reduction:propose", "reduction:proposed", "rung:planned"]
)
def test_whoever_comes_after_a_kill_finds_one_plan(
    life: RungLife, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    class Killed(BaseException):
        pass

    def killed(name: str) -> None:
        if name == point:
            raise Killed

    from infra.reduction import recording

    life.breached()
    for module in (rung_module, recording):
        monkeypatch.setattr(module, "crashpoint", killed)
    with pytest.raises(Killed):
        life.round()
    monkeypatch.undo()
    life.round(life.new_rung())
    life.round(life.new_rung())
    assert len(life.plans()) == 1 and len(life.told()) == 1
    assert life.plans()[0].intent.leg(1).quantity <= Decimal(COINS)
