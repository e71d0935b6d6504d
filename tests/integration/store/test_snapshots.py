"""A snapshot is named by everything in it, and what was altered is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from engine.errors import MissingDataError, ModelInputError, StateError
from engine.snapshot import CollateralSet
from infra.store import Store, freeze, load_snapshot, open_store
from tests.integration.store.frames import CLOSE, DAY, collateral, market, positions


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path.as_uri())


def test_a_frozen_snapshot_loads_as_it_was(store: Store) -> None:
    frozen = freeze(store, market(), positions(), collateral())
    snapshot, book, holdings = load_snapshot(store, frozen.snapshot_id)
    assert snapshot.snapshot_id == frozen.snapshot_id
    assert (snapshot.business_date, snapshot.as_of) == (DAY, CLOSE)
    assert list(snapshot.instruments["instrument_id"]) == ["binance:A", "okx:B"]
    pd.testing.assert_frame_equal(snapshot.price_history, market().price_history)
    pd.testing.assert_frame_equal(book.positions, positions().positions)
    pd.testing.assert_frame_equal(holdings.holdings, collateral().holdings)
    assert len(snapshot.faults) == 0


def test_the_order_of_delivery_does_not_change_the_name(store: Store) -> None:
    shuffled = market(instruments=market().instruments.iloc[::-1, ::-1])
    first = freeze(store, market(), positions(), collateral())
    second = freeze(store, shuffled, positions(order=(1, 0)), collateral())
    assert first.snapshot_id == second.snapshot_id


def test_freezing_twice_writes_nothing_the_second_time(store: Store) -> None:
    frozen = freeze(store, market(), positions(), collateral())
    paths = store.list("snapshots")
    before = [store.local_path(path).stat().st_mtime_ns for path in paths]
    assert freeze(store, market(), positions(), collateral()) == frozen
    assert [store.local_path(path).stat().st_mtime_ns for path in paths] == before


def test_every_value_date_and_instant_is_part_of_the_name(store: Store) -> None:
    names = {freeze(store, market(), positions(), collateral()).snapshot_id}
    for name in ("instruments", "marks", "price_history", "basis_history"):
        frame = getattr(market(), name).copy()
        column = frame.select_dtypes("float64").columns[0]
        frame.loc[0, column] += 1e-9
        names.add(freeze(store, market(**{name: frame}), positions(), collateral()).snapshot_id)
    moved = replace(market(), as_of=CLOSE + timedelta(microseconds=1))
    names.add(freeze(store, moved, positions(), collateral()).snapshot_id)
    dated = replace(market(), business_date=DAY + timedelta(days=1))
    names.add(freeze(store, dated, positions(), collateral()).snapshot_id)
    more = CollateralSet(collateral().holdings.assign(quantity=1.26))
    names.add(freeze(store, market(), positions(), more).snapshot_id)
    assert len(names) == 8


def test_the_name_is_the_same_on_every_machine(store: Store) -> None:
    frozen = freeze(store, market(), positions(), collateral())
    # Computed from the documented layout with the standard library alone.
    assert frozen.content_hashes["liquidity"] == liquidity_hash_by_hand()


def liquidity_hash_by_hand() -> str:
    import hashlib
    import json
    import struct

    digest = hashlib.sha256(b"rows 1\n")
    digest.update(json.dumps(["asset", "large_string"]).encode() + b"\n" + b"\x00")
    digest.update(struct.pack("<q", 3) + b"BTC")
    digest.update(json.dumps(["depth_usd", "double"]).encode() + b"\n" + b"\x00")
    digest.update(struct.pack("<d", 1e6))
    return digest.hexdigest()


def test_an_altered_frame_is_refused_by_name(store: Store) -> None:
    frozen = freeze(store, market(), positions(), collateral())
    for name in frozen.content_hashes:
        path = f"snapshots/{frozen.snapshot_id}/{name}.parquet"
        original = store.read_bytes(path)
        frame = store.read_frame(path)
        store.write_frame(path, pd.concat([frame, frame.head(1)]).assign(extra=1.0))
        with pytest.raises(StateError, match=f"snapshot refused: .*{name}.parquet"):
            load_snapshot(store, frozen.snapshot_id)
        store.write_bytes(path, original)
    load_snapshot(store, frozen.snapshot_id)


def test_no_flipped_bit_changes_a_number_unnoticed(store: Store) -> None:
    frozen = freeze(store, market(), positions(), collateral())
    path = f"snapshots/{frozen.snapshot_id}/marks.parquet"
    original = store.read_bytes(path)
    expected = market().marks["mark_price"].tolist()
    refused = 0
    for place in range(0, len(original), 17):
        flipped = bytearray(original)
        flipped[place] ^= 1 << (place % 8)
        store.write_bytes(path, bytes(flipped))
        try:
            found = load_snapshot(store, frozen.snapshot_id).snapshot.marks
        except StateError:
            refused += 1
        else:
            # Statistics and paddings of the file carry no value.
            assert found["mark_price"].tolist() == expected
    assert refused > 10


def test_an_altered_list_of_contents_is_refused(store: Store) -> None:
    frozen = freeze(store, market(), positions(), collateral())
    path = f"snapshots/{frozen.snapshot_id}/contents.json"
    text = store.read_text(path)
    for changed in (text.replace("2026-11-20", "2026-11-19"), text[:100], "[]"):
        store.write_text(path, changed)
        with pytest.raises(StateError, match=r"contents\.json"):
            load_snapshot(store, frozen.snapshot_id)


def test_a_frame_that_is_gone_is_refused(store: Store) -> None:
    frozen = freeze(store, market(), positions(), collateral())
    store.local_path(f"snapshots/{frozen.snapshot_id}/marks.parquet").unlink()
    with pytest.raises(StateError, match=r"marks\.parquet is missing"):
        load_snapshot(store, frozen.snapshot_id)


def test_an_unfinished_snapshot_does_not_exist(store: Store) -> None:
    frozen = freeze(store, market(), positions(), collateral())
    store.local_path(f"snapshots/{frozen.snapshot_id}/contents.json").unlink()
    with pytest.raises(MissingDataError):
        load_snapshot(store, frozen.snapshot_id)
    assert freeze(store, market(), positions(), collateral()) == frozen
    load_snapshot(store, frozen.snapshot_id)


def test_a_naive_instant_is_refused(store: Store) -> None:
    naive = replace(market(), as_of=datetime(2026, 11, 21))  # noqa: DTZ001
    with pytest.raises(ModelInputError, match="no time zone"):
        freeze(store, naive, positions(), collateral())
