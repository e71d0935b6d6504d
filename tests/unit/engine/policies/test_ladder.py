"""The ladder by hand: when rungs are entered and left, and what may be acted upon."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from engine.calls.credit_support import CallTerms, credit_support
from engine.errors import ModelInputError, ParameterError
from engine.policies.ladder import (
    LadderMoves,
    LadderState,
    Readings,
    at_rest,
    grant,
    restored,
    sweep,
)
from engine.policies.ladder import step_ladder as step
from engine.policies.ladder_parameters import (
    CALL,
    NONE,
    REDUCE,
    RESTRICT,
    WARN,
    Ladder,
    LadderRung,
)
from engine.policies.ladder_terms import ladder_terms, terms_of, with_changes
from engine.policies.utilisation import utilisation
from infra.rules import agreements_from, rule_book
from tests.worlds import small

SECOND = 1_000_000_000
HOUSE = Ladder(
    warn=LadderRung(enter=0.9, release=0.85, cool_down_seconds=10.0),
    call=LadderRung(enter=1.0, release=0.98, cool_down_seconds=10.0),
    restrict=LadderRung(enter=1.1, release=1.0, cool_down_seconds=20.0),
    reduce=LadderRung(enter=1.25, release=1.1, dwell_seconds=5.0, cool_down_seconds=20.0),
)
TERMS = terms_of([HOUSE])


def read(
    state: LadderState, ratio: float, seconds: float, *, fresh: bool = True, floor: int = 0
) -> LadderMoves:
    """Step the only netting set with one reading."""
    row = np.zeros(1, dtype=np.int64)
    reading = Readings(row, np.array([ratio]), np.array([fresh]), np.array([floor]))
    return step(TERMS, state, reading, int(seconds * SECOND))


def levels(state: LadderState) -> tuple[int, int]:
    return int(state.level[0]), int(state.acting_level[0])


@pytest.mark.parametrize(
    ("ratio", "level"),
    [(0.0, NONE), (0.8999, NONE), (0.9, WARN), (1.0, CALL), (1.1, RESTRICT), (np.inf, RESTRICT)],
)
def test_a_ratio_enters_every_rung_up_to_its_own_at_once(ratio: float, level: int) -> None:
    state = at_rest(1)
    moves = read(state, ratio, 0)
    assert levels(state) == (level, level)
    assert list(moves.to_level) == ([level] if level else [])


def test_a_rung_with_a_dwell_is_entered_when_it_has_lasted() -> None:
    state = at_rest(1)
    read(state, 1.3, 0)
    assert levels(state) == (RESTRICT, RESTRICT)
    assert len(sweep(TERMS, state, 4 * SECOND)) == 0
    moves = sweep(TERMS, state, 5 * SECOND)
    assert (list(moves.from_level), list(moves.to_level)) == ([RESTRICT], [REDUCE])


def test_a_wick_does_not_reach_a_rung_with_a_dwell() -> None:
    state = at_rest(1)
    for second in range(0, 40, 4):
        read(state, 1.3, second)
        read(state, 1.2, second + 3.9)
    assert levels(state) == (RESTRICT, RESTRICT)


def test_a_rung_is_left_after_its_cool_down_without_a_break() -> None:
    state = at_rest(1)
    read(state, 1.05, 0)
    read(state, 0.80, 1)
    read(state, 0.981, 6)  # Above the release of the call: its wait starts anew.
    read(state, 0.80, 7)
    assert len(sweep(TERMS, state, 16 * SECOND)) == 0
    assert levels(state) == (CALL, CALL)
    moves = sweep(TERMS, state, 17 * SECOND)
    assert (list(moves.from_level), list(moves.to_level)) == ([CALL], [NONE])


def test_between_release_and_entry_nothing_changes() -> None:
    state = at_rest(1)
    read(state, 1.0, 0)
    for second in range(1, 1000, 7):
        assert len(read(state, 0.98 + 0.02 * (second % 2), second)) == 0
    assert levels(state) == (CALL, CALL)


@pytest.mark.parametrize(("ratio", "fresh"), [(0.1, False), (np.nan, True), (np.nan, False)])
def test_input_that_is_not_fresh_never_lowers(ratio: float, fresh: bool) -> None:
    state = at_rest(1)
    read(state, 1.05, 0)
    read(state, ratio, 1, fresh=fresh)
    assert len(sweep(TERMS, state, 10_000 * SECOND)) == 0
    assert levels(state) == (CALL, CALL)


def test_a_wait_for_release_starts_anew_after_input_was_stale() -> None:
    state = at_rest(1)
    read(state, 1.05, 0)
    read(state, 0.5, 1)
    read(state, 0.5, 9, fresh=False)
    read(state, 0.5, 10)
    assert len(sweep(TERMS, state, 19 * SECOND)) == 0
    assert len(sweep(TERMS, state, 20 * SECOND)) == 1


def test_input_that_is_not_fresh_still_raises() -> None:
    state = at_rest(1)
    read(state, 1.15, 0, fresh=False)
    assert levels(state) == (RESTRICT, RESTRICT)


def test_reduction_on_stale_input_waits_for_a_person_or_for_fresh_input() -> None:
    state = at_rest(1)
    read(state, 2.0, 0, fresh=False)
    sweep(TERMS, state, 100 * SECOND)
    assert levels(state) == (REDUCE, RESTRICT)
    read(state, 2.0, 101)
    assert levels(state) == (REDUCE, RESTRICT)
    moves = sweep(TERMS, state, 106 * SECOND)
    assert (list(moves.from_acting), list(moves.to_acting)) == ([RESTRICT], [REDUCE])


def test_a_grant_acts_until_the_rung_is_left() -> None:
    by_hand = terms_of([replace(HOUSE, call=replace(HOUSE.call, action="approval"))])
    state = at_rest(1)

    def at(ratio: float, second: int) -> tuple[int, int]:
        row = Readings(np.zeros(1, dtype=np.int64), np.array([ratio]), np.array([True]))
        step(by_hand, state, row, second * SECOND)
        return levels(state)

    assert at(1.05, 0) == (CALL, WARN)
    assert grant(state, 0, CALL)
    assert at(1.06, 1) == (CALL, CALL)
    at(0.5, 2)
    assert at(0.5, 12) == (NONE, NONE)
    assert not grant(state, 0, CALL)
    assert at(1.05, 13) == (CALL, WARN)
    with pytest.raises(ModelInputError, match="level is 5, limit 1 to 4"):
        grant(state, 0, 5)


def test_what_other_facts_demand_is_entered_and_not_left_by_the_ratio() -> None:
    state = at_rest(1)
    read(state, 0.2, 0, floor=RESTRICT)
    assert levels(state) == (RESTRICT, RESTRICT)
    sweep(TERMS, state, 1000 * SECOND)
    assert levels(state) == (RESTRICT, RESTRICT)
    read(state, 0.2, 1001)
    sweep(TERMS, state, 1021 * SECOND)
    assert levels(state) == (NONE, NONE)


def test_a_clock_that_goes_back_shortens_no_wait() -> None:
    state = at_rest(1)
    read(state, 1.05, 100)
    read(state, 0.5, 50)
    assert len(sweep(TERMS, state, 109 * SECOND)) == 0
    assert len(sweep(TERMS, state, 110 * SECOND)) == 1


def test_after_a_restart_the_level_is_kept_and_waits_start_anew() -> None:
    state = restored(np.array([RESTRICT]))
    assert len(sweep(TERMS, state, 10_000 * SECOND)) == 0
    read(state, 0.5, 10_000)
    assert levels(state) == (RESTRICT, RESTRICT)
    moves = sweep(TERMS, state, 10_020 * SECOND)
    assert list(moves.to_level) == [NONE]


def test_a_netting_set_is_read_once_a_step() -> None:
    twice = np.zeros(2, dtype=np.int64)
    with pytest.raises(ModelInputError, match="twice in one step"):
        Readings(twice, np.zeros(2), np.ones(2, dtype=np.bool_))
    with pytest.raises(ModelInputError, match="readings of 2 rows"):
        Readings(np.arange(2), np.zeros(1), np.ones(2, dtype=np.bool_))


@pytest.mark.parametrize(
    ("text", "rung", "enter", "release", "action"),
    [
        ("", "call", 1.0, 0.98, "automatic"),
        ("call@0.95/0.92", "call", 0.95, 0.92, "automatic"),
        ("warn@0.8/0.7, call@0.9/0.85:approval", "call", 0.9, 0.85, "approval"),
        ("reduce@1.5/1.2:automatic", "reduce", 1.5, 1.2, "automatic"),
    ],
)
def test_an_agreement_changes_rungs_of_the_house(
    text: str, rung: str, enter: float, release: float, action: str
) -> None:
    found: LadderRung = getattr(with_changes(HOUSE, text), rung)
    assert (found.enter, found.release, found.action) == (enter, release, action)
    assert found.cool_down_seconds == getattr(HOUSE, rung).cool_down_seconds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("call@1.0", "limit: rung@enter/release"),
        ("sell@1/0.9", "limit: rung@enter/release"),
        ("call@1/0.9,call@1/0.9", "each at most once"),
        ("call@0.9/0.95", "release is 0.95, limit below enter, 0.9"),
        ("call@2/1.5", "restrict.enter is 1.1, limit at least that of call, 2"),
        ("call@nan/0.9", "limit: rung@enter/release"),
    ],
)
def test_a_ladder_that_makes_no_sense_refuses_the_rule_book(text: str, says: str) -> None:
    plain = small.rules(small.agreement("A"))
    changed = replace(plain.agreements["A"], ladder=text)
    house = replace(plain.house, ladder=HOUSE)
    with pytest.raises(ParameterError, match=r"agreements\[A\]") as refusal:
        rule_book(house, "text", {"A": changed})
    assert says in str(refusal.value)


def test_terms_come_from_the_rule_book() -> None:
    plain = small.rules(small.agreement("A"), small.agreement("B"))
    book = replace(
        plain,
        house=replace(plain.house, ladder=HOUSE),
        agreements={
            **plain.agreements,
            "B": replace(plain.agreements["B"], ladder="warn@0.7/0.6:approval"),
        },
    )
    terms = ladder_terms(book, ["B", "A"])
    assert terms.enter.tolist() == [[0.7, 1.0, 1.1, 1.25], [0.9, 1.0, 1.1, 1.25]]
    assert terms.release[0, 0] == 0.6
    assert terms.is_automatic.tolist() == [[False, True, True, True], [True] * 4]
    assert terms.dwell_ns[1, 3] == 5 * SECOND
    with pytest.raises(ModelInputError, match="C has no agreement"):
        ladder_terms(book, ["C"])
    without = replace(book, house=replace(book.house, ladder=None))
    with pytest.raises(ParameterError, match=r"no \[ladder\]"):
        ladder_terms(without, ["A"])


@pytest.mark.parametrize("owed", [0.0, 10.0, 49.0, 50.0, 51.0, 120.0, 150.0, 151.0])
@pytest.mark.parametrize("independent", [0.0, 20.0, 120.0])
def test_utilisation_above_one_is_where_collateral_falls_short(
    owed: float, independent: float
) -> None:
    held, threshold = 100.0, 50.0
    one = np.ones(1)
    used = utilisation(owed * one, held * one, threshold * one, independent * one)
    terms = CallTerms(
        agreement="one_way",
        threshold=Decimal(50),
        minimum_transfer_amount=Decimal(0),
        independent_amount=Decimal(str(independent)),
    )
    wanted = credit_support(Decimal(str(owed)), terms).credit_support_amount
    assert bool(used[0] > 1.0) == (wanted > Decimal(100))


def test_utilisation_without_cover_is_infinite_and_without_knowledge_unknown() -> None:
    used = utilisation(
        np.array([0.0, 1.0, np.nan, 1.0]),
        np.array([0.0, 0.0, 5.0, np.nan]),
        np.zeros(4),
        np.zeros(4),
    )
    assert used[:2].tolist() == [0.0, np.inf]
    assert np.isnan(used[2:]).all()


def test_the_shipped_ladder_rises_and_says_when_reduction_needs_a_person() -> None:
    house = small.rules(small.agreement("A")).house
    assert house.ladder is not None
    enters = [rung.enter for rung in house.ladder.rungs]
    assert enters == sorted(enters)
    assert house.ladder.reduce.action == "approval"


def test_an_agreement_s_ladder_comes_with_its_row_and_an_empty_cell_is_the_house_s() -> None:
    columns = ("netting_set_id", "client_id", "currency", "confidence", "threshold",
               "minimum_transfer_amount", "rounding_increment", "independent_amount", "cure_hours",
               "effective_date")  # fmt: skip
    row = {name: getattr(small.agreement("A"), name) for name in columns}
    rows = pd.DataFrame(
        [{**row, "ladder": None}, {**row, "netting_set_id": "B", "ladder": "call@0.95/0.9"}]
    )
    found = agreements_from(rows)
    assert (found["A"].ladder, found["B"].ladder) == ("", "call@0.95/0.9")
