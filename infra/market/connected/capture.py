"""Read every source for a date, all at the same time, unless that was done already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pandas as pd

from engine.day_ports import Expired
from engine.errors import MissingDataError
from engine.times import close_of
from infra.clock import Clock, utc_now
from infra.connections import AccountConnection, Connections, open_connections, read_connections
from infra.market.connected.archive import Archive
from infra.market.connected.frames import Limits, SourceFrames, source_frames
from infra.market.connected.reading import SourceRead, Wanted, read_custodian, read_venue
from infra.oms import OmsPosition
from infra.settings import Settings
from infra.store import Store


@dataclass(frozen=True, slots=True)
class Installation:
    """What reading connections needs: settings that name them, where readings are kept, a clock.

    ``order_management`` says what it held at an instant, where one is on record.
    """

    settings: Settings
    store: Store
    clock: Clock = utc_now
    order_management: Callable[[datetime], Sequence[OmsPosition]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What other books than the venues' own say of instruments.

    Attributes
    ----------
    instruments : frozenset of str
        Held by some book.
    expired : pandas.DataFrame
        Rows of contract ``instruments`` that expired inside the day.
    """

    instruments: frozenset[str]
    expired: pd.DataFrame


def captured(
    installation: Installation, business_date: date, held: Held
) -> dict[str, SourceFrames]:
    """Return what every connected source says of a date, by source in the order of their names.

    A source that was read whole for the date is not asked again, so that a rerun rests on the same
    readings. One that was not is asked once more, as long as it is not too late.

    Raises
    ------
    MissingDataError
        If it is too late, and a source was never read for the date.
    """
    archive = Archive(installation.store)
    sources = connected_sources(installation.settings)
    found = {name: archive.find(business_date, name) for name in sources}
    open_ones = [name for name, frames in found.items() if frames is None or not frames.is_whole]
    terms = read_connections(installation.settings.connections_path).close
    close = close_of(business_date)
    lag = installation.clock() - close
    if open_ones and abs(lag) <= timedelta(minutes=terms.lag_minutes_max):
        limits = Limits(close, terms.lag_minutes_max * 60.0)
        for read in asyncio.run(_read(installation, business_date, open_ones, held)):
            frames = source_frames(read, business_date, limits)
            archive.keep(frames, business_date)
            found[read.source] = frames
    absent = [name for name, frames in found.items() if frames is None]
    if absent:
        raise MissingDataError(
            f"{', '.join(absent)}: not read for {business_date}, and venues say what is now: the "
            f"close was at {close:%Y-%m-%dT%H:%M}Z, {_distance(lag)}, limit "
            f"{terms.lag_minutes_max:g} min; "
            "close the date from files with --market, or let `plimsoll serve` read it in time",
            identifier=absent[0],
            value=str(business_date),
            limit=f"{terms.lag_minutes_max:g} min",
        )
    return {name: frames for name, frames in found.items() if frames is not None}


def _distance(lag: timedelta) -> str:
    minutes = abs(lag).total_seconds() / 60
    told = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    return f"{told} ago" if lag > timedelta(0) else f"{told} from now"


def connected_sources(settings: Settings) -> list[str]:
    """Return the venues and custodians that the connections file names, sorted."""
    found = read_connections(settings.connections_path)
    named = ("deribit", "binance", "okx", "fireblocks")
    return sorted(name for name in named if getattr(found, name) is not None)


async def _read(
    installation: Installation, business_date: date, sources: Sequence[str], held: Held
) -> list[SourceRead]:
    close = close_of(business_date)
    async with open_connections(installation.settings, installation.clock) as connections:
        wanted = Wanted(
            since=close - timedelta(days=1),
            until=close,
            instruments=held.instruments,
            expired=_expired(held.expired),
            deadline_seconds=connections.close.deadline_seconds,
        )
        accounts = _by_source(connections.accounts)
        return list(
            await asyncio.gather(
                *(_one(connections, name, accounts.get(name, []), wanted) for name in sources)
            )
        )


async def _one(
    connections: Connections, name: str, accounts: Sequence[AccountConnection], wanted: Wanted
) -> SourceRead:
    if name in connections.custodians:
        holdings = connections.custodians[name].accounts
        return await read_custodian(name, holdings, accounts, wanted.deadline_seconds)
    mine = replace(
        wanted,
        instruments=frozenset(one for one in wanted.instruments if one.startswith(f"{name}:")),
        expired=tuple(one for one in wanted.expired if one.instrument_id.startswith(f"{name}:")),
    )
    return await read_venue(name, connections.venues[name], accounts, mine)


def _expired(rows: pd.DataFrame) -> tuple[Expired, ...]:
    return tuple(
        Expired(
            instrument_id=row["instrument_id"], venue_symbol=row["venue_symbol"], kind=row["kind"],
            underlying=row["underlying"], quote_asset=row["quote_asset"],
            expired_at=row["expiry_utc"].to_pydatetime(),
            strike=None if pd.isna(row["strike"]) else Decimal(repr(float(row["strike"]))),
            option_type=None if pd.isna(row["option_type"]) else row["option_type"],
        )
        for row in rows.to_dict(orient="records")
    )  # fmt: skip


def _by_source(accounts: Mapping[str, AccountConnection]) -> dict[str, list[AccountConnection]]:
    found: dict[str, list[AccountConnection]] = {}
    for place in sorted(accounts):
        found.setdefault(place.partition("/")[0], []).append(accounts[place])
    return found
