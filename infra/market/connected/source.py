"""A market source over connections, layered over a directory of what venues do not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

import pandas as pd

from data_contracts.contract import Kind
from data_contracts.preparation import ROW_NUMBER, empty_frame
from data_contracts.reading import as_text, read_column
from data_contracts.registry import contract
from data_contracts.rules import LINE_FAULT
from engine.errors import MissingDataError
from engine.times import close_of
from infra.connections import AccountConnection, CloseTerms, read_connections
from infra.market.connected.archive import Archive, Earlier
from infra.market.connected.assembly import DayFrames, DayInputs, assembled
from infra.market.connected.capture import Held, Installation, captured, connected_sources
from infra.market.connected.frames import SourceFrames
from infra.market.connected.order_management import covers, oms_rows
from infra.market.daily import daily_dataset
from infra.market.raw import MarketSource, RawRows, raw_rows
from infra.market.source import CONNECTIONS, open_source
from infra.oms import OmsPosition

_WHOLLY_BELOW: Final = (
    "volatility_history", "basis_history", "option_chains", "agreements",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Day:
    """One date: what each source said, and the frames put together from it."""

    sources: Mapping[str, SourceFrames]
    frames: DayFrames
    origin: str


@dataclass(slots=True)
class ConnectedSource:
    """What venues and custodians say of a date, over a market and a book that say the rest.

    A date is read through the adapters once, at its close, and kept; whoever asks again gets what
    was kept. Of a connected venue the source's own word counts; rows of other venues, books of
    order management and clearing, histories and agreements come from below.
    """

    installation: Installation
    market: MarketSource
    book: MarketSource
    _days: dict[date, _Day] = field(default_factory=dict, repr=False)

    @property
    def location(self) -> str:
        """Return the location, with that of the market below."""
        return f"{CONNECTIONS}{self.market.location}"

    def read(
        self, dataset: str, business_date: date, *, is_required: bool | None = None
    ) -> RawRows:
        """Return the rows of a dataset; the origin names the sources, their instants and what is
        below.

        Raises
        ------
        MissingDataError
            If the date was never read and it is too late, or a history or agreement is absent.
        """
        if dataset in _WHOLLY_BELOW:
            return self._below(dataset, business_date, is_required=is_required)
        if dataset == "liquidity":
            return self._carried(dataset, business_date)
        day = self.day(business_date)
        if dataset == "price_history":
            return self._history(day, business_date)
        frames = day.frames.frames
        own = self._accounts(business_date) if dataset == "accounts" else frames[dataset]
        if dataset == "positions":
            own = self._with_order_management(own, frames["marks"], business_date)
        if dataset == "readings":
            return raw_rows(own, day.origin)
        below = self._below(dataset, business_date, is_required=False)
        kept = self._not_ours(dataset, below.frame, own)
        origin = f"{day.origin}; below: {below.origin}" if len(kept) else day.origin
        found = raw_rows(_joined(own, kept), origin)
        if found.frame.empty and is_required is not False and dataset in ("marks", "index_prices"):
            raise MissingDataError(
                f"no {dataset} for {business_date}: {self._failures(day)}",
                identifier=dataset,
                value=str(business_date),
            )
        return found

    def day(self, business_date: date) -> _Day:
        """Return the date, read through the adapters if that was not done before."""
        if business_date not in self._days:
            settings = self.installation.settings
            names = connected_sources(settings)
            document = read_connections(settings.connections_path)
            archive = Archive(self.installation.store)
            earlier = Earlier(archive, business_date, names)
            held = self._held(business_date, earlier)
            sources = captured(self.installation, business_date, held)
            frames = assembled(
                DayInputs(
                    business_date=business_date,
                    sources=sources,
                    earlier=earlier,
                    accounts={each.place: each for each in document.account},
                    held=held.instruments,
                    expired=held.expired,
                    terms=document.close,
                )
            )
            archive.keep_closes(_closes(frames.frames, business_date), business_date)
            self._days[business_date] = _Day(sources, frames, _origin(sources, frames.notes))
        return self._days[business_date]

    def _with_order_management(
        self, own: pd.DataFrame, marks: pd.DataFrame, business_date: date
    ) -> pd.DataFrame:
        """Return the venues' rows with those of order management, where it covers all clients."""
        held = self._at_close(business_date)
        if held is None:
            return own
        rows = oms_rows(
            held, self._connected(), own, marks,
            business_date=business_date, close=close_of(business_date),
        )  # fmt: skip
        return pd.concat([own, rows], ignore_index=True) if len(rows) else own

    def _at_close(self, business_date: date) -> Sequence[OmsPosition] | None:
        """Return what order management held at the close; None if its book is not to be used."""
        settings = self.installation.settings
        if self.installation.order_management is None:
            return None
        oms = read_connections(settings.connections_path).oms
        venues = connected_sources(settings)
        if oms is None or not covers(self._connected(), oms.accounts.values(), venues):
            return None
        return self.installation.order_management(close_of(business_date))

    def _held(self, business_date: date, earlier: Earlier) -> Held:
        """Return what other books hold, and what of it expired inside the day."""
        held: set[str] = set()
        for name in ("positions", "open_orders"):
            frame = self.book.read(name, business_date, is_required=False).frame
            if "instrument_id" in frame:
                held |= set(as_text(frame["instrument_id"]).dropna())
        held |= {one.instrument_id for one in self._at_close(business_date) or ()}
        close = pd.Timestamp(close_of(business_date))
        listed = [_typed(self.market.read("instruments", business_date, is_required=False).frame)]
        for _, sources in earlier:
            for source in sources.values():
                held |= set(source.frame("positions")["instrument_id"])
                listed.append(source.frame("instruments"))
            break
        rows = pd.concat([frame for frame in listed if len(frame)] or listed, ignore_index=True)
        rows = rows.drop_duplicates("instrument_id", keep="last")
        is_over = (rows["expiry_utc"] > close - timedelta(days=1)) & (rows["expiry_utc"] <= close)
        is_ours = rows["venue"].isin(connected_sources(self.installation.settings))
        expired = rows[is_over & is_ours & rows["instrument_id"].isin(held)]
        return Held(instruments=frozenset(held), expired=expired.reset_index(drop=True))

    def _below(self, dataset: str, business_date: date, *, is_required: bool | None) -> RawRows:
        source = self.market if _is_of_market(dataset) else self.book
        return source.read(dataset, business_date, is_required=is_required)

    def _carried(self, dataset: str, business_date: date) -> RawRows:
        """Return the newest rows of a dataset of the market, a few days old at most."""
        days = self._terms().carried_days_max
        for age in range(days + 1):
            found = self.market.read(
                dataset, business_date - timedelta(days=age), is_required=False
            )
            if found.frame.empty:
                continue
            if not age:
                return found
            frame = found.frame.assign(business_date=business_date.isoformat())
            return raw_rows(frame, f"{found.origin} of {business_date - timedelta(days=age)}")
        return self.market.read(dataset, business_date, is_required=False)

    def _history(self, day: _Day, business_date: date) -> RawRows:
        """Return the history below, with the closes of dates that were read here where it lacks
        them."""
        below = self.market.read("price_history", business_date, is_required=False)
        if below.frame.empty:
            raise MissingDataError(
                f"{self.market.location} has no price_history: venues do not tell the past; name a "
                "market directory with --market, or `market` under [close] of the connections file",
                identifier="price_history",
            )
        days = read_column(below.frame["date"], Kind.DATE).values
        archive = Archive(self.installation.store)
        told = set(days.dropna().dt.date)
        earlier = [found for found in archive.dates(business_date) if found not in told]
        kept = [archive.closes(found) for found in earlier]
        parts = [
            _closes(day.frames.frames, business_date),
            *(one for one in kept if one is not None),
        ]
        own = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
        known = set(zip(days, as_text(below.frame["asset"]), strict=True))
        is_new = [
            pair not in known for pair in zip(own["date"], own["asset"], strict=True)
        ]  # fmt: skip
        new = own[is_new].sort_values(["asset", "date"], ignore_index=True)
        n_days = new["date"].nunique()
        origin = f"{below.origin}; {n_days} {'date' if n_days == 1 else 'dates'} as read here"
        return raw_rows(_joined(new, below.frame), origin if n_days else below.origin)

    def _accounts(self, business_date: date) -> pd.DataFrame:
        """Return the accounts of the connections file, in force from the date on."""
        rows = [
            {
                "account_id": each.account_id, "effective_date": pd.Timestamp(business_date),
                "venue": each.place.partition("/")[0], "client_id": each.client_id,
                "netting_set_id": each.netting_set_id, "account_mode": each.account_mode,
                "leverage": each.leverage,
            }
            for each in self._connected()
            if each.role == "client" and not each.place.startswith("fireblocks/")
        ]  # fmt: skip
        empty = empty_frame(contract("accounts"))
        return pd.DataFrame(rows, columns=empty.columns).astype(empty.dtypes.to_dict())

    def _not_ours(self, dataset: str, below: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
        """Return the rows below that no connected source has a word on."""
        if below.empty:
            return below
        venues = set(connected_sources(self.installation.settings))
        accounts = {each.account_id for each in self._connected()}
        if dataset in ("index_prices", "fx_rates"):
            drop = as_text(below["asset"]).isin(set(own["asset"]))
        elif dataset == "instruments":
            drop = as_text(below["venue"]).isin(venues)
        elif dataset == "marks":
            drop = as_text(below["instrument_id"]).str.partition(":")[0].isin(venues)
        elif dataset in ("funding", "open_orders"):
            drop = as_text(below["venue"]).isin(venues)
        elif dataset == "positions":
            # Order management that has a word of its own is not told by a book as well.
            spoken = {"venue"} | set(own["source"].astype(str))
            is_spoken = as_text(below["source"]).isin(spoken)
            drop = is_spoken & as_text(below["account_id"]).isin(accounts)
        elif dataset == "collateral":
            is_venues = as_text(below["source"]) == "venue"
            drop = is_venues & as_text(below["location"]).isin(accounts)
        elif dataset == "accounts":
            # The margin mode that the book names is kept where the connections file names none.
            named = set(own.loc[own["account_mode"].notna(), "account_id"])
            drop = as_text(below["account_id"]).isin(named)
        else:
            drop = as_text(below["account_id"]).isin(accounts)
        return below[~drop.fillna(False).to_numpy(dtype=bool)].reset_index(drop=True)

    def _failures(self, day: _Day) -> str:
        readings = day.frames.frames["readings"]
        reasons = readings.loc[readings["reason"].notna(), "reason"]
        return "; ".join(dict.fromkeys(map(str, reasons))) or "no venue has said anything"

    def _terms(self) -> CloseTerms:
        return read_connections(self.installation.settings.connections_path).close

    def _connected(self) -> tuple[AccountConnection, ...]:
        return read_connections(self.installation.settings.connections_path).account


def connected_source(
    location: str, installation: Installation, book: str | None = None
) -> ConnectedSource:
    """Return the source of ``connections:<market>``, over the market of that name.

    Without one it is that of ``[close]`` in the connections file; without a book, the book there,
    else the market.

    Raises
    ------
    MissingDataError
        If no market is named anywhere, or it is not there.
    """
    terms = read_connections(installation.settings.connections_path).close
    below = location.removeprefix(CONNECTIONS) or terms.market or ""
    if not below:
        raise MissingDataError(
            "venues tell neither histories nor agreements: name a market directory with --market, "
            "PLIMSOLL_MARKET, or `market` under [close] of the connections file",
            identifier="market",
        )
    market = open_source(below)
    named = book or terms.book
    return ConnectedSource(installation, market, open_source(named) if named else market)


def _is_of_market(dataset: str) -> bool:
    return daily_dataset(dataset).origin == "market"


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows of ``instruments`` as their contract types them; unreadable cells are empty."""
    definition = contract("instruments")
    found = {
        column.name: read_column(frame[column.name], column.kind).values
        if column.name in frame
        else pd.Series([None] * len(frame), index=frame.index)
        for column in definition.columns
    }
    empty = empty_frame(definition)
    return pd.DataFrame(found).astype(empty.dtypes.to_dict())


def _closes(frames: Mapping[str, pd.DataFrame], day: date) -> pd.DataFrame:
    """Return rows of ``price_history``: the day's indices and rates."""
    index, fx = frames["index_prices"], frames["fx_rates"]
    fx = fx[(fx["asset"] != "USD") & ~fx["asset"].isin(index["asset"])]
    close = pd.concat([index["index_price"], fx["usd_rate"]], ignore_index=True)
    rows = pd.DataFrame(
        {
            "date": pd.Timestamp(day),
            "asset": pd.concat([index["asset"], fx["asset"]], ignore_index=True),
            "close": close,
            "quote": "USD",
            "market": "index",
            "utc_aligned": True,
            "source": "read at the close",
        }
    )
    empty = empty_frame(contract("price_history"))
    return rows.reindex(columns=empty.columns).astype(empty.dtypes.to_dict())


def _joined(own: pd.DataFrame, below: pd.DataFrame) -> pd.DataFrame:
    """Return own rows after those below, as text where a text file is below."""
    if below.empty:
        return own.reset_index(drop=True)
    if own.empty:
        return below.reset_index(drop=True)
    if ROW_NUMBER not in below and LINE_FAULT not in below:
        both: pd.DataFrame = pd.concat([below, own], ignore_index=True)
        return both
    texts = pd.DataFrame({name: _texts(own[name]) for name in own})
    if ROW_NUMBER in below:
        first = int(below[ROW_NUMBER].max()) + 1
        texts[ROW_NUMBER] = range(first, first + len(own))
    together: pd.DataFrame = pd.concat([below, texts], ignore_index=True)
    return together


def _texts(cells: pd.Series) -> pd.Series:
    if cells.dtype.kind == "f":
        written = cells.map(lambda number: None if pd.isna(number) else repr(float(number)))
    elif cells.dtype.kind == "M":
        instants = cells.map(lambda moment: None if pd.isna(moment) else moment.isoformat())
        is_date = getattr(cells.dtype, "tz", None) is None
        written = instants.str.slice(0, 10) if is_date else instants
    elif cells.dtype.kind == "b":
        written = cells.map({True: "true", False: "false"})
    else:
        written = cells
    return written.astype("str")


def _origin(sources: Mapping[str, SourceFrames], notes: tuple[str, ...]) -> str:
    parts = []
    for name, source in sources.items():
        readings = source.frame("readings")
        stamps = readings["observed_utc"].dropna()
        when = f"{stamps.max():%Y-%m-%dT%H:%M:%SZ}" if len(stamps) else "never"
        n_lost = int((readings["state"] != "read").sum())
        parts.append(f"{name} {when}" + (f" ({n_lost} not read)" if n_lost else ""))
    return "; ".join([", ".join(parts), *notes])
