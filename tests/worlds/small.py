"""A market of four underlyings and a handful of instruments at one close."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd

from engine.ids import SnapshotId
from engine.rules import Agreement, RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from infra.rules import DEFAULT_PARAMETERS, read_house_parameters

BUSINESS_DATE = date(2026, 3, 10)
AS_OF = datetime(2026, 3, 11, tzinfo=UTC)
OBSERVED = pd.Timestamp(AS_OF - timedelta(minutes=1))
PRICES = {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "NEW": 2.0}
DAILY_VOLATILITY = {"BTC": 0.03, "ETH": 0.04, "SOL": 0.055, "NEW": 0.09}


def price_history(n_days: int = 1_400, seed: int = 7) -> pd.DataFrame:
    """Return correlated daily closes that end at ``PRICES``; NEW has 90 days only."""
    generator = np.random.default_rng(seed)
    common = generator.standard_t(4, n_days) / np.sqrt(2.0)
    parts = []
    dates = pd.date_range(end=pd.Timestamp(BUSINESS_DATE), periods=n_days, unit="ms")
    for asset, last_price in PRICES.items():
        own = generator.standard_t(4, n_days) / np.sqrt(2.0)
        returns = DAILY_VOLATILITY[asset] * (0.8 * common + 0.6 * own)
        log_price = np.log(last_price) - np.cumsum(returns[::-1])[::-1] + returns
        close = np.append(np.exp(log_price)[1:], last_price)
        parts.append(_history_rows(asset, dates, close))
    for asset in ("USDT", "USDC"):
        close = 1.0 + 0.0005 * generator.standard_normal(n_days)
        close[-1] = 1.0
        parts.append(_history_rows(asset, dates, close))
    parts[3] = parts[3].iloc[-90:]
    return pd.concat(parts, ignore_index=True)


def _history_rows(asset: str, dates: pd.DatetimeIndex, close: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"date": dates, "asset": asset, "close": close})


def instruments() -> pd.DataFrame:
    """Return one instrument of every kind and payoff."""
    expiry = pd.Timestamp("2026-06-26T08:00Z")
    rows = [
        ("binance:BTCUSDT-SPOT", "spot", "linear", "BTC", "USDT", 1.0, np.nan, None, None),
        ("binance:BTCUSDT", "perpetual", "linear", "BTC", "USDT", 1.0, np.nan, None, None),
        ("binance:ETHUSDT", "perpetual", "linear", "ETH", "USDT", 1.0, np.nan, None, None),
        ("binance:SOLUSDT", "perpetual", "linear", "SOL", "USDT", 1.0, np.nan, None, None),
        ("binance:NEWUSDT", "perpetual", "linear", "NEW", "USDT", 1.0, np.nan, None, None),
        ("deribit:BTC-PERPETUAL", "perpetual", "inverse", "BTC", "BTC", 10.0, np.nan, None, None),
        ("deribit:BTC-26JUN26", "future", "inverse", "BTC", "BTC", 10.0, np.nan, None, expiry),
        ("okx:ETH-BTC-QUANTO", "perpetual", "quanto", "ETH", "BTC", 1e-6, np.nan, None, None),
        (
            "deribit:BTC-26JUN26-60000-C",
            "option",
            "inverse",
            "BTC",
            "BTC",
            1.0,
            6e4,
            "call",
            expiry,
        ),
        ("deribit:BTC-26JUN26-60000-P", "option", "inverse", "BTC", "BTC", 1.0, 6e4, "put", expiry),
        ("bybit:ETH-26JUN26-3000-C", "option", "linear", "ETH", "USDC", 1.0, 3e3, "call", expiry),
    ]
    columns = (
        "instrument_id", "kind", "payoff", "underlying", "settlement_asset",
        "contract_multiplier", "strike", "option_type", "expiry_utc",
    )  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(columns))
    frame["venue"] = frame["instrument_id"].str.split(":").str[0]
    frame["venue_symbol"] = frame["instrument_id"].str.split(":").str[1]
    in_dollars = frame["settlement_asset"] == "BTC"
    frame["quote_asset"] = frame["settlement_asset"].mask(in_dollars, "USD")
    frame["tick_size"], frame["lot_size"] = 0.1, 0.001
    frame["expiry_utc"] = pd.to_datetime(frame["expiry_utc"], utc=True).astype(
        "datetime64[ms, UTC]"
    )
    return frame.sort_values("instrument_id", ignore_index=True)


def marks(table: pd.DataFrame) -> pd.DataFrame:
    """Return marks at the index; options are marked in their premium's asset."""
    price = table["underlying"].map(PRICES)
    is_option = table["kind"] == "option"
    in_coin = is_option & (table["payoff"] == "inverse")
    premium = np.where(in_coin, 0.10, 0.10 * price)
    return pd.DataFrame(
        {
            "business_date": pd.Timestamp(BUSINESS_DATE),
            "instrument_id": table["instrument_id"],
            "mark_price": np.where(is_option, premium, price),
            "mark_iv": np.where(is_option, 0.55, np.nan),
            "forward_price": np.where(is_option, price, np.nan),
            "settlement_price": np.nan,
            "observed_utc": OBSERVED,
        }
    )


def snapshot(**changes: pd.DataFrame) -> Snapshot:
    """Return the market of the business date; keyword frames replace its parts."""
    table = changes.get("instruments", instruments())
    assets = sorted(PRICES)
    frames: dict[str, pd.DataFrame] = {
        "instruments": table,
        "marks": marks(table),
        "index_prices": pd.DataFrame(
            {"asset": assets, "index_price": [PRICES[name] for name in assets]}
        ),
        "fx_rates": pd.DataFrame(
            {"asset": ["EUR", "USD", "USDC", "USDT"], "usd_rate": [1.1, 1.0, 1.0, 1.0]}
        ),
        "funding": pd.DataFrame(
            {
                "ts_utc": pd.to_datetime(["2026-03-10T08:00Z", "2026-03-10T16:00Z"]),
                "venue": "binance",
                "symbol": "BTCUSDT",
                "asset": "BTC",
                "funding_rate": [0.0001, -0.0002],
                "interval_hours": 8.0,
            }
        ),
        "liquidity": pd.DataFrame(
            {
                "asset": assets,
                "average_daily_volume_usd": [2e10, 1e10, 1e7, 2e9],
                "depth_usd": [1e8, 5e7, 1e5, 1e7],
                "spread": [1e-4, 1e-4, 2e-3, 3e-4],
            }
        ),
        "price_history": price_history(),
        "volatility_history": pd.DataFrame(
            {"date": pd.Series([], dtype="datetime64[ms]"), "asset": [], "atm_iv_30d": []}
        ),
        "basis_history": pd.DataFrame(
            {"date": pd.Series([], dtype="datetime64[ms]"), "asset": [], "annual_basis": []}
        ),
    }
    frames.update(changes)
    return Snapshot(
        snapshot_id=SnapshotId("small"), business_date=BUSINESS_DATE, as_of=AS_OF, **frames
    )


def positions(
    *held: tuple[str, str, float], sources: tuple[str, ...] = ("oms", "venue", "clearing")
) -> pd.DataFrame:
    """Return positions (netting set, instrument, quantity), the same in each source."""
    table = marks(instruments()).set_index("instrument_id")["mark_price"]
    return pd.DataFrame(
        [
            {
                "source": source,
                "account_id": f"{netting_set}-a",
                "instrument_id": instrument,
                "client_id": f"client-{netting_set}",
                "netting_set_id": netting_set,
                "venue": instrument.split(":")[0],
                "quantity": quantity,
                "settled_price": table.get(instrument, 1.0),
                "observed_utc": OBSERVED,
            }
            for netting_set, instrument, quantity in held
            for source in sources
        ]
    )


def no_orders() -> pd.DataFrame:
    """Return open orders: none."""
    return pd.DataFrame(
        {
            "netting_set_id": pd.Series([], dtype="str"),
            "account_id": pd.Series([], dtype="str"),
            "order_id": pd.Series([], dtype="str"),
            "instrument_id": pd.Series([], dtype="str"),
            "side": pd.Series([], dtype="str"),
            "remaining_quantity": pd.Series([], dtype="float64"),
        }
    )


def position_set(*held: tuple[str, str, float], orders: pd.DataFrame | None = None) -> PositionSet:
    """Return a position set whose sources agree."""
    return PositionSet(
        positions=positions(*held), open_orders=no_orders() if orders is None else orders
    )


def collateral_set(
    *held: tuple[str, str, float], sources: tuple[str, ...] = ("oms", "venue", "clearing")
) -> CollateralSet:
    """Return collateral (netting set, asset, quantity), settled at one custodian."""
    rows = [
        {
            "source": source,
            "netting_set_id": netting_set,
            "location": "custodian",
            "asset": asset,
            "state": "settled",
            "client_id": f"client-{netting_set}",
            "quantity": quantity,
        }
        for netting_set, asset, quantity in held
        for source in sources
    ]
    columns = ["source", "netting_set_id", "location", "asset", "state", "client_id", "quantity"]
    return CollateralSet(holdings=pd.DataFrame(rows, columns=columns))


def agreement(netting_set: str, **changes: object) -> Agreement:
    """Return plain terms: USD, 99 %, no threshold."""
    terms: dict[str, object] = {
        "netting_set_id": netting_set,
        "client_id": f"client-{netting_set}",
        "currency": "USD",
        "confidence": 0.99,
        "threshold": 0.0,
        "minimum_transfer_amount": 1_000.0,
        "rounding_increment": 100.0,
        "independent_amount": 0.0,
        "cure_hours": 4.0,
        "effective_date": date(2026, 1, 1),
    }
    return Agreement(**{**terms, **changes})  # type: ignore[arg-type]


def rules(*agreements: Agreement) -> RuleBook:
    """Return the shipped parameters with these agreements."""
    house, _ = read_house_parameters(DEFAULT_PARAMETERS, BUSINESS_DATE)
    return RuleBook(
        rule_book_hash="small",
        house=house,
        agreements={terms.netting_set_id: terms for terms in agreements},
    )
