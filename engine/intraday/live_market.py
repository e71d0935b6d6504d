"""The prepared market kept up to date: a change revalues the rows whose inputs moved, in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.errors import ModelInputError
from engine.ids import SnapshotId
from engine.intraday.changes import MarkChanges
from engine.intraday.mark_checks import require_usable
from engine.intraday.market_rows import (
    is_empty,
    nanoseconds,
    one_mark_each,
    rows_in,
    rows_of,
    usability,
    writable,
)
from engine.kernels.tail import TiledPnl, tile_pnl
from engine.market import (
    PreparedMarket,
    asset_liquidity,
    collateral_losses,
    prepare,
    unit_figures,
)
from engine.rules import RuleBook
from engine.scenarios.instruments import priced_instruments
from engine.scenarios.revaluation import PricedInstruments, years_to
from engine.settlement.variation import is_quoted_in_reciprocal
from engine.snapshot import Snapshot
from engine.times import require_utc, to_nanoseconds


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """What a change did to the market.

    Attributes
    ----------
    instrument : Int64Array1D
        Rows that were revalued, ascending.
    asset : Int64Array1D
        Rows of assets whose USD rate changed, ascending.
    usability : Int64Array1D
        Instrument rows that can be priced now and could not before, or the other way round.
    """

    instrument: Int64Array1D
    asset: Int64Array1D
    usability: Int64Array1D


class LiveMarket:
    """A ``PreparedMarket`` that one writer keeps at the newest marks.

    Scenario shocks stay those of the snapshot that it was opened with. Matrices keep their place
    in memory: whoever holds ``prepared`` sees the newest rows.
    """

    def __init__(self, snapshot: Snapshot, rules: RuleBook) -> None:
        self._rules = rules
        self._snapshot = replace(
            snapshot,
            instruments=snapshot.instruments.sort_values("instrument_id", ignore_index=True),
            marks=one_mark_each(snapshot),
        )
        self.prepared: PreparedMarket = prepare(self._snapshot, rules)
        self._instruments = self._priced()
        market = self.prepared
        self.tiled: TiledPnl = tile_pnl(market.historical)
        self._spread = asset_liquidity(snapshot, market.assets, rules.house).spread[
            market.underlying
        ]
        # rate x max(fall - haircut, 0): the second factor is the snapshot's for good.
        self._unit_excess = collateral_losses(
            market.scenarios, np.ones(len(market.assets)), rules.house
        )
        self._expiry_ns = nanoseconds(self._snapshot.instruments["expiry_utc"])
        self._is_dated = np.isfinite(self._instruments.tenor_years)
        # What a contract is does not change while the market is open.
        self.is_reciprocal: BoolArray1D = is_quoted_in_reciprocal(
            self._instruments.kind, self._instruments.payoff
        )
        self._settled_in = rows_in(market, self._instruments.settlement_asset)
        self._quoted_in = [
            np.unique(market.underlying[rows])
            for rows in rows_in(market, self._instruments.quote_asset)
        ]
        # numba takes most of a second to import, so it is loaded where it computes.
        from engine.intraday.revaluing import Revaluer

        self._revaluer = Revaluer(self._instruments, market, self.tiled, rules.house, self._spread)
        marks = self._snapshot.marks
        self.observed_ns = nanoseconds(marks["observed_utc"])
        self._has_observed = marks["observed_utc"].notna().to_numpy(dtype=np.bool_, copy=True)

    @property
    def opened_as(self) -> str:
        """Name of the snapshot that the market was opened with."""
        return str(self._snapshot.snapshot_id)

    @property
    def business_date(self) -> date:
        """Date of the snapshot that the market was opened with."""
        return self._snapshot.business_date

    @property
    def as_of(self) -> datetime:
        """Instant of the market."""
        return self._snapshot.as_of

    @property
    def instruments(self) -> PricedInstruments:
        """Instruments with their newest marks, in the rows of ``prepared``."""
        return self._instruments

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return everything that a change may have moved."""
        one = self._instruments
        return {
            "market.mark_price": one.mark_price.copy(),
            "market.mark_iv": one.volatility.copy(),
            "market.forward_price": one.forward_price.copy(),
            "market.observed_ns": self.observed_ns.copy(),
            "market.has_observed": self._has_observed.copy(),
            "market.usd_rate": self.prepared.usd_rate.copy(),
            "market.as_of_ns": np.array([to_nanoseconds(self.as_of)], dtype=np.int64),
        }

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Put the market where a state has it, on the snapshot that it was opened with."""
        one, market = self._instruments, self.prepared
        if len(state["market.mark_price"]) != market.n_instruments:
            raise ModelInputError(
                f"state has {len(state['market.mark_price'])} instruments, the snapshot "
                f"{market.n_instruments}: load it with the snapshot that it was opened with"
            )
        one.mark_price[:] = state["market.mark_price"]
        one.volatility[:] = state["market.mark_iv"]
        one.forward_price[:] = state["market.forward_price"]
        self.observed_ns[:] = state["market.observed_ns"]
        self._has_observed[:] = state["market.has_observed"]
        market.usd_rate[:] = state["market.usd_rate"]
        self._move_assets(np.flatnonzero(np.isfinite(market.usd_rate)))
        as_of = pd.Timestamp(int(state["market.as_of_ns"][0]), unit="ns", tz="UTC")
        self._derive(as_of.to_pydatetime())
        self._revalue(np.arange(market.n_instruments))

    def apply(self, changes: MarkChanges) -> Moved:
        """Take in new prices and return what moved.

        Raises
        ------
        ModelInputError
            If a row is unknown, a price is not finite and above 0 (a volatility may be 0), or an
            asset has no rate in the snapshot.
        """
        require_usable(changes, self.prepared)
        one, market = self._instruments, self.prepared
        rows = changes.instrument
        for values, news in (
            (one.mark_price, changes.mark_price),
            (one.volatility, changes.mark_iv),
            (one.forward_price, changes.forward_price),
        ):
            told = np.isfinite(news)
            values[rows[told]] = news[told]
        newer = rows[changes.observed_ns > self.observed_ns[rows]]
        self.observed_ns[newer] = changes.observed_ns
        self._has_observed[rows] = True
        one.years[rows] = self._years(rows)
        moved_asset = np.sort(changes.asset[market.usd_rate[changes.asset] != changes.usd_rate])
        market.usd_rate[changes.asset] = changes.usd_rate
        self._move_assets(moved_asset)
        in_moved = [self._settled_in[asset] for asset in moved_asset.tolist()]
        touched = np.unique(np.concatenate([rows, *in_moved]))
        usability = self._with_faults_again(touched)
        usability = np.union1d(usability, self._revalue(touched)).astype(np.int64)
        return Moved(touched, moved_asset, usability)

    def advance(self, as_of: datetime) -> Moved:
        """Move the instant of the market on: expiries come nearer, and marks grow old.

        Raises
        ------
        ModelInputError
            If the instant is before the market's own.
        """
        as_of = require_utc(as_of, "as_of")
        if as_of < self.as_of:
            raise ModelInputError(
                f"market is at {self.as_of.isoformat()}, cannot go back to {as_of.isoformat()}",
                value=as_of.isoformat(),
                limit=f">= {self.as_of.isoformat()}",
            )
        before = usability(self._instruments.fault, self.prepared.settles)
        self._derive(as_of)
        after = usability(self._instruments.fault, self.prepared.settles)
        changed = np.flatnonzero(before != after)
        touched = np.union1d(np.flatnonzero(self._is_dated), changed).astype(np.int64)
        changed = np.union1d(changed, self._revalue(touched)).astype(np.int64)
        return Moved(touched, np.zeros(0, dtype=np.int64), changed)

    def rebuild(self) -> tuple[int, float]:
        """Revalue every row anew; return how many there are and how far the worst one had drifted.

        Relative to the largest outcome of the row: 0 while every change reached the rows that it
        concerned.
        """
        market = self.prepared
        before, special = market.historical.copy(), market.special.copy()
        self._derive(self.as_of)
        self._move_assets(np.flatnonzero(np.isfinite(market.usd_rate)))
        self._revalue(np.arange(market.n_instruments))
        largest = 0.0
        for old, new in ((before, market.historical), (special, market.special)):
            scale = np.abs(new).max(axis=1, initial=0.0)
            apart = np.abs(new - old).max(axis=1, initial=0.0)
            relative = np.divide(apart, scale, out=apart.copy(), where=scale > 0.0)
            largest = max(largest, float(relative.max(initial=0.0)))
        return len(before), largest

    def underlyings_of(self, moved: Moved) -> Int64Array1D:
        """Return the assets on whose instruments any figure may have changed.

        The house looks at the marks and the settlement asset, a venue also at the index of the
        underlying in the quote currency.
        """
        found = [self.prepared.underlying[moved.instrument], moved.asset]
        found += [self._quoted_in[asset] for asset in moved.asset.tolist()]
        return np.unique(np.concatenate(found))

    def snapshot(self, snapshot_id: str = "") -> Snapshot:
        """Return the market as a snapshot: what ``prepare`` would start from now."""
        one, base = self._instruments, self._snapshot
        observed = pd.Series(
            pd.to_datetime(self.observed_ns, utc=True), index=base.marks.index
        ).where(pd.Series(self._has_observed, index=base.marks.index))
        marks = base.marks.assign(
            mark_price=one.mark_price,
            mark_iv=one.volatility,
            forward_price=one.forward_price,
            observed_utc=observed.astype("datetime64[ns, UTC]"),
        )
        rate = self._rates()
        in_fx = set(base.fx_rates["asset"].astype(str))
        index_prices = base.index_prices.assign(
            index_price=[
                given if (in_fx and name in in_fx) else rate.get(name, given)
                for name, given in zip(
                    base.index_prices["asset"].astype(str),
                    base.index_prices["index_price"].astype(float),
                    strict=True,
                )
            ]
        )
        fx_rates = base.fx_rates.assign(
            usd_rate=[
                rate.get(name, given)
                for name, given in zip(
                    base.fx_rates["asset"].astype(str),
                    base.fx_rates["usd_rate"].astype(float),
                    strict=True,
                )
            ]
        )
        return replace(
            base,
            snapshot_id=SnapshotId(snapshot_id or str(base.snapshot_id)),
            marks=marks[~is_empty(marks)].reset_index(drop=True),
            index_prices=index_prices,
            fx_rates=fx_rates,
        )

    def _priced(self) -> PricedInstruments:
        return writable(
            priced_instruments(self._snapshot, self._rates(), self._rules.house).instruments
        )

    def _rates(self) -> dict[str, float]:
        market = self.prepared
        return dict(zip(market.assets, market.usd_rate.tolist(), strict=True))

    def _derive(self, as_of: datetime) -> None:
        """Derive anew what depends on the instant: times to expiry, ages, and who has expired."""
        self._snapshot = replace(self._snapshot, as_of=as_of)
        table = priced_instruments(self.snapshot(), self._rates(), self._rules.house)
        self._instruments = writable(table.instruments)
        self.prepared.settles[:] = table.settles
        self.prepared.has_expired[:] = table.has_expired
        self.prepared = replace(self.prepared, fault=table.instruments.fault)
        self._revaluer.derive(self._instruments, self.prepared)

    def _years(self, rows: Int64Array1D) -> Float64Array1D:
        as_of_ns = to_nanoseconds(self.as_of)
        return years_to(self._expiry_ns[rows], np.minimum(self.observed_ns[rows], as_of_ns))

    def _move_assets(self, moved: Int64Array1D) -> None:
        market, one = self.prepared, self._instruments
        for asset in moved.tolist():
            rate = market.usd_rate[asset]
            one.settlement_rate[self._settled_in[asset]] = rate
            np.negative(
                rate * self._unit_excess[asset], out=market.historical[market.n_instruments + asset]
            )
            self._tile(np.array([market.n_instruments + asset]))

    def _tile(self, rows: Int64Array1D) -> None:
        """Copy rows of the historical matrix into their tiles, run by run."""
        for run in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
            first = int(run[0])
            self.tiled.fill(first, self.prepared.historical[first : first + len(run)])

    def _with_faults_again(self, rows: Int64Array1D) -> Int64Array1D:
        """Judge rows that have a fault anew; return those whose usability changed."""
        one = self._instruments
        is_over = self.prepared.settles[rows] | self.prepared.has_expired[rows]
        has_fault = np.array([bool(one.fault[row]) for row in rows.tolist()], dtype=np.bool_)
        # No mark brings back what has expired.
        faulty = rows[has_fault & ~is_over]
        if not len(faulty):
            return faulty
        names = one.instrument_id[faulty]
        whole = self.snapshot()
        part = replace(
            whole,
            instruments=whole.instruments[whole.instruments["instrument_id"].isin(names)],
            marks=whole.marks[whole.marks["instrument_id"].isin(names)],
        )
        judged = priced_instruments(part, self._rates(), self._rules.house).instruments.fault
        return self._with_faults(faulty, judged)

    def _with_faults(self, rows: Int64Array1D, judged: tuple[str, ...]) -> Int64Array1D:
        changed = [
            row
            for row, now in zip(rows.tolist(), judged, strict=True)
            if now != self._instruments.fault[row]
        ]
        if changed:
            fault = list(self._instruments.fault)
            for row, now in zip(rows.tolist(), judged, strict=True):
                fault[row] = now
            self._instruments = replace(self._instruments, fault=tuple(fault))
            self._revaluer.derive(self._instruments, self.prepared)
        return np.array(changed, dtype=np.int64)

    def _revalue(self, rows: Int64Array1D) -> Int64Array1D:
        """Write the figures of ``rows`` and return those whose usability changed."""
        market = self.prepared
        rows = self._revaluer.revalue(rows)
        if not len(rows):
            return rows
        units = unit_figures(
            rows_of(self._instruments, rows), market.scenarios, self._spread[rows],
            self._rules.house,
        )  # fmt: skip
        market.historical[rows] = units.historical
        self._tile(rows)
        market.special[rows] = units.special
        market.unit_value[rows] = units.unit_value
        market.delta_notional[rows] = units.delta_notional
        market.half_spread[rows] = units.half_spread
        changed = [
            row
            for row, now in zip(rows.tolist(), units.fault, strict=True)
            if now != market.fault[row]
        ]
        if changed:
            fault = list(market.fault)
            for row, now in zip(rows.tolist(), units.fault, strict=True):
                fault[row] = now
            self.prepared = replace(market, fault=tuple(fault))
            self._revaluer.derive(self._instruments, self.prepared)
        return np.array(changed, dtype=np.int64)
