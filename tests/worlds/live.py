"""Live books of the small market, and what is held against them: a full assessment."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from engine.assess import assess
from engine.assessment import Assessment
from engine.intraday import LiveBook, LiveFigures, MarkChanges
from engine.rules import RuleBook
from engine.snapshot import LastFresh, PositionSet
from engine.times import to_nanoseconds
from tests.worlds import small, venues

OPENED_NS = to_nanoseconds(small.AS_OF)
HELD = (
    ("A", "binance:BTCUSDT", 1.5),
    ("A", "binance:BTCUSDT-SPOT", 0.5),
    ("A", "deribit:BTC-26JUN26-60000-C", -3.0),
    ("A", "deribit:BTC-26JUN26-60000-P", 2.0),
    ("A", "deribit:BTC-PERPETUAL", -400.0),
    ("B", "binance:ETHUSDT", -20.0),
    ("B", "okx:ETH-BTC-QUANTO", 900.0),
    ("B", "bybit:ETH-26JUN26-3000-C", 10.0),
    ("C", "binance:SOLUSDT", 120.0),
    ("C", "binance:NEWUSDT", -4_000.0),
    ("D", "deribit:BTC-26JUN26", 90.0),
)
PLEDGED = (
    ("A", "USD", 1e5), ("A", "BTC", 2.0), ("B", "USDT", 3e4), ("B", "ETH", 12.0),
    ("C", "SOL", 90.0), ("C", "USDC", 5e3), ("D", "BTC", 0.7),
)  # fmt: skip
EXACT = ("requirement", "collateral_value", "excess", "margin_ratio")


def rules() -> RuleBook:
    """Return the shipped rules with four agreements, one of them not in USD."""
    return small.rules(
        small.agreement("A"),
        small.agreement("B", threshold=5_000.0),
        small.agreement("C", currency="EUR", confidence=0.975),
        small.agreement("D", confidence=0.995),
    )


def opened(last_fresh: LastFresh | None = None) -> tuple[LiveBook, RuleBook]:
    """Return a live book of four netting sets without venue accounts, and its rules."""
    book = rules()
    positions = small.position_set(*HELD)
    return (
        LiveBook.open(
            small.snapshot(), positions, small.collateral_set(*PLEDGED), book, last_fresh
        ),
        book,
    )


def opened_with_accounts() -> tuple[LiveBook, RuleBook]:
    """Return the same book with its venue accounts known, margined by the venues' own models."""
    agreements = rules().agreements.values()
    book = venues.rules(*agreements)
    held = small.position_set(*(each for each in HELD if each[0] in "BD"))
    known = venues.accounts(
        ("B", "binance", "usdm_cross"), ("D", "deribit", "segregated_portfolio")
    )
    positions = PositionSet(held.positions, held.open_orders, known)
    collateral = small.collateral_set(*(each for each in PLEDGED if each[0] in "BD"))
    return LiveBook.open(small.snapshot(), positions, collateral, book), book


def ticked(book: LiveBook, prices: dict[str, float], at_seconds: int = 60) -> MarkChanges:
    """Return changes of marks by instrument, or of rates by asset."""
    names = {str(name): row for row, name in enumerate(book.instrument_id)}
    marks = {names[name]: price for name, price in prices.items() if name in names}
    rates = {book.assets.index(n): rate for n, rate in prices.items() if n not in names}
    same = np.full(len(marks), np.nan)
    return MarkChanges(
        instrument=np.array(list(marks), dtype=np.int64),
        mark_price=np.array(list(marks.values())),
        mark_iv=same,
        forward_price=same,
        asset=np.array(list(rates), dtype=np.int64),
        usd_rate=np.array(list(rates.values())),
        observed_ns=OPENED_NS + at_seconds * 1_000_000_000,
    )


def assessed(book: LiveBook, rules_of: RuleBook, last_fresh: LastFresh | None = None) -> Assessment:
    """Return the full assessment of what the book holds now."""
    return assess(*book.inputs(), rules_of, last_fresh)


def require_equal(found: LiveFigures, whole: Assessment) -> None:
    """Fail unless the figures are those of the assessment, to the bit."""
    frame = whole.requirements
    for name in EXACT:
        expected = frame[name].to_numpy(dtype=np.float64)[found.row]
        assert np.array_equal(getattr(found, name), expected, equal_nan=True), name
    owed = "owed" if "owed" in frame else "requirement"
    expected = frame[owed].to_numpy(dtype=np.float64)[found.row]
    assert np.array_equal(found.owed, expected, equal_nan=True)
    for name in ("status", "reason"):
        assert getattr(found, name).tolist() == frame[name].iloc[found.row].tolist()
    if "binding" in frame:
        assert found.binding.tolist() == frame["binding"].iloc[found.row].tolist()


LATER = small.AS_OF + timedelta(hours=5)
