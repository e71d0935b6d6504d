"""Laws of calls over all inputs: amounts, returns, escalation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.calls.escalation import Ageing, steps_due
from engine.calls.margin_call import decide_call
from engine.calls.permissions import require_allowed
from engine.calls.returns import ReleaseFacts, obstacles
from engine.calls.standing import FACT_KINDS, CallFact, Standing, after, fold
from engine.calls.states import END_STATES, LATE, STATES, next_states
from engine.calls.terms import levels_of
from engine.errors import ModelInputError, StateError
from engine.money import Money
from tests.unit.engine.calls.agreements import agreement

CENTS = st.integers(0, 10**12).map(lambda cents: Decimal(cents) / 100)
POSITIVE = st.integers(1, 10**12).map(lambda cents: Decimal(cents) / 100)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ATTEMPTS = st.lists(
    st.tuples(st.sampled_from(FACT_KINDS), st.integers(-5, 130), st.integers(1, 20), st.booleans()),
    max_size=30,
)


def lived(called: int, attempts: list[tuple[str, int, int, bool]], direction: str = "call"):
    """Yield each standing that allowed attempts lead to, with the fact that led there."""
    standing = Standing(call_id="c", direction=direction, state="issued", called=Decimal(called))
    yield None, standing, standing
    for number, (kind, amount, pledge, is_last) in enumerate(attempts, start=3):
        fact = CallFact(
            kind=kind, number=number, amount=Decimal(amount), pledge=pledge, is_last=is_last
        )
        try:
            require_allowed(standing, fact)
        except (StateError, ModelInputError):
            continue
        before, standing = standing, after(standing, fact)
        yield fact, before, standing


@given(called=st.integers(1, 100), attempts=ATTEMPTS, direction=st.sampled_from(["call", "return"]))
def test_i22_any_life_keeps_its_amounts_in_order(called, attempts, direction) -> None:
    for fact, before, now in lived(called, attempts, direction):
        assert 0 <= now.outstanding <= now.called
        assert now.outstanding == max(now.called - now.settled, 0)
        assert 0 <= now.disputed <= now.outstanding
        assert now.agreed <= now.called
        assert max(now.agreed, min(now.settled, now.called)) + now.unanswered <= now.called
        assert now.in_flight >= 0 <= now.uncovered
        assert now.pledged >= now.in_flight
        assert (now.state == "settled") == (not now.outstanding)
        assert now.state in STATES
        if now.state != before.state:
            assert now.state in next_states(before.state)
        if before.state in LATE:
            assert now.state in LATE | {"settled"}
        if fact is not None and fact.kind == "settled":
            assert before.settled + fact.amount == now.settled


@given(called=st.integers(1, 100), attempts=ATTEMPTS)
def test_a_call_is_the_fold_of_its_facts(called, attempts) -> None:
    facts, last = [], None
    for fact, _, now in lived(called, attempts):
        facts += [fact] if fact is not None else []
        last = now
    start = Standing(call_id="c", direction="call", state="issued", called=Decimal(called))
    assert fold(start, facts) == last


@given(
    shortfall=POSITIVE,
    minimum=st.integers(0, 10**9).map(float),
    increment=st.sampled_from([0.01, 10.0, 25_000.0]),
    held=CENTS,
)
def test_i18_a_call_is_nothing_or_at_least_the_minimum_and_never_rounded_down(
    shortfall, minimum, increment, held
) -> None:
    terms = agreement(minimum_transfer_amount=minimum, rounding_increment=increment)
    decided = [
        decide_call(
            Money(held + shortfall, "USD"),
            Money(held, "USD"),
            terms,
            fresh=True,
            has_open_break=False,
            pending=Money(Decimal(0), "USD"),
        )
        for _ in range(2)
    ]
    assert decided[0] == decided[1]
    called = decided[0].amount.amount
    assert called == 0 or called >= Decimal(str(minimum))
    if called:
        # I-22: no more than the shortfall and one step of rounding.
        assert shortfall <= called < shortfall + Decimal(str(increment))


@given(excess=POSITIVE, fresh=st.booleans(), has_break=st.booleans(), held=POSITIVE, pending=CENTS)
def test_i23_excess_goes_back_only_on_fresh_inputs_without_a_break(
    excess, fresh, has_break, held, pending
) -> None:
    decided = decide_call(
        Money(held, "USD"),
        Money(held + excess, "USD"),
        agreement(minimum_transfer_amount=0.0, rounding_increment=0.01),
        fresh=fresh,
        has_open_break=has_break,
        pending=Money(pending, "USD"),
    )
    returned = -min(decided.amount.amount, Decimal(0))
    assert returned <= excess
    if not fresh or has_break:
        assert returned == 0


@given(
    fresh=st.booleans(),
    latest=st.booleans(),
    breaks=st.lists(st.sampled_from("abc")),
    calls=st.lists(st.sampled_from("xyz")),
)
def test_i23_every_obstacle_to_a_return_is_named(fresh, latest, breaks, calls) -> None:
    found = obstacles(
        ReleaseFacts(
            is_fresh=fresh, is_latest=latest, open_breaks=tuple(breaks), open_calls=tuple(calls)
        )
    )
    assert len(found) == (not fresh) + (not latest) + len(breaks) + len(calls)


@given(
    hours=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    state=st.sampled_from(sorted(STATES)),
)
def test_i24_however_often_time_is_looked_at_each_level_comes_once(hours, state) -> None:
    levels = levels_of("desk@0,risk@2,reduction@4")
    told: list[int] = []
    now = NOON - timedelta(hours=3)
    for step in hours:
        now += timedelta(hours=step)
        call = Ageing(call_id="c", state=state, due_at=NOON, levels=levels, done=frozenset(told))
        for found in steps_due([call], now):
            assert found.due_at <= now
            assert found.kind == state or found.kind in next_states(state)
            state = found.kind
            if found.level is not None:
                told.append(found.level.level)
    assert told == sorted(set(told))
    if state in END_STATES:
        assert told == []
