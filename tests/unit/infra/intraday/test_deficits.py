"""Whoever floats rule out needs no call by exact decimals either."""

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.calls.margin_call import Holdings, decide_calls
from engine.intraday import LiveFigures
from infra.intraday.calling import OpenAmount, _outgrown, exact_sides
from infra.intraday.deficits import Deficits
from tests.worlds import small

AMOUNTS = st.one_of(st.floats(0.0, 1e9), st.integers(0, 10**6).map(lambda cents: cents / 100))
TERMS = {"threshold": 2_500.0, "independent_amount": 1_000.0, "rounding_increment": 100.0}


def figures(owed: float, cover: float) -> LiveFigures:
    one = {name: np.zeros(1) for name in LiveFigures.__slots__}
    return LiveFigures(**{**one, "owed": np.array([owed]), "cover": np.array([cover])})


def opened(amount: Decimal) -> OpenAmount:
    return OpenAmount(call_id="c", amount=amount, is_call=True, is_untouched=True)


@given(
    cover=AMOUNTS, called=st.integers(1, 10**5), beyond=st.floats(-500.0, 500.0),
    minimum=st.sampled_from((0.0, 100.0, 5_000.0)),
)  # fmt: skip
def test_who_is_ruled_out_is_called_nothing_by_exact_decimals(
    cover: float, called: int, beyond: float, minimum: float
) -> None:
    terms = small.agreement("A", minimum_transfer_amount=minimum, **TERMS)
    rules, known = small.rules(terms), opened(Decimal(100 * called))
    deficits = Deficits(("A",), rules)
    deficits.opened(0, known)
    owed = max(cover + float(known.amount) + 1_500.0 + beyond, 0.0)
    found = figures(owed, cover)
    needed, held = exact_sides(found, [terms], rules)
    none, never = np.array([Decimal(0)], dtype=object), np.zeros(1, dtype=np.bool_)
    amount = decide_calls(
        Holdings(
            agreements=[terms], requirement=needed, collateral=held, pending=none,
            is_releasable=never,
        )
    ).amount[0]  # fmt: skip
    is_called = amount > 0 and _outgrown(amount, known, terms)
    assert deficits.may_call(np.zeros(1, dtype=np.int64), found)[0] or not is_called


def test_only_an_open_call_rules_anybody_out() -> None:
    rules = small.rules(small.agreement("A"))
    deficits, row = Deficits(("A",), rules), np.zeros(1, dtype=np.int64)
    short = figures(9_000.0, 5_000.0)
    assert deficits.may_call(row, short).all()
    deficits.opened(0, opened(Decimal(5_000)))
    assert not deficits.may_call(row, short).any()
    assert deficits.may_call(row, figures(np.nan, 5_000.0)).all()
    deficits.opened(0, None)
    assert deficits.may_call(row, short).all()
