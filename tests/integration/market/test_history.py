"""From history alone: each derived figure follows its documented rule, and nothing is made up."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from engine.errors import ContractViolation, MissingDataError
from infra.market.daily import DATASETS
from infra.market.source import open_source

DAY = date(2026, 3, 27)
CLOSE = pd.Timestamp("2026-03-28T00:00:00Z")
MARKET = [dataset.name for dataset in DATASETS if dataset.origin == "market"]


def _prices(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    names = ["date", "asset", "close", "volume", "volume_usd", "quote", "utc_aligned"]
    frame = pd.DataFrame(rows, columns=names)
    frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[ms]")
    return frame


def _days(
    asset: str, close: float, quote: str, n: int = 40, **more: object
) -> list[tuple[object, ...]]:
    days = pd.date_range(end=pd.Timestamp(DAY), periods=n)
    volume, usd = more.get("volume", np.nan), more.get("volume_usd", np.nan)
    return [(day, asset, close, volume, usd, quote, more.get("aligned", True)) for day in days]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory of history: five assets and two currencies, no option chain."""
    rows = [
        *_days("BTC", 68_000.0, "USDT", volume=30_000.0),
        *_days("ETH", 2_000.0, "USD", volume_usd=4e9, aligned=False),
        *_days("1000PEPE", 0.0093, "USDT", volume=1e9),
        *_days("EURT", 1.1, "GBP"),
        *_days("USDT", 0.99, "USD"),
        *_days("USDC", 1.02, "USDT"),
        *_days("DEAD", 5.0, "USDT")[:-10],
    ]
    _prices(rows).to_parquet(tmp_path / "prices_daily.parquet", index=False)
    return tmp_path


def _read(folder: Path, dataset: str, day: date = DAY) -> pd.DataFrame:
    rows = open_source(str(folder)).read(dataset, day)
    outcome = validate(contract(dataset), rows.frame, day, Judge.MASKS)
    assert len(outcome.quarantined) == 0, outcome.quarantined["_reason"].iloc[0]
    assert outcome.refusal is None
    return outcome.accepted


def _by(frame: pd.DataFrame, key: str, column: str) -> dict[str, object]:
    return dict(zip(frame[key], frame[column], strict=True))


@pytest.mark.parametrize("dataset", MARKET)
def test_every_dataset_of_the_market_is_accepted_whole(dataset: str, folder: Path) -> None:
    _read(folder, dataset)


def test_indices_are_closes_in_usd_and_unknown_currencies_have_none(folder: Path) -> None:
    prices = _by(_read(folder, "index_prices"), "asset", "index_price")
    assert prices["BTC"] == pytest.approx(68_000.0 * 0.99, rel=1e-15)
    assert prices["ETH"] == 2_000.0
    assert prices["USDC"] == pytest.approx(1.02 * 0.99, rel=1e-15)
    assert "EURT" not in prices
    assert "DEAD" not in prices


def test_days_that_are_not_utc_days_are_observed_two_hours_earlier(folder: Path) -> None:
    observed = _by(_read(folder, "index_prices"), "asset", "observed_utc")
    assert observed["BTC"] == CLOSE
    assert observed["ETH"] == CLOSE - pd.Timedelta(hours=2)


def test_currencies_have_the_rate_of_the_day_and_usd_is_one(folder: Path) -> None:
    rates = _by(_read(folder, "fx_rates"), "asset", "usd_rate")
    assert rates == {"USD": 1.0, "USDT": 0.99, "USDC": pytest.approx(1.02 * 0.99, rel=1e-15)}


def test_without_a_close_of_usdt_nothing_in_usdt_has_a_value_in_usd(folder: Path) -> None:
    path = folder / "prices_daily.parquet"
    frame = pd.read_parquet(path)
    lost = (frame["asset"] == "USDT") & (frame["date"] == pd.Timestamp(DAY))
    frame[~lost].to_parquet(path, index=False)
    assert _by(_read(folder, "fx_rates"), "asset", "usd_rate") == {"USD": 1.0}
    assert set(_read(folder, "index_prices")["asset"]) == {"ETH"}
    marks = _by(_read(folder, "marks"), "instrument_id", "mark_price")
    assert marks["binance:BTCUSDT"] == 68_000.0
    assert "binance:ETHUSDT" not in marks
    assert "deribit:BTC-PERPETUAL" not in marks
    origin = open_source(str(folder)).read("index_prices", DAY).origin
    assert "no close of USDT, so prices in USDT have no value in USD" in origin


def test_instruments_are_listed_by_rule(folder: Path) -> None:
    listed = _read(folder, "instruments").set_index("instrument_id")
    expiries = {"27MAR26", "26JUN26", "25SEP26", "25DEC26", "26MAR27"}
    assert set(listed.index) == {
        "binance:BTCUSDT", "binance:BTCUSDT-SPOT", "binance:ETHUSDT", "binance:ETHUSDT-SPOT",
        "binance:1000PEPEUSDT", "binance:DEADUSDT", "binance:DEADUSDT-SPOT",
        "binance:EURTUSDT", "binance:EURTUSDT-SPOT", "binance:USDCUSDT-SPOT",
        "deribit:BTC-PERPETUAL", "deribit:ETH-PERPETUAL",
        *(f"deribit:{asset}-{expiry}" for asset in ("BTC", "ETH") for expiry in expiries),
    }  # fmt: skip
    assert listed.loc["deribit:BTC-PERPETUAL", "contract_multiplier"] == 10.0
    assert listed.loc["deribit:ETH-26JUN26", "contract_multiplier"] == 1.0
    assert listed.loc["binance:BTCUSDT", ["tick_size", "lot_size"]].tolist() == [1.0, 0.0001]
    assert listed.loc["binance:1000PEPEUSDT", ["tick_size", "lot_size"]].tolist() == [1e-7, 1000.0]


def test_an_asset_without_a_close_on_the_date_is_listed_and_has_no_mark(folder: Path) -> None:
    assert "binance:DEADUSDT" not in set(_read(folder, "marks")["instrument_id"])


def test_linear_marks_are_closes_in_usdt(folder: Path) -> None:
    marks = _by(_read(folder, "marks"), "instrument_id", "mark_price")
    assert marks["binance:BTCUSDT"] == marks["binance:BTCUSDT-SPOT"] == 68_000.0
    assert marks["binance:ETHUSDT"] == pytest.approx(2_000.0 / 0.99, rel=1e-15)
    assert marks["deribit:ETH-PERPETUAL"] == 2_000.0


def test_futures_without_a_known_basis_stand_at_the_index(folder: Path) -> None:
    marks = _by(_read(folder, "marks"), "instrument_id", "mark_price")
    assert marks["deribit:ETH-25DEC26"] == 2_000.0


def test_what_expired_on_the_date_is_settled_by_the_hour_that_ended_then(folder: Path) -> None:
    assert "deribit:BTC-27MAR26" not in set(_read(folder, "marks")["instrument_id"])
    hourly = pd.DataFrame(
        {
            "ts_utc": pd.to_datetime(
                ["2026-03-27T06:00Z", "2026-03-27T07:00Z", "2026-03-27T07:00Z"]
            ),
            "asset": "BTC",
            "market": ["spot", "perp", "spot"],
            "close": [1.0, 2.0, 68_540.0],
        }
    )
    hourly.to_parquet(folder / "prices_hourly.parquet", index=False)
    marks = _read(folder, "marks").set_index("instrument_id")
    settled = marks.loc["deribit:BTC-27MAR26"]
    assert settled["settlement_price"] == pytest.approx(68_540.0 * 0.99, rel=1e-15)
    assert settled["observed_utc"] == pd.Timestamp("2026-03-27T08:00:00Z")
    assert marks["settlement_price"].notna().sum() == 1


def test_liquidity_is_the_median_volume_with_depth_and_spread_by_rule(folder: Path) -> None:
    rows = _read(folder, "liquidity").set_index("asset")
    assert rows.loc["BTC", "average_daily_volume_usd"] == 30_000.0 * 68_000.0
    assert rows.loc["ETH", "average_daily_volume_usd"] == 4e9
    assert rows.loc["ETH", "depth_usd"] == 4e7
    assert rows.loc["ETH", "spread"] == pytest.approx(0.00005 * math.sqrt(2.5), rel=1e-12)
    assert set(rows.index) == {"BTC", "ETH", "1000PEPE"}


def test_four_days_of_volume_are_too_few(tmp_path: Path) -> None:
    rows = [*_days("BTC", 68_000.0, "USD"), *_days("BTC", 68_000.0, "USD", n=4, volume=1.0)]
    frame = _prices(rows).drop_duplicates(["date", "asset"], keep="last")
    frame.to_parquet(tmp_path / "prices_daily.parquet", index=False)
    assert len(_read(tmp_path, "liquidity")) == 0


def _funding(folder: Path, rate: float) -> None:
    times = pd.date_range("2026-03-17T00:00Z", "2026-03-28T00:00Z", freq="8h").as_unit("ms")
    pd.DataFrame(
        {"ts_utc": times, "venue": "binance", "symbol": "BTCUSDT", "asset": "BTC",
         "funding_rate": rate, "interval_hours": 8, "source": "x"}
    ).to_parquet(folder / "funding.parquet", index=False)  # fmt: skip


def test_basis_before_futures_is_the_weeks_mean_of_annual_funding(folder: Path) -> None:
    _funding(folder, 0.0001)
    history = _read(folder, "basis_history")
    assert history["annual_basis"].unique() == pytest.approx([0.0001 * 3 * 365])
    assert history["date"].max() == pd.Timestamp(DAY)
    marks = _by(_read(folder, "marks"), "instrument_id", "mark_price")
    years = (pd.Timestamp("2026-12-25T08:00Z") - CLOSE) / pd.Timedelta(days=365)
    carried = 68_000.0 * 0.99 * math.exp(0.1095 * years)
    assert marks["deribit:BTC-25DEC26"] == pytest.approx(carried, rel=1e-12)


def test_funding_of_the_date_is_read_after_the_previous_close(folder: Path) -> None:
    _funding(folder, 0.0001)
    times = _read(folder, "funding")["ts_utc"]
    assert times.tolist() == [CLOSE - pd.Timedelta(hours=h) for h in (16, 8, 0)]


def _chain(folder: Path) -> None:
    def row(
        ts: str, name: str, expiry: str, strike: float, right: str, mark: float
    ) -> dict[str, object]:
        return {
            "ts_utc": pd.Timestamp(ts), "venue": "deribit", "currency": "BTC",
            "instrument_name": name, "expiry_utc": pd.Timestamp(expiry), "strike": strike,
            "option_type": right, "bid_price": None, "ask_price": None, "mark_price": mark,
            "mark_iv": 0.5, "underlying_price": 67_500.0, "index_price": 67_000.0,
        }  # fmt: skip

    early, late, before = "2026-03-27T04:00Z", "2026-03-27T16:00Z", "2026-03-26T16:00Z"
    june, today = "2026-06-26T08:00Z", "2026-03-27T08:00Z"
    pd.DataFrame(
        [
            row(before, "BTC-27MAR26-60000-C", today, 60_000.0, "C", 0.1),
            row(before, "BTC-27MAR26-80000-C", today, 80_000.0, "C", 0.0),
            row(early, "BTC-26JUN26-70000-C", june, 70_000.0, "C", 0.09),
            row(late, "BTC-26JUN26-70000-C", june, 70_000.0, "C", 0.08),
            row(late, "BTC-26JUN26-20000-P", june, 20_000.0, "P", 0.0),
        ]
    ).to_parquet(folder / "options_deribit_snapshots.parquet", index=False)
    pd.DataFrame(
        {
            "ts_utc": pd.to_datetime([late, late, early]), "currency": "BTC",
            "instrument_name": ["BTC-26JUN26", "BTC-PERPETUAL", "BTC-PERPETUAL"],
            "expiry_utc": pd.to_datetime([june, None, None], utc=True),
            "price": [67_400.0, 67_010.0, 1.0], "index_price": 67_000.0,
        }
    ).to_parquet(folder / "futures_term_deribit.parquet", index=False)  # fmt: skip


def test_an_option_chain_sets_index_and_marks_at_its_own_instant(folder: Path) -> None:
    _chain(folder)
    index = _read(folder, "index_prices").set_index("asset").loc["BTC"]
    assert index["index_price"] == 67_000.0
    assert index["observed_utc"] == pd.Timestamp("2026-03-27T16:00Z")
    marks = _read(folder, "marks").set_index("instrument_id")
    option = marks.loc["deribit:BTC-26JUN26-70000-C"]
    assert option[["mark_price", "mark_iv", "forward_price"]].tolist() == [0.08, 0.5, 67_500.0]
    assert marks.loc["deribit:BTC-26JUN26-20000-P", "mark_price"] == 5e-9
    assert marks.loc["deribit:BTC-26JUN26", "mark_price"] == 67_400.0
    assert marks.loc["deribit:BTC-PERPETUAL", "mark_price"] == 67_010.0
    assert marks.loc["binance:BTCUSDT", "mark_price"] == pytest.approx(67_000.0 / 0.99, rel=1e-15)
    assert set(marks.loc[marks.index.str.startswith("deribit:BTC"), "observed_utc"]) == {
        pd.Timestamp("2026-03-27T16:00Z")
    }


def test_options_that_expired_on_the_date_are_listed_and_settled(folder: Path) -> None:
    _chain(folder)
    hourly = {"ts_utc": [pd.Timestamp("2026-03-27T07:00Z")], "asset": ["BTC"], "market": ["perp"],
              "close": [68_000.0 / 0.99]}  # fmt: skip
    pd.DataFrame(hourly).to_parquet(folder / "prices_hourly.parquet", index=False)
    listed = _read(folder, "instruments").set_index("instrument_id")
    assert listed.loc["deribit:BTC-27MAR26-60000-C", "option_type"] == "call"
    marks = _read(folder, "marks").set_index("instrument_id")
    inside = marks.loc["deribit:BTC-27MAR26-60000-C"]
    assert inside["mark_price"] == pytest.approx(8_000.0 / 68_000.0, rel=1e-12)
    assert inside["settlement_price"] == pytest.approx(68_000.0, rel=1e-12)
    assert marks.loc["deribit:BTC-27MAR26-80000-C", "mark_price"] == 5e-9


def test_basis_of_futures_takes_the_place_of_funding(folder: Path) -> None:
    _funding(folder, 0.0001)
    _chain(folder)
    last = _read(folder, "basis_history").iloc[-1]
    years = (pd.Timestamp("2026-06-26T08:00Z") - pd.Timestamp("2026-03-27T16:00Z")) / pd.Timedelta(
        days=365
    )
    assert last["annual_basis"] == pytest.approx(math.log(67_400.0 / 67_000.0) / years, rel=1e-9)


def test_a_bad_close_gives_no_index_and_no_mark(folder: Path) -> None:
    path = folder / "prices_daily.parquet"
    frame = pd.read_parquet(path)
    today = (frame["date"] == pd.Timestamp(DAY)) & (frame["asset"] == "ETH")
    frame.loc[today, "close"] = -2_000.0
    frame.to_parquet(path, index=False)
    assert "ETH" not in set(_read(folder, "index_prices")["asset"])
    assert "binance:ETHUSDT" not in set(_read(folder, "marks")["instrument_id"])


def test_files_of_a_dataset_take_the_place_of_its_rule(folder: Path) -> None:
    own = pd.DataFrame({"business_date": [pd.Timestamp(DAY)], "asset": ["USD"], "usd_rate": [1.0],
                        "observed_utc": [CLOSE]})  # fmt: skip
    own.to_parquet(folder / "fx_rates.parquet", index=False)
    assert open_source(str(folder)).read("fx_rates", DAY).origin == "fx_rates.parquet"


@pytest.mark.parametrize("dataset", ["instruments", "marks", "index_prices", "price_history"])
def test_a_date_without_closes_names_the_nearest(dataset: str, folder: Path) -> None:
    with pytest.raises(
        MissingDataError, match="no price_history for 2026-04-02: the nearest is 2026-03-27"
    ):
        open_source(str(folder)).read(dataset, date(2026, 4, 2))


def test_history_without_any_currency_in_usd_gives_no_index(tmp_path: Path) -> None:
    _prices(_days("BTC", 68_000.0, "USDT")).to_parquet(
        tmp_path / "prices_daily.parquet", index=False
    )
    with pytest.raises(MissingDataError, match="no index_prices can be derived"):
        open_source(str(tmp_path)).read("index_prices", DAY)


def test_a_market_that_lost_its_instruments_says_so(folder: Path) -> None:
    open_source(str(folder)).read("marks", DAY).frame.to_parquet(folder / "marks.parquet")
    with pytest.raises(MissingDataError, match=r"has no instruments\.parquet"):
        open_source(str(folder)).read("instruments", DAY)


@pytest.mark.parametrize("name", ["futures_term_deribit", "prices_hourly"])
def test_a_file_beside_the_history_that_cannot_be_read_is_one_sentence(
    name: str, folder: Path
) -> None:
    (folder / f"{name}.parquet").write_bytes(b"PAR1")
    with pytest.raises(ContractViolation, match=rf"{name}\.parquet cannot be read"):
        open_source(str(folder)).read("marks", DAY)


def test_funding_as_text_gives_the_same_basis(folder: Path) -> None:
    _funding(folder, 0.0002)
    from_parquet = _read(folder, "basis_history")
    rows = pd.read_parquet(folder / "funding.parquet")
    (folder / "funding.parquet").unlink()
    rows.to_csv(folder / "funding.csv", index=False)
    pd.testing.assert_frame_equal(_read(folder, "basis_history"), from_parquet)


def test_deriving_twice_gives_the_same_bytes(folder: Path) -> None:
    _chain(folder)
    for dataset in MARKET:
        hashes = {open_source(str(folder)).read(dataset, DAY).content_hash for _ in range(2)}
        assert len(hashes) == 1
