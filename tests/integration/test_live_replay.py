"""Real days bar by bar: at every checked instant the live book says what an assessment says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.assess import assess
from engine.intraday import LiveBook, MarkChanges
from tests.worlds.live import require_equal
from tests.worlds.real import real_close

OPENED = date(2025, 10, 8)
FIRST, LAST = datetime(2025, 10, 9, tzinfo=UTC), datetime(2025, 10, 14, tzinfo=UTC)
CHECKED_EVERY = 24


def bars(folder: Path) -> pd.DataFrame:
    """Return closes of quarters of an hour by asset, one column each."""
    rows = pd.read_parquet(folder / "prices_15m_perp.parquet", columns=["ts_utc", "asset", "close"])
    rows = rows[(rows["ts_utc"] >= FIRST) & (rows["ts_utc"] < LAST)]
    return rows.pivot_table(index="ts_utc", columns="asset", values="close").ffill()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_five_days_around_2025_10_10_equal_the_assessment(real_data: Path) -> None:
    close = real_close(real_data, OPENED, 40)
    book = LiveBook.open(close.snapshot, close.positions, close.collateral, close.rules)
    start = book.inputs()[0]
    marks = start.marks.set_index("instrument_id")
    table = start.instruments.set_index("instrument_id").loc[list(book.instrument_id)]
    names = list(book.instrument_id)
    rates = dict(zip(start.index_prices["asset"], start.index_prices["index_price"], strict=True))
    prices = bars(real_data)
    assets = [asset for asset in prices.columns if asset in rates]
    assert {"BTC", "ETH", "SOL"} <= set(assets)
    rows = {
        asset: np.array(
            [
                row
                for row, name in enumerate(names)
                if table.loc[name, "underlying"] == asset and name in marks.index
            ]
        )
        for asset in assets
    }
    n_checked, lowest = 0, np.inf
    for k, (instant, bar) in enumerate(prices.iterrows()):
        seen = pd.Timestamp(str(instant)) + pd.Timedelta(minutes=15)
        for asset in assets:
            factor = float(bar[asset]) / float(rates[asset])
            at = rows[asset]
            of_rows = marks.loc[[names[row] for row in at]]
            is_option = (table.loc[[names[row] for row in at], "kind"] == "option").to_numpy()
            book.apply_marks(
                MarkChanges(
                    instrument=at,
                    mark_price=of_rows["mark_price"].to_numpy() * np.where(is_option, 1.0, factor),
                    mark_iv=np.full(len(at), np.nan),
                    forward_price=of_rows["forward_price"].to_numpy() * factor,
                    asset=np.array([book.assets.index(asset)]),
                    usd_rate=np.array([float(bar[asset])]),
                    observed_ns=seen.value,
                )
            )
        book.advance(seen.to_pydatetime())
        found = book.figures(book.screened())
        assert found.requirement.size
        if k % CHECKED_EVERY == 0:
            require_equal(book.figures(), assess(*book.inputs(), close.rules))
            n_checked += 1
        lowest = min(lowest, float(bar["BTC"]))
    assert n_checked == -(-len(prices) // CHECKED_EVERY) and len(prices) == 480
    # The crash of 10 October is in what was replayed.
    assert lowest < 110_000.0
