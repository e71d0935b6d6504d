"""Build a sample world: market directory and book in one folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from infra.simulator.world import frames
from infra.simulator.world.accounts import accounts_frame
from infra.simulator.world.assets import ASSETS
from infra.simulator.world.books import Book, BookShape, VenueDemand, generate_book
from infra.simulator.world.chains import option_chains
from infra.simulator.world.clearing_side import with_clearing
from infra.simulator.world.day_market import DayMarket, day_market
from infra.simulator.world.derive_side import gross_at_derive, with_derive
from infra.simulator.world.dirt import Soiled, soil_marks, soil_price_history
from infra.simulator.world.factors import Factors, simulate_factors
from infra.simulator.world.files import (
    WORLD_FILE,
    built_with,
    publish,
    staging_folder,
    write_frames,
)
from infra.simulator.world.history import History, simulate_history
from infra.simulator.world.listings import build_instruments
from infra.simulator.world.marks import build_marks
from infra.simulator.world.parameters import WorldParameters, WorldSummary
from infra.simulator.world.regimes import Regime
from infra.simulator.world.streams import stream
from infra.simulator.world.tradables import BookMarket
from infra.simulator.world.venue_account_desk import DeskMarket
from infra.simulator.world.venue_desk import demanded, desk_market, venue_reports
from infra.simulator.world.venue_rules import modes_of, shipped_rules, surprises

Progress = Callable[[str, int, int], None]
_STEPS = ("history", "instruments and marks", "books", "files")


@dataclass(frozen=True, slots=True, eq=False)
class _Market:
    history: History
    factors: Factors
    days: tuple[DayMarket, ...]
    """Business dates, and the date before the first."""


def build_world(parameters: WorldParameters, folder: Path, progress: Progress) -> WorldSummary:
    """Write a sample world into ``folder`` and return what it holds.

    The folder becomes a market directory and a book directory: one Parquet file per dataset, and
    ``world.json`` with the parameters and the summary. It appears whole or not at all. A folder
    that was built with the same parameters is left alone; one with other parameters is replaced.

    Parameters
    ----------
    parameters : WorldParameters
    folder : pathlib.Path
    progress : callable
        Told step, done and total.

    Raises
    ------
    ParameterError
        If the folder holds something else.
    """
    record = built_with(folder, parameters.as_json())
    if record is not None:
        progress("already built", len(_STEPS), len(_STEPS))
        return _summary_of(record, parameters)
    staging = staging_folder(folder)
    try:
        summary = _write(parameters, staging, progress)
        # Another process may have built the same world meanwhile: its bytes are these.
        if built_with(folder, parameters.as_json()) is None:
            publish(staging, folder)
    except OSError:
        if built_with(folder, parameters.as_json()) is None:
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    progress("done", len(_STEPS), len(_STEPS))
    return summary


def _write(parameters: WorldParameters, staging: Path, progress: Progress) -> WorldSummary:
    progress(_STEPS[0], 0, len(_STEPS))
    market = _simulate(parameters)
    progress(_STEPS[1], 1, len(_STEPS))
    datasets, all_marks = _datasets(parameters, market)
    progress(_STEPS[2], 2, len(_STEPS))
    book = _book(parameters, market, datasets, all_marks)
    progress(_STEPS[3], 3, len(_STEPS))
    soiled = soil_price_history(datasets["price_history"], stream(parameters.seed, "dirt"))
    datasets["price_history"] = soiled.frame
    marks = datasets["marks"]
    if parameters.dirty_marks:
        datasets["marks"] = _spoilt(parameters, datasets["marks"], book)
    for name in ("positions", "collateral", "open_orders", "agreements"):
        datasets[name] = getattr(book, name)
    datasets |= _venue_side(parameters, datasets)
    days = map(pd.Timestamp, parameters.business_dates)
    rates = {day: _rates(datasets, day.date()) for day in days}
    datasets |= with_derive(parameters, datasets, marks, rates)
    datasets |= with_clearing(parameters, datasets, rates)
    last = pd.Timestamp(parameters.last_business_date)
    gross = gross_at_derive(datasets, last, rates[last])
    book = replace(book, gross_notional_usd=book.gross_notional_usd + gross)
    hashes = write_frames(datasets, staging)
    summary = _summary(parameters, market, (datasets, soiled), book, hashes)
    text = json.dumps(_as_json(summary), indent=2, sort_keys=True)
    (staging / WORLD_FILE).write_text(text + "\n", encoding="utf-8")
    return summary


def _simulate(parameters: WorldParameters) -> _Market:
    profiles = ASSETS[: parameters.n_underlyings]
    last = np.datetime64(parameters.last_business_date, "D")
    dates = np.arange(last - parameters.history_days + 1, last + 1)
    history = simulate_history(profiles, dates, stream(parameters.seed, "history"))
    factors = simulate_factors(profiles, history, stream(parameters.seed, "factors"))
    first = parameters.business_dates[0] - timedelta(days=1)
    by_name = {profile.asset: profile for profile in profiles}
    n_days = parameters.n_business_dates + 1
    days = tuple(
        day_market(by_name, history, factors, len(dates) - n_days + k, first + timedelta(days=k))
        for k in range(n_days)
    )
    return _Market(history=history, factors=factors, days=days)


def _datasets(
    parameters: WorldParameters, market: _Market
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Return the market's datasets, and marks that reach one date further back."""
    history, factors, days = market.history, market.factors, market.days[1:]
    profiles = {profile.asset: profile for profile in ASSETS}
    instruments = build_instruments(days)
    marks = [
        build_marks(instruments, day, stream(parameters.seed, f"marks {day.business_date}"))
        for day in market.days
    ]
    chains = [
        option_chains(instruments, m, day, stream(parameters.seed, f"chain {day.business_date}"))
        for m, day in zip(marks[1:], days, strict=True)
    ]
    seed, funding_days = parameters.seed, parameters.funding_days
    datasets = {
        "instruments": instruments,
        "price_history": frames.price_history(history, factors),
        "volatility_history": frames.volatility_history(history, factors),
        "basis_history": frames.basis_history(history, factors),
        "marks": pd.concat(marks[1:], ignore_index=True),
        "option_chains": pd.concat(chains, ignore_index=True),
        "index_prices": frames.index_prices(days),
        "fx_rates": frames.fx_rates(days),
        "liquidity": frames.liquidity(profiles, history, days, stream(seed, "liquidity")),
        "funding": frames.funding(
            instruments, history, factors, funding_days, stream(seed, "funding")
        ),
    }
    return datasets, pd.concat(marks, ignore_index=True)


def _book(
    parameters: WorldParameters,
    market: _Market,
    datasets: Mapping[str, pd.DataFrame],
    all_marks: pd.DataFrame,
) -> Book:
    book_market = BookMarket(
        instruments=datasets["instruments"],
        marks=all_marks,
        index_prices=frames.index_prices(market.days),
        fx_rates=frames.fx_rates(market.days),
        liquidity=datasets["liquidity"],
        price_history=datasets["price_history"],
    )
    return generate_book(
        book_market,
        parameters.n_netting_sets,
        parameters.seed,
        parameters.business_dates,
        BookShape(
            parameters.n_positions_mean, parameters.break_share, _venue_demand(parameters, datasets)
        ),
    )


def _venue_demand(parameters: WorldParameters, datasets: Mapping[str, pd.DataFrame]) -> VenueDemand:
    day = parameters.last_business_date

    def demand(positions: pd.DataFrame, open_orders: pd.DataFrame) -> dict[str, float]:
        desk = _desk(datasets, day)
        accounts = _accounts(parameters, positions, open_orders)
        in_force = accounts.drop_duplicates("account_id", keep="last")
        return demanded(desk, positions, open_orders, in_force)

    return demand


def _rates(datasets: Mapping[str, pd.DataFrame], day: date) -> dict[str, float]:
    """Return USD per unit as the files state it, rounded as they are."""
    found = {"USD": 1.0}
    for name, column in (("index_prices", "index_price"), ("fx_rates", "usd_rate")):
        rows = datasets[name][datasets[name]["business_date"] == pd.Timestamp(day)]
        found.update(zip(rows["asset"].astype(str), rows[column].astype(float), strict=True))
    return found


def _accounts(
    parameters: WorldParameters, positions: pd.DataFrame, open_orders: pd.DataFrame
) -> pd.DataFrame:
    first = parameters.business_dates[0]
    modes = modes_of(shipped_rules(first))
    return accounts_frame(positions, open_orders, modes, first, parameters.seed)


def _desk(datasets: Mapping[str, pd.DataFrame], day: date) -> DeskMarket:
    return desk_market(
        datasets["instruments"],
        datasets["marks"],
        _rates(datasets, day),
        shipped_rules(day),
        pd.Timestamp(day),
    )


def _venue_side(
    parameters: WorldParameters, datasets: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Return the accounts of the book and what their simulated venues report of each date."""
    accounts = _accounts(parameters, datasets["positions"], datasets["open_orders"])
    in_force = accounts.drop_duplicates("account_id", keep="last")
    reports = []
    for day in parameters.business_dates:
        on_date = pd.Timestamp(day)
        held, orders = (
            frame[frame["business_date"] == on_date]
            for frame in (datasets["positions"], datasets["open_orders"])
        )
        desk = _desk(datasets, day)
        newer, forgotten = surprises(held, in_force, modes_of(desk.rules))
        desk = replace(desk, newer_table=newer, forgotten=forgotten)
        rng = stream(parameters.seed, f"venue reports {day}")
        reports.append(venue_reports(desk, held, orders, in_force, rng))
    ordered = pd.concat(reports, ignore_index=True).sort_values(
        ["business_date", "account_id", "bucket"], ignore_index=True
    )
    return {"accounts": accounts, "venue_margin": ordered}


def _spoilt(parameters: WorldParameters, marks: pd.DataFrame, book: Book) -> pd.DataFrame:
    last = book.positions["business_date"] == pd.Timestamp(parameters.last_business_date)
    held = np.array(sorted(set(book.positions.loc[last, "instrument_id"])), dtype=object)
    rng = stream(parameters.seed, "dirty marks")
    return soil_marks(marks, held, parameters.dirty_marks, rng)


def _summary(
    parameters: WorldParameters,
    market: _Market,
    written: tuple[Mapping[str, pd.DataFrame], Soiled],
    book: Book,
    hashes: Mapping[str, str],
) -> WorldSummary:
    datasets, soiled = written
    on_last = book.breaks["business_date"] == pd.Timestamp(parameters.last_business_date)
    last_breaks = book.breaks[on_last]
    crashes = market.history.dates[market.history.regime == Regime.CRASH]
    # Spoilt marks can be fewer than asked for where less is held.
    spoilt = int((~datasets["marks"]["mark_price"].gt(0.0)).sum())
    return WorldSummary(
        parameters=parameters,
        rows={name: len(frame) for name, frame in sorted(datasets.items())},
        instruments=_counts(datasets["instruments"]["kind"]),
        n_clients=int(book.styles["client_id"].nunique()),
        styles=_counts(book.styles["style"]),
        gross_notional_usd=round(book.gross_notional_usd, 2),
        breaks=_counts(last_breaks["kind"]),
        netting_sets_with_breaks=int(last_breaks["netting_set_id"].nunique()),
        dirty_rows={"marks": spoilt, "price_history": soiled.n_refused},
        crash_dates=tuple(str(day) for day in crashes),
        hashes=dict(hashes),
    )


def _counts(column: pd.Series) -> dict[str, int]:
    counted = column.astype("str").value_counts()
    return {str(name): int(counted[name]) for name in sorted(counted.index)}


def _as_json(summary: WorldSummary) -> dict[str, object]:
    content: dict[str, object] = {f.name: getattr(summary, f.name) for f in fields(summary)}
    content["parameters"] = summary.parameters.as_json()
    content["crash_dates"] = list(summary.crash_dates)
    return content


def _summary_of(record: dict[str, object], parameters: WorldParameters) -> WorldSummary:
    content = {**record, "parameters": parameters}
    dates = record["crash_dates"]
    content["crash_dates"] = tuple(dates) if isinstance(dates, list) else ()
    names = {f.name for f in fields(WorldSummary)}
    return WorldSummary(**{k: v for k, v in content.items() if k in names})  # type: ignore[arg-type]
