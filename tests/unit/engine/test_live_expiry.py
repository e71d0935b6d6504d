"""A live book at the millisecond of an expiry: one instant before it is held, then it is not."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from engine.times import to_nanoseconds
from tests.worlds import live

FUTURE, EXPIRY = "deribit:BTC-26JUN26", pd.Timestamp("2026-06-26T08:00Z").to_pydatetime()
D = np.array([3])
MILLISECOND = timedelta(milliseconds=1)


def test_i35_a_future_needs_margin_up_to_its_expiry_and_none_from_then_on() -> None:
    book, rules = live.opened()
    assert book.netting_set_id[3] == "D"
    seconds = (to_nanoseconds(EXPIRY) - live.OPENED_NS) // 1_000_000_000
    book.apply_marks(live.ticked(book, {FUTURE: 61_000.0, "BTC": 61_000.0}, seconds - 60))
    owed = []
    for instant in (EXPIRY - MILLISECOND, EXPIRY, EXPIRY + MILLISECOND):
        book.advance(instant)
        figures = book.figures(D)
        owed.append(float(figures.owed[0]))
        assert figures.status.tolist() == ["assessed"], figures.reason
        # The same as a close at that instant finds, to the bit.
        live.require_equal(book.figures(), live.assessed(book, rules))
    assert owed[0] > 0.0
    assert owed[1:] == [0.0, 0.0]
