"""What stands between adapters and a close: agreement of prices, instants, prices of settlement."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from data_contracts.preparation import empty_frame
from data_contracts.registry import contract
from engine.ports import AccountSnapshot, HeldPosition, Mark, Reading
from engine.settlement.variation import variation_margin
from infra.connections import AccountConnection
from infra.market.connected.frames import Limits, SourceFrames, source_frames
from infra.market.connected.quorum import agreed
from infra.market.connected.reading import AccountRead, MarketRead, SourceRead
from infra.market.connected.settled_prices import Present, with_settled_prices

DAY = date(2026, 11, 20)
CLOSE = datetime(2026, 11, 21, tzinfo=UTC)
OBSERVED = pd.Timestamp(CLOSE)
PERPETUAL, LINEAR, FUTURE = "deribit:BTC-PERPETUAL", "binance:BTCUSDT", "deribit:BTC-20NOV26"
LIMITS = Limits(CLOSE, 1_800.0)


@pytest.mark.parametrize(
    ("prices", "price", "outliers"),
    [
        ({"a": 100.0}, 100.0, set()),
        ({"a": 100.0, "b": 101.0}, 100.5, set()),
        ({"a": 100.0, "b": 101.0, "c": 110.0}, 100.5, {"c"}),
        ({"a": 100.0, "b": 110.0}, None, set()),
        ({"a": 90.0, "b": 100.0, "c": 110.0}, None, set()),
        ({"a": 100.0, "b": 100.0, "c": 0.01, "d": 100.0}, 100.0, {"c"}),
    ],
)
def test_most_venues_have_to_stand_within_the_band(
    prices: dict[str, float], price: float | None, outliers: set[str]
) -> None:
    found = agreed("index of BTC", prices, 0.02)
    assert found.price == price
    assert set(found.outliers) == outliers
    assert bool(found.reason) == (price is None)


def read(stamp: datetime, *, mark_stamp: datetime | None = None, is_complete: bool = True):
    reading = Reading(
        source="deribit",
        received_at=stamp,
        is_complete=is_complete,
        venue_time=CLOSE - timedelta(days=9),
    )
    snapshot = AccountSnapshot(
        account_id="deribit/1", reading=reading, balances=(), orders=(), margins=(),
        positions=(HeldPosition(instrument_id=PERPETUAL, quantity=Decimal(5)),),
    )  # fmt: skip
    account = AccountConnection(
        account_id="a", place="deribit/1", client_id="c", netting_set_id="c-1"
    )
    mark = Mark(
        instrument_id=PERPETUAL, mark_price=Decimal(9),
        reading=Reading(source="deribit", received_at=CLOSE, venue_time=mark_stamp or CLOSE),
    )  # fmt: skip
    market = MarketRead(instruments=empty_frame(contract("instruments")), marks=(mark,))
    whole = AccountRead(account=account, snapshot=snapshot)
    return source_frames(
        SourceRead(source="deribit", accounts=(whole,), market=market), DAY, LIMITS
    )


@pytest.mark.parametrize(
    ("stamp", "state", "reason"),
    [
        (CLOSE + timedelta(minutes=29), "read", None),
        (CLOSE - timedelta(minutes=29), "read", None),
        (CLOSE + timedelta(minutes=31), "stale", "31 min after the close: limit 30 min"),
        (CLOSE - timedelta(hours=5), "stale", "300 min before the close: limit 30 min"),
    ],
)
def test_an_account_of_another_instant_is_stale_and_has_no_rows(
    stamp: datetime, state: str, reason: str | None
) -> None:
    found = read(stamp)
    row = found.frame("readings").set_index("subject").loc["deribit/1"]
    assert row["state"] == state
    assert (row["dataset"], row["identifier"]) == ("positions", "c-1")
    assert len(found.frame("positions")) == (1 if state == "read" else 0)
    assert reason is None or reason in row["reason"]
    assert found.is_whole == (state == "read")


def test_a_market_in_which_nothing_is_new_is_stale_and_half_an_account_is_incomplete() -> None:
    frozen = read(CLOSE, mark_stamp=CLOSE - timedelta(minutes=45))
    market = frozen.frame("readings").set_index("subject").loc["market"]
    assert market["state"] == "stale" and frozen.frame("marks").empty
    half = read(CLOSE, is_complete=False).frame("readings").set_index("subject")
    assert half.loc["deribit/1", "state"] == "incomplete"


def frames(
    rows: list[tuple[str, str, float, float]], marks: dict[str, float], source: str = "deribit"
) -> dict[str, SourceFrames]:
    held = positions(rows)
    told = pd.DataFrame({"instrument_id": list(marks), "mark_price": list(marks.values())})
    places = pd.DataFrame({"location": [row[0] for row in rows] or ["acc"]})
    found = {"positions": held, "marks": told, "collateral": places}
    return {source: SourceFrames(source, found, is_whole=True)}


def positions(rows: list[tuple[str, str, float, float]]) -> pd.DataFrame:
    empty = empty_frame(contract("positions"))
    frame = pd.DataFrame(
        [
            {
                "business_date": pd.Timestamp(DAY), "source": "venue", "account_id": account,
                "instrument_id": instrument, "client_id": "c", "netting_set_id": "c-1",
                "venue": "deribit", "quantity": quantity, "settled_price": entry,
                "observed_utc": OBSERVED, "entry_price": entry,
            }
            for account, instrument, quantity, entry in rows
        ],
        columns=[*empty.columns, "entry_price"],
    )  # fmt: skip
    return frame.astype({**empty.dtypes.to_dict(), "entry_price": "float64"})


def instruments() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "instrument_id": [PERPETUAL, LINEAR, FUTURE],
            "kind": ["perpetual", "perpetual", "future"],
            "payoff": ["inverse", "linear", "inverse"],
        }
    )


def settled(now: pd.DataFrame, *earlier: dict[str, SourceFrames], expired: str = "") -> pd.Series:
    days = [(DAY - timedelta(days=n + 1), each) for n, each in enumerate(earlier)]
    present = Present(
        day=pd.Timestamp(DAY), read_at={"acc": OBSERVED}, expired=frozenset({expired} - {""})
    )
    found = with_settled_prices(now, days, instruments(), present)
    return found.set_index("instrument_id")["settled_price"]


@pytest.mark.parametrize(("instrument", "is_inverse"), [(PERPETUAL, True), (LINEAR, False)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gains_since_the_last_close_are_those_of_what_was_held_and_of_what_was_added(
    instrument: str, is_inverse: bool, sign: float
) -> None:
    """Whatever the two averages of entry are: no gain is settled twice, and none is lost."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        held, added = sign * rng.integers(1, 50, 2).astype(float)
        entry_0, mark_0, fill, mark_1 = 60_000 * np.exp(0.1 * rng.standard_normal(4))
        total = held + added
        average = (
            total / (held / entry_0 + added / fill)
            if is_inverse
            else (held * entry_0 + added * fill) / total
        )
        price = settled(
            positions([("acc", instrument, total, average)]),
            frames([("acc", instrument, held, entry_0)], {instrument: mark_0}),
        )[instrument]

        def gain(quantity: float, since: float, until: float) -> float:
            one = np.array([1.0])
            flags = np.array([is_inverse])
            return float(variation_margin(quantity * one, one, since * one, until * one, flags)[0])

        parts = gain(held, mark_0, mark_1) + gain(added, fill, mark_1)
        assert gain(total, price, mark_1) == pytest.approx(parts, rel=1e-9, abs=1e-12)


def test_what_shrank_keeps_its_last_settlement_and_what_turned_or_is_new_starts_at_entry() -> None:
    before = frames([("acc", PERPETUAL, 10.0, 50_000.0)], {PERPETUAL: 61_000.0})
    shrunk = positions([("acc", PERPETUAL, 4.0, 50_000.0)])
    assert settled(shrunk, before)[PERPETUAL] == 61_000.0
    turned = positions([("acc", PERPETUAL, -4.0, 62_000.0)])
    assert settled(turned, before)[PERPETUAL] == 62_000.0
    other = frames([("acc", LINEAR, 1.0, 1.0)], {LINEAR: 2.0})
    assert settled(positions([("acc", PERPETUAL, 4.0, 62_500.0)]), other)[PERPETUAL] == 62_500.0


def test_a_close_without_a_mark_is_passed_over_but_one_without_the_position_is_not() -> None:
    now = positions([("acc", PERPETUAL, 10.0, 50_000.0)])
    held = [("acc", PERPETUAL, 10.0, 50_000.0)]
    unmarked, marked = frames(held, {}), frames(held, {PERPETUAL: 61_000.0})
    assert settled(now, unmarked, marked)[PERPETUAL] == 61_000.0
    assert settled(now, frames([], {}), marked)[PERPETUAL] == 50_000.0


def test_what_expired_inside_the_day_settles_once_more_although_no_venue_shows_it() -> None:
    before = frames([("acc", FUTURE, 7.0, 1.0), ("gone", FUTURE, 2.0, 1.0)], {FUTURE: 61_000.0})
    empty = positions([])
    found = settled(empty, before, expired=FUTURE)
    # An account that was not read is not known to have delivered anything.
    assert found.to_dict() == {FUTURE: 61_000.0}
    assert settled(empty, before).empty
