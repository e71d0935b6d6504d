"""A rung that waits for a person acts when one says so, and a refusal ends the asking."""

from __future__ import annotations

from dataclasses import replace

from infra.db.intraday_grants import WAITS_FOR, Grant
from infra.intraday.core import Decision, LoopCore
from tests.worlds import small
from tests.worlds.loop import BITCOIN, RUN, WALL, base, bitcoin, instant, ticks

LADDER = "call@1.0/0.95:approval"


def asking(levels: object = None, ladder: str = LADDER) -> LoopCore:
    """Return a loop whose netting set A is called when a person has said so."""
    made = base({"A": 160_000.0, "B": 1e7})
    rules = small.rules(small.agreement("A", ladder=ladder), small.agreement("B"))
    core = LoopCore(replace(made, rules=rules), RUN, levels=levels)  # type: ignore[arg-type]
    core.watch(BITCOIN)
    return core


def tick(core: LoopCore, price: float, seconds: float) -> Decision:
    core.take_ticks(ticks(core, bitcoin(price), seconds))
    return core.decide(instant(seconds))


def said(decision: str, rung: str = "call", position: int = 1) -> Grant:
    return Grant(
        position=position, event_id="e1", run_id=RUN, netting_set_id="A", rung=rung,
        decision=decision, principal="ben", reason="the client confirms", recorded_at=WALL,
    )  # fmt: skip


def test_a_call_on_approval_waits_and_is_made_when_it_is_granted() -> None:
    core = asking()
    found = tick(core, 56_000.0, 1.0)
    assert found.calls == []
    (event,) = (one for one in found.events if one.kind == "breach")
    assert event.payload[WAITS_FOR] == "call"
    assert core.granting.as_json(core.names)["waiting"] == 1
    core.take_grants([said("granted")])
    (call,) = core.decide(instant(2.0)).calls
    assert call.figures["granted_by"] == "ben: the client confirms"
    assert core.granting.as_json(core.names)["waiting"] == 0


def test_a_rung_above_that_acts_by_itself_does_not_make_the_call_that_waits() -> None:
    core = asking(ladder=f"{LADDER},restrict@1.01/1.0:automatic")
    found = tick(core, 55_000.0, 1.0)
    assert found.calls == []
    (event,) = (one for one in found.events if one.kind == "breach")
    assert (event.payload["level"], event.payload[WAITS_FOR]) == ("restrict", "call")


def test_what_is_refused_is_not_asked_again_before_the_rung_is_left() -> None:
    core = asking()
    tick(core, 56_000.0, 1.0)
    core.take_grants([said("refused")])
    assert tick(core, 55_950.0, 2.0).calls == []
    assert core.granting.as_json(core.names) == {"waiting": 0, "shown": []}
    # Who changes their mind says so.
    core.take_grants([said("granted", position=2)])
    assert len(core.decide(instant(3.0)).calls) == 1


def test_a_grant_is_taken_back_before_the_call_and_ends_with_the_rung() -> None:
    core = asking()
    tick(core, 56_000.0, 1.0)
    core.take_grants([said("granted"), said("refused", position=2)])
    assert core.decide(instant(1.5)).calls == []
    core.take_grants([said("granted", position=3)])
    assert len(core.decide(instant(2.0)).calls) == 1
    # Left after the cool-down, the rung waits again the next time.
    for seconds in range(10, 400, 10):
        tick(core, 61_000.0 + seconds, float(seconds))
    assert core.level_names(core.book.figures().row)[0] in ("none", "warn")
    found = tick(core, 56_000.0, 410.0)
    assert found.calls == []
    assert core.granting.as_json(core.names)["waiting"] == 1


def test_after_a_restart_a_rung_that_waits_does_not_act_by_itself() -> None:
    core = asking()
    tick(core, 56_000.0, 1.0)
    again = asking(levels=core.ladder.level.copy())
    assert tick(again, 56_000.0, 2.0).calls == []
    again.take_grants([said("granted")])
    assert len(again.decide(instant(3.0)).calls) == 1


def test_decisions_on_what_is_not_there_change_nothing() -> None:
    core = asking()
    tick(core, 60_000.0, 1.0)
    core.take_grants([said("granted"), replace(said("granted"), netting_set_id="gone")])
    assert core.decide(instant(2.0)).calls == []
