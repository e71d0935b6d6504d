"""The day out of what all sources said: one price where several tell it, and what is missing.

What was not read is never taken for nothing: it leaves a row of ``readings`` that says whose it is.
Where an account was not read, what was last known of its collateral counts with a cut, and what its
venue last reported with the same share on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from data_contracts.preparation import empty_frame
from data_contracts.registry import contract
from infra.connections import AccountConnection, CloseTerms
from infra.market.connected.frames import SourceFrames, contract_columns, withheld
from infra.market.connected.quorum import agreed
from infra.market.connected.settled_prices import Present, with_settled_prices

DATASETS: Final = (
    "instruments", "marks", "index_prices", "fx_rates", "funding", "positions", "collateral",
    "open_orders", "venue_margin", "readings",
)  # fmt: skip
_VENUES: Final = "venues"
"""Source of what no single venue has said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayInputs:
    """What a day is put together from.

    Attributes
    ----------
    business_date : datetime.date
    sources : mapping of str to SourceFrames
        By source, in the order of their names.
    earlier : iterable of (datetime.date, mapping of str to SourceFrames)
        Earlier readings by source, newest first.
    accounts : mapping of str to AccountConnection
        By place.
    held : frozenset of str
        Instruments that other books hold.
    expired : pandas.DataFrame
        Rows of contract ``instruments`` that expired inside the day.
    terms : CloseTerms
    """

    business_date: date
    sources: Mapping[str, SourceFrames]
    earlier: Iterable[tuple[date, Mapping[str, SourceFrames]]]
    accounts: Mapping[str, AccountConnection]
    held: frozenset[str]
    expired: pd.DataFrame
    terms: CloseTerms

    @property
    def day(self) -> pd.Timestamp:
        """Return the business date as the frames hold it."""
        return pd.Timestamp(self.business_date)


@dataclass(slots=True)
class _Day:
    """Frames under way, and the rows of ``readings`` that come of putting them together."""

    inputs: DayInputs
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    kept_out: dict[tuple[str, str], dict[str, object]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def withhold(
        self, source: str, dataset: str, identifier: str, reason: str, subject: str = ""
    ) -> None:
        row = withheld(self.inputs.day, source, dataset, identifier, reason, subject)
        self.kept_out.setdefault((source, str(row["subject"])), row)


@dataclass(frozen=True, slots=True, eq=False)
class DayFrames:
    """Frames by dataset, exactly the columns of their contracts, and what was done to get them."""

    frames: Mapping[str, pd.DataFrame]
    notes: tuple[str, ...]


def assembled(inputs: DayInputs) -> DayFrames:
    """Return the datasets of a day that the sources speak of."""
    day = _Day(inputs)
    _instruments(day)
    _holdings(day)
    _rates(day)
    _indices_and_marks(day)
    day.frames["funding"] = _joined(inputs, "funding")
    _last_known(day)
    readings = _joined(inputs, "readings")
    more = pd.DataFrame(list(day.kept_out.values()), columns=readings.columns)
    day.frames["readings"] = _stacked("readings", [readings, more])
    frames = {name: contract_columns(name, day.frames[name]) for name in DATASETS}
    return DayFrames({name: _sorted(name, frame) for name, frame in frames.items()},
                     tuple(day.notes))  # fmt: skip


def _instruments(day: _Day) -> None:
    inputs, parts = day.inputs, []
    for name, source in inputs.sources.items():
        listed = source.frame("instruments")
        if listed.empty:
            listed, since = _last(inputs, name, "instruments")
            if since is not None:
                day.notes.append(f"instruments of {name} as of {since}")
        parts.append(listed)
    parts.append(inputs.expired)
    listed = _stacked("instruments", parts).drop_duplicates("instrument_id", keep="first")
    day.frames["instruments"] = listed


def _last(inputs: DayInputs, source: str, name: str) -> tuple[pd.DataFrame, date | None]:
    for since, earlier in inputs.earlier:
        if (inputs.business_date - since).days > inputs.terms.last_known_days_max:
            break
        if source in earlier and len(earlier[source].frame(name)):
            return earlier[source].frame(name), since
    return empty_frame(contract(name)), None


def _holdings(day: _Day) -> None:
    """Positions, orders, collateral and reported margin of clients' accounts."""
    inputs = day.inputs
    house = {each.account_id for each in inputs.accounts.values() if each.role != "client"}
    frames = {}
    for name in ("positions", "open_orders", "collateral", "venue_margin"):
        rows = _joined(inputs, name)
        frames[name] = rows[~rows[_account(name)].isin(house)].reset_index(drop=True)
    listed = set(day.frames["instruments"]["instrument_id"])
    for name in ("positions", "open_orders"):
        is_listed = frames[name]["instrument_id"].isin(listed)
        for row in frames[name][~is_listed].to_dict(orient="records"):
            what = f"{row['account_id']} has {name.replace('_', ' ')} in {row['instrument_id']}"
            reason = f"{what}, which {row['venue']} does not list"
            subject = f"{row['account_id']}:{row['instrument_id']}"
            day.withhold(str(row["venue"]), name, str(row["netting_set_id"]), reason, subject)
        frames[name] = frames[name][is_listed].reset_index(drop=True)
    owed = frames["collateral"]["quantity"] < 0.0
    for row in frames["collateral"][owed].to_dict(orient="records"):
        source = str(row["place"]).partition("/")[0]
        reason = f"{row['location']} owes {-row['quantity']:.10g} {row['asset']} to {source}"
        subject = f"{row['location']}:{row['asset']}"
        day.withhold(source, "positions", str(row["netting_set_id"]), reason, subject)
    frames["collateral"] = frames["collateral"][frames["collateral"]["quantity"] > 0.0]
    day.frames |= frames
    day.frames["positions"] = with_settled_prices(
        frames["positions"],
        inputs.earlier,
        day.frames["instruments"],
        Present(
            day=inputs.day,
            read_at=_read_at(inputs),
            expired=frozenset(inputs.expired["instrument_id"].astype(str)),
        ),
    )


def _read_at(inputs: DayInputs) -> dict[str, pd.Timestamp]:
    """Return when each client's account was read, by account."""
    readings = _joined(inputs, "readings")
    read = readings[(readings["kind"] == "account") & (readings["state"] == "read")]
    return {
        inputs.accounts[place].account_id: observed
        for place, observed in zip(read["subject"], read["observed_utc"], strict=True)
        if place in inputs.accounts
    }


def _account(dataset: str) -> str:
    return "location" if dataset == "collateral" else "account_id"


def _rates(day: _Day) -> None:
    """Stablecoins and currencies in USD, as most venues have them; the dollar itself is one."""
    inputs = day.inputs
    told: dict[str, dict[str, float]] = {}
    stamps: dict[str, list[pd.Timestamp]] = {}
    for name, source in inputs.sources.items():
        for row in source.frame("rates").to_dict(orient="records"):
            told.setdefault(row["asset"], {})[name] = float(row["usd_rate"])
            stamps.setdefault(row["asset"], []).append(row["observed_utc"])
    rows: list[dict[str, object]] = []
    for asset, by_venue in sorted(told.items()):
        found = agreed(f"rate of {asset}", by_venue, inputs.terms.index_band)
        for venue, reason in found.outliers.items():
            day.notes.append(f"left out: {reason} ({venue})")
        if found.price is None:
            day.withhold(_VENUES, "fx_rates", asset, found.reason)
            continue
        rows.append({"asset": asset, "usd_rate": found.price, "observed_utc": max(stamps[asset])})
    observed = [stamp for each in stamps.values() for stamp in each]
    observed += [
        row["observed_utc"]
        for source in inputs.sources.values()
        for row in source.frame("readings").to_dict(orient="records")
        if pd.notna(row["observed_utc"])
    ]
    if observed:
        rows.append({"asset": "USD", "usd_rate": 1.0, "observed_utc": max(observed)})
    day.frames["fx_rates"] = _of_day(day, "fx_rates", rows)


def _indices_and_marks(day: _Day) -> None:
    """Indices as most venues have them; marks of a venue that stands off are left out."""
    inputs = day.inputs
    known = day.frames["fx_rates"]
    fx = dict(zip(known["asset"].astype(str), known["usd_rate"].astype(float), strict=True))
    terms = day.frames["instruments"].set_index("instrument_id")[["underlying", "quote_asset"]]
    told: dict[str, dict[str, float]] = {}
    stamps: dict[str, list[pd.Timestamp]] = {}
    for name, source in inputs.sources.items():
        for asset, price, stamp in _own_indices(source.frame("marks"), terms, fx):
            told.setdefault(asset, {})[name] = price
            stamps.setdefault(asset, []).append(stamp)
    rows: list[dict[str, object]] = []
    off: dict[tuple[str, str], str] = {}
    for asset, by_venue in sorted(told.items()):
        found = agreed(f"index of {asset}", by_venue, inputs.terms.index_band)
        off |= {(venue, asset): reason for venue, reason in found.outliers.items()}
        if found.price is None:
            day.withhold(_VENUES, "index_prices", asset, found.reason)
            continue
        row = {"asset": asset, "index_price": found.price, "observed_utc": max(stamps[asset])}
        rows.append(row)
    day.frames["index_prices"] = _of_day(day, "index_prices", rows)
    _marks(day, terms, off)


def _own_indices(
    marks: pd.DataFrame, terms: pd.DataFrame, fx: Mapping[str, float]
) -> Iterable[tuple[str, float, pd.Timestamp]]:
    """Yield asset, index in USD and instant, of one venue: quoted in USD first, then by name."""
    known = marks[marks["index_price"].notna() & marks["instrument_id"].isin(terms.index)]
    if known.empty:
        return
    own = known.join(terms, on="instrument_id")
    own["usd"] = own["quote_asset"].map({**fx, "USD": 1.0}).astype("float64")
    own = own[own["usd"].notna()].assign(is_derived=own["quote_asset"] != "USD")
    own = own.sort_values(["underlying", "is_derived", "instrument_id"])
    for row in own.drop_duplicates("underlying").to_dict(orient="records"):
        yield (
            str(row["underlying"]),
            float(row["index_price"]) * float(row["usd"]),
            row["observed_utc"],
        )


def _marks(day: _Day, terms: pd.DataFrame, off: Mapping[tuple[str, str], str]) -> None:
    inputs = day.inputs
    marks = _joined(inputs, "marks")
    names = marks["instrument_id"].astype(str).tolist()
    underlying = terms["underlying"].reindex(names).tolist()
    pairs = [(name.partition(":")[0], asset) for name, asset in zip(names, underlying, strict=True)]
    held = set(day.frames["positions"]["instrument_id"]) | inputs.held
    held |= set(day.frames["open_orders"]["instrument_id"])
    for name, pair in zip(names, pairs, strict=True):
        if pair in off and name in held:
            day.withhold(pair[0], "marks", name, off[pair])
    marks = marks[np.array([pair not in off for pair in pairs], dtype=np.bool_)]
    _unread_marks(day, held - set(marks["instrument_id"]))
    day.frames["marks"] = _stacked("marks", [marks, _settling(day)])


def _unread_marks(day: _Day, lacking: set[str]) -> None:
    """Say why there is no mark of what is held at a venue whose market was not read."""
    for name, source in day.inputs.sources.items():
        readings = source.frame("readings")
        market = readings[(readings["subject"] == "market") & readings["reason"].notna()]
        for reason in market["reason"]:
            for instrument in sorted(one for one in lacking if one.startswith(f"{name}:")):
                day.withhold(name, "marks", instrument, str(reason))


def _settling(day: _Day) -> pd.DataFrame:
    """Return marks of what expired inside the day: the price that settled it."""
    settled = pd.concat(
        [source.frame("settled") for source in day.inputs.sources.values()], ignore_index=True
    )
    ticks = day.frames["instruments"].set_index("instrument_id")["tick_size"]
    least = ticks.reindex(settled["instrument_id"]).to_numpy(dtype=np.float64) / 2.0
    # What expires worthless settles at half of the last digit: a price of zero is no price.
    price = np.maximum(settled["settlement_price"].to_numpy(dtype=np.float64), least)
    return pd.DataFrame(
        {
            "business_date": day.inputs.day,
            "instrument_id": settled["instrument_id"],
            "mark_price": price,
            "settlement_price": price,
            "observed_utc": settled["settled_utc"],
        }
    )


def _last_known(day: _Day) -> None:
    """Let what was last known stand in for accounts that were not read."""
    inputs = day.inputs
    lost = {
        str(row["subject"])
        for source in inputs.sources.values()
        for row in source.frame("readings").to_dict(orient="records")
        if row["kind"] == "account" and row["state"] != "read"
    }  # fmt: skip
    for place in sorted(lost):
        account = inputs.accounts.get(place)
        if account is None:
            continue
        found = _last_whole(inputs, place)
        if found is None:
            day.notes.append(f"nothing is known of {place}: it counts as holding no collateral")
            continue
        since, source = found
        age = (inputs.business_date - since).days
        cut = inputs.terms.cut(age)
        for name, share, columns in (
            ("collateral", 1.0 - cut, ("quantity",)),
            ("venue_margin", 1.0 + cut,
             ("reported_initial_margin", "reported_maintenance_margin")),
        ):  # fmt: skip
            rows = source.frame(name)
            rows = rows[rows[_account(name)] == account.account_id].copy()
            if name == "collateral":
                rows = rows[rows["quantity"] > 0.0]
            for column in columns:
                rows[column] = rows[column] * share
            rows["business_date"] = inputs.day
            rows["business_date"] = rows["business_date"].astype("datetime64[ms]")
            day.frames[name] = pd.concat([day.frames[name], rows], ignore_index=True)
        day.notes.append(
            f"{place} as last known of {since}: collateral less {cut:.0%}, reported margin and "
            f"{cut:.0%}"
        )


def _last_whole(inputs: DayInputs, place: str) -> tuple[date, SourceFrames] | None:
    name = place.partition("/")[0]
    for since, earlier in inputs.earlier:
        if (inputs.business_date - since).days > inputs.terms.last_known_days_max:
            return None
        if name not in earlier:
            continue
        readings = earlier[name].frame("readings")
        if ((readings["subject"] == place) & (readings["state"] == "read")).any():
            return since, earlier[name]
    return None


def _joined(inputs: DayInputs, name: str) -> pd.DataFrame:
    frames = [source.frame(name) for source in inputs.sources.values()]
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return frames[0] if frames else empty_frame(contract(name))
    joined: pd.DataFrame = pd.concat(filled, ignore_index=True)
    return joined


def _of_day(day: _Day, dataset: str, rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    columns = [column.name for column in contract(dataset).columns]
    frame = pd.DataFrame(list(rows), columns=columns).assign(business_date=day.inputs.day)
    return _stacked(dataset, [frame])


def _stacked(dataset: str, parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return parts below each other, with the columns and types of their contract."""
    empty = empty_frame(contract(dataset))
    filled = [part.reindex(columns=empty.columns) for part in parts if len(part)]
    if not filled:
        return empty
    stacked: pd.DataFrame = pd.concat(
        [part.astype(empty.dtypes.to_dict()) for part in filled], ignore_index=True
    )
    return stacked


def _sorted(dataset: str, frame: pd.DataFrame) -> pd.DataFrame:
    key = [name for name in contract(dataset).key if name in frame]
    ordered: pd.DataFrame = frame.sort_values(key, kind="stable", ignore_index=True)
    return ordered
