"""The store keeps frames exactly, writes whole files and says in a sentence why it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import MissingDataError, ModelInputError, ParameterError, StateError
from infra.store import Store, frame_hash, open_store
from tests.integration.store.s3_server import serve_bucket


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "file":
        yield open_store((tmp_path / "a folder").as_uri())
    else:
        with serve_bucket() as (url, _):
            yield open_store(url)


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "netting_set_id": ["NS-1", "NS-2", None],
            "amount": [Decimal("123456789.123456789012345678"), None, Decimal("0.10")],
            "price": [0.1, np.nan, -0.0],
            "flag": [True, False, True],
            "count": [1, 2, 3],
            "day": pd.to_datetime(["2026-11-20"] * 3).astype("datetime64[ms]"),
            "seen": pd.to_datetime(["2026-11-20T08:00Z"] * 3).astype("datetime64[ms, UTC]"),
        }
    )


def test_a_frame_comes_back_as_it_was(store: Store) -> None:
    store.write_frame("runs/eod-1/assessment/requirements.parquet", frame())
    found = store.read_frame("runs/eod-1/assessment/requirements.parquet")
    pd.testing.assert_frame_equal(found, frame())
    assert str(found["amount"][0]) == "123456789.123456789012345678"
    assert str(found["amount"][2]) == "0.10"


def test_the_same_frame_gives_the_same_bytes(store: Store) -> None:
    first = store.write_frame("a.parquet", frame())
    second = store.write_frame("b.parquet", frame())
    assert first == second
    assert store.read_bytes("a.parquet") == store.read_bytes("b.parquet")


def test_an_altered_file_is_refused_when_its_hash_is_known(store: Store) -> None:
    recorded = store.write_frame("a.parquet", frame())
    store.write_frame("a.parquet", frame().assign(price=1.0))
    with pytest.raises(StateError, match=r"a\.parquet was altered"):
        store.read_frame("a.parquet", content_hash=recorded)


def test_listing_shows_every_file_below_a_folder_in_order(store: Store) -> None:
    for path in ("runs/b/two.json", "runs/a.json", "other.json", "runs/b/one.json"):
        store.write_text(path, "{}")
    assert store.list("runs") == ["runs/a.json", "runs/b/one.json", "runs/b/two.json"]
    assert store.list("absent") == []
    assert store.exists("runs/a.json")
    assert not store.exists("runs/z.json")
    assert store.read_text("other.json") == "{}"


def test_an_absent_file_is_missing_data(store: Store) -> None:
    with pytest.raises(MissingDataError, match=r"no file .*absent\.parquet"):
        store.read_frame("absent.parquet")


def test_the_url_shown_to_people_holds_no_password(store: Store) -> None:
    assert "word" not in store.url_of("a.parquet")


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", "", ".incoming/x"])
def test_a_path_outside_the_store_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ModelInputError, match="relative path below the store"):
        open_store(tmp_path.as_uri()).write_text(path, "x")


@pytest.mark.parametrize("url", ["results", "ftp2://host/x"])
def test_a_url_that_cannot_be_served_is_refused_by_name(url: str) -> None:
    with pytest.raises(ParameterError, match=url):
        open_store(url)


def test_a_column_of_mixed_types_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    with pytest.raises(ModelInputError, match="mixes Decimal with float"):
        store.write_frame("a.parquet", pd.DataFrame({"x": [Decimal(1), 1.5]}, dtype=object))
    with pytest.raises(ModelInputError, match="mixed types"):
        store.write_frame("a.parquet", pd.DataFrame({"x": ["a", 1.5]}, dtype=object))


def test_a_bucket_that_refuses_to_write_is_a_state_error() -> None:
    with serve_bucket() as (url, bucket):
        store = open_store(url)
        bucket.refuse_writes = True
        with pytest.raises(StateError, match=r"cannot write s3://results/margin/a\.json"):
            store.write_text("a.json", "{}")
        assert not bucket.objects


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system needs root")
    try:
        store = open_store(mount.as_uri())
        store.write_text("kept.json", "old")
        with pytest.raises(StateError, match="disk is full; free space or set PLIMSOLL_STORE_URL"):
            store.write_bytes("kept.json", os.urandom(200_000))
        assert store.read_text("kept.json") == "old"
        files = [path for path in mount.rglob("*") if path.is_file()]
        assert [path.name for path in files] == ["kept.json"]
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_folder_without_permission_is_one_sentence(as_nobody: Path) -> None:
    locked = as_nobody / "locked"
    with pytest.raises(StateError, match="no permission"):
        open_store(locked.as_uri()).write_text("a.json", "{}")


def test_a_killed_writer_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    code = (
        "import sys; from infra.store import open_store; s = open_store(sys.argv[1]); n = 0\n"
        "while True:\n"
        "    n += 1; s.write_text('a.txt', f'{n % 10}' * 1_000_000); print(n, flush=True)"
    )
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path.as_uri()], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        text = open_store(tmp_path.as_uri()).read_text("a.txt")
        assert text == text[0] * 1_000_000


CELLS = {
    "text": st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6),
    "number": st.floats(allow_nan=True, width=64),
    "amount": st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    "count": st.integers(-(2**63), 2**63 - 1),
    "flag": st.booleans(),
}


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries(CELLS), max_size=5))
def test_content_survives_the_round_trip_whatever_it_is(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    store = open_store(tmp_path_factory.mktemp("store").as_uri())
    columns = {name: pd.Series([row[name] for row in rows], dtype=object) for name in CELLS}
    kinds = {"text": "str", "number": "float64", "count": "int64", "flag": "bool"}
    original = pd.DataFrame(columns).astype(kinds)
    store.write_frame("a.parquet", original)
    found = store.read_frame("a.parquet")
    assert frame_hash(found) == frame_hash(original)
    pd.testing.assert_frame_equal(found, original)
    for mine, theirs in zip(found["amount"], original["amount"], strict=True):
        assert str(mine) == str(theirs)


def test_what_a_killed_writer_left_is_removed_after_a_day(tmp_path: Path) -> None:
    incoming = tmp_path / ".incoming"
    incoming.mkdir()
    (incoming / "1-old").write_bytes(b"half")
    (incoming / "2-at-work").write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(incoming / "1-old", (two_days_ago, two_days_ago))
    open_store(tmp_path.as_uri())
    assert [path.name for path in incoming.iterdir()] == ["2-at-work"]
