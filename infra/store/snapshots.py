"""Snapshots: what a run looked at, written once, named by the hash of all of it, and verified."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

import pandas as pd

from engine.errors import MissingDataError, ModelInputError, StateError
from engine.ids import SnapshotId
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.times import require_utc
from infra.store.store import Store

# Frames in the order in which they enter the name, each with the key of its contract: rows are
# sorted by it, so that the order of delivery does not change what a snapshot is called.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "instruments": ("instrument_id",),
    "marks": ("instrument_id", "business_date"),
    "index_prices": ("asset", "business_date"),
    "fx_rates": ("asset", "business_date"),
    "funding": ("venue", "symbol", "ts_utc"),
    "liquidity": ("asset", "business_date"),
    "price_history": ("asset", "date"),
    "volatility_history": ("asset", "date"),
    "basis_history": ("asset", "date"),
    "faults": ("dataset", "identifier", "reason"),
    "positions": ("netting_set_id", "account_id", "instrument_id", "source", "business_date"),
    "open_orders": ("netting_set_id", "account_id", "order_id", "business_date"),
    "collateral": ("netting_set_id", "source", "location", "asset", "state", "business_date"),
    "accounts": ("account_id", "effective_date"),
    "venue_margin": ("account_id", "bucket", "business_date"),
}
# These enter the name only where they hold a row, so that a close without them is called the same
# as before they existed.
_OPTIONAL: Final = ("accounts", "venue_margin")
_MARKET: Final = tuple(_KEYS)[:10]
_FORMAT: Final = "plimsoll-snapshot-1"


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotParts:
    """The market frames of ``engine.snapshot.Snapshot`` before they have a name."""

    business_date: date
    as_of: datetime
    instruments: pd.DataFrame
    marks: pd.DataFrame
    index_prices: pd.DataFrame
    fx_rates: pd.DataFrame
    funding: pd.DataFrame
    liquidity: pd.DataFrame
    price_history: pd.DataFrame
    volatility_history: pd.DataFrame
    basis_history: pd.DataFrame
    faults: pd.DataFrame


@dataclass(frozen=True, slots=True)
class FrozenSnapshot:
    """A snapshot that is on the store: its name, and the content hash of each frame."""

    snapshot_id: SnapshotId
    business_date: date
    as_of: datetime
    content_hashes: Mapping[str, str]


class LoadedSnapshot(NamedTuple):
    """What the engine looks at, verified against its name."""

    snapshot: Snapshot
    positions: PositionSet
    collateral: CollateralSet


def freeze(
    store: Store, parts: SnapshotParts, positions: PositionSet, collateral: CollateralSet
) -> FrozenSnapshot:
    """Write the frames under the hash of their content and return that name.

    The list of contents is written last: a snapshot without it does not exist, so a crash leaves
    nothing that could be loaded. Freezing the same content again changes nothing.

    Raises
    ------
    StateError
        If the store cannot be written.
    ModelInputError
        If ``as_of`` is naive or a frame holds mixed types.
    """
    from infra.store.arrow import table_hash, to_parquet, to_table

    frames = {name: getattr(parts, name) for name in _MARKET}
    frames |= {
        "positions": positions.positions,
        "open_orders": positions.open_orders,
        "collateral": collateral.holdings,
        "accounts": positions.accounts,
        "venue_margin": positions.venue_margin,
    }
    kept = [name for name in _KEYS if name not in _OPTIONAL or len(frames[name])]
    tables = {name: to_table(_sorted(frames[name], name)) for name in kept}
    hashes = {name: table_hash(table) for name, table in tables.items()}
    as_of = require_utc(parts.as_of, "as_of")
    snapshot_id = _name(parts.business_date, as_of, hashes)
    frozen = FrozenSnapshot(snapshot_id, parts.business_date, as_of, hashes)
    if store.exists(_contents_path(snapshot_id)):
        return frozen
    for name, table in tables.items():
        store.write_bytes(_frame_path(snapshot_id, name), to_parquet(table))
    store.write_text(_contents_path(snapshot_id), _contents(frozen))
    return frozen


def load_snapshot(store: Store, snapshot_id: str) -> LoadedSnapshot:
    """Return the snapshot named ``snapshot_id`` after recomputing its name from every value.

    Raises
    ------
    MissingDataError
        If there is no such snapshot.
    StateError
        If a frame or the list of contents was altered; names the first that does not match.
    """
    from infra.store.arrow import from_parquet, table_hash, to_frame

    frozen = _read_contents(store, snapshot_id)
    frames: dict[str, pd.DataFrame] = {}
    for name, expected in frozen.content_hashes.items():
        path = _frame_path(snapshot_id, name)
        try:
            table = from_parquet(store.read_bytes(path))
            found = table_hash(table)
        except (OSError, ValueError, ModelInputError) as error:
            raise _altered(store, path, f"is not readable: {error}") from error
        except MissingDataError as error:
            raise _altered(store, path, "is missing") from error
        if found != expected:
            raise _altered(store, path, f"has the content {found}, recorded was {expected}")
        frames[name] = to_frame(table)
    snapshot = Snapshot(
        snapshot_id=frozen.snapshot_id,
        business_date=frozen.business_date,
        as_of=frozen.as_of,
        **{name: frames[name] for name in _MARKET},
    )
    optional = {name: frames[name] for name in _OPTIONAL if name in frames}
    positions = PositionSet(frames["positions"], frames["open_orders"], **optional)
    return LoadedSnapshot(snapshot, positions, CollateralSet(frames["collateral"]))


def _name(business_date: date, as_of: datetime, hashes: Mapping[str, str]) -> SnapshotId:
    lines = [_FORMAT, business_date.isoformat(), as_of.astimezone(UTC).isoformat()]
    lines += [f"{name} {hashes[name]}" for name in _KEYS if name in hashes]
    return SnapshotId(hashlib.sha256("\n".join(lines).encode()).hexdigest())


def _sorted(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    keys = [key for key in _KEYS[name] if key in frame.columns]
    # Ties, which a contract's unique key does not leave, keep the order of delivery.
    ordered = frame.sort_values(keys, kind="stable", na_position="last") if keys else frame
    return ordered.reset_index(drop=True)


def _frame_path(snapshot_id: str, name: str) -> str:
    return f"snapshots/{snapshot_id}/{name}.parquet"


def _contents_path(snapshot_id: str) -> str:
    return f"snapshots/{snapshot_id}/contents.json"


def _contents(frozen: FrozenSnapshot) -> str:
    facts = {
        "format": _FORMAT,
        "snapshot_id": frozen.snapshot_id,
        "business_date": frozen.business_date.isoformat(),
        "as_of": frozen.as_of.isoformat(),
        "frames": dict(frozen.content_hashes),
    }
    return json.dumps(facts, indent=2) + "\n"


def _read_contents(store: Store, snapshot_id: str) -> FrozenSnapshot:
    path = _contents_path(snapshot_id)
    try:
        facts = json.loads(store.read_bytes(path))
        frames = facts["frames"]
        named = [name for name in _KEYS if name not in _OPTIONAL or name in frames]
        hashes = {name: str(frames[name]) for name in named}
        business_date = date.fromisoformat(facts["business_date"])
        as_of = require_utc(datetime.fromisoformat(facts["as_of"]), "as_of")
    except (ValueError, KeyError, TypeError, ModelInputError) as error:
        raise _altered(store, path, f"is not readable: {error!r}") from error
    found = _name(business_date, as_of, hashes)
    if found != snapshot_id:
        raise _altered(store, path, f"belongs to {found}")
    return FrozenSnapshot(found, business_date, as_of, hashes)


def _altered(store: Store, path: str, fact: str) -> StateError:
    return StateError(
        f"snapshot refused: {store.url_of(path)} {fact}; restore the file, or run the date again "
        "with --force",
        identifier=path,
    )
