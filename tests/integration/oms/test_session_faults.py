"""What a drop copy's other side gets wrong: tags, types, logons; heard from the spool."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from infra.db import Database
from infra.db.executions import Taken, Unreadable
from infra.oms.fix.listening import read_spool
from infra.oms.fix.messages import Ignored, read_message
from infra.oms.fix.session import SpoolingApplication
from infra.oms.fix.spool import SpoolWriter
from tests.integration.oms.desk import NAMING, names, options_of

RAW = (
    "8=FIX.4.4|35=8|34=7|49=DESK|56=PLIMSOLL|52=20261120-12:00:01.250|37=O-1|17=E-1|150=F|39=2|"
    "1=D-7|55=BTCUSDT|207=BNCE|54=1|32=0.10|31=60000.5|60=20261120-12:00:00.123456|151=0|14=0.1|"
    "6=60000.5|10=000|"
).replace("|", "\x01")
REQUIRED = {"17": "E-1", "1": "D-7", "55": "BTCUSDT", "54": "1", "32": "0.10", "31": "60000.5"}


@pytest.fixture
def spool(tmp_path: Path) -> SpoolWriter:
    return SpoolWriter(tmp_path / "spool", is_synced=False)


def application(spool: SpoolWriter, tmp_path: Path) -> SpoolingApplication:
    """Return what the engine calls, for a session that spools."""
    return SpoolingApplication(options_of(tmp_path, 1), spool, None)


@pytest.mark.parametrize("tag", sorted(REQUIRED))
def test_f65_i40_a_report_without_a_required_tag_is_kept_apart_and_stops_no_other(
    sqlite_database: Database, spool: SpoolWriter, tmp_path: Path, tag: str
) -> None:
    told = application(spool, tmp_path)
    told.message(RAW.replace(f"\x01{tag}={REQUIRED[tag]}\x01", "\x01"))
    told.message(RAW.replace("17=E-1", "17=E-2"))
    found = read_spool(sqlite_database, "desk", tmp_path / "spool", NAMING)
    assert found.taken == Taken(n_new=1, n_quarantined=1)
    assert names(sqlite_database) == ["E-2"]
    (doubt,) = sqlite_database.executions.doubts()
    assert f"({tag})" in doubt.reason


@pytest.mark.parametrize("kind", ["U9", "AE", "j", "", "8 "])
def test_f66_a_message_of_an_unknown_type_is_counted_and_changes_nothing(
    sqlite_database: Database, spool: SpoolWriter, tmp_path: Path, kind: str
) -> None:
    raw = RAW.replace("35=8", f"35={kind}")
    assert isinstance(read_message(raw, NAMING), Ignored)
    application(spool, tmp_path).message(raw)
    found = read_spool(sqlite_database, "desk", tmp_path / "spool", NAMING)
    assert (found.taken, found.n_ignored) == (Taken(), 1)


def test_f66_an_execution_of_an_unknown_type_is_no_trade() -> None:
    for kind in ("Z", "FF", ""):
        found = read_message(RAW.replace("150=F", f"150={kind}"), NAMING)
        assert isinstance(found, Ignored)
    broken = read_message(RAW.replace("32=0.10", "32=1e3"), NAMING)
    assert isinstance(broken, Unreadable)
    whole = read_message(RAW, NAMING)
    assert getattr(whole, "quantity", None) == Decimal("0.10")


@pytest.mark.parametrize(
    "text",
    ["Logon refused: unknown CompID", "Outside of session time", "Session already connected"],
)
def test_f68_a_refused_logon_is_told_once_an_hour_with_what_to_do(
    sqlite_database: Database, spool: SpoolWriter, tmp_path: Path, text: str
) -> None:
    told = application(spool, tmp_path)
    for _ in range(5):
        told.administrative("5", text, is_ours=False)
    read_spool(sqlite_database, "desk", tmp_path / "spool", NAMING)
    events = sqlite_database.intraday_events.after(0)
    # Five within a moment; an hour may turn in between.
    assert 1 <= len(events) <= 2
    assert text in events[0].payload["reason"]
    assert events[0].payload["next_action"] == "ask the order management why it refuses the logon"
    assert not told.too_low.is_set(), "a refusal is no reason to touch sequence numbers"
    assert names(sqlite_database) == []
