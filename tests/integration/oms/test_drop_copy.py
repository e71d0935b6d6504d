"""The FIX drop copy over loopback: a session on both sides, cut, killed, restarted, emptied."""

from __future__ import annotations

import os
import signal
import time
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.db import Database
from infra.oms.fix.session import EXIT_SPOOL
from infra.simulator.oms.drop_copy import DropCopyAcceptor
from infra.simulator.oms.line import TcpLine
from tests.integration.oms.desk import accepting, listening, names, options_of, report, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("quickfix") is None,
        reason="the FIX engine is not installed: pip install 'plimsoll[fix]' compiles it",
    ),
]


def told(database: Database) -> list[str]:
    return [one.event for one in reversed(database.oms_channels.events("desk", 200))]


def test_reports_cross_exactly_with_their_busts_and_corrections(
    sqlite_database: Database, tmp_path: Path
) -> None:
    with accepting(DropCopyAcceptor(tmp_path / "desk")) as desk:
        with listening(sqlite_database, options_of(tmp_path, desk.port)):
            desk.wait_for_logon()
            desk.send(report("E-1", quantity=Decimal("0.123456789012345678")))
            desk.send(report("E-2", side="sell"))
            desk.send(report("E-3", kind="bust", refers_to="E-2", side="sell"))
            desk.send(report("E-4", kind="correction", refers_to="E-1"))
            until(lambda: len(names(sqlite_database)) == 4)
        found = [one.execution for one in sqlite_database.executions.after(0)]
        assert [one.kind for one in found] == ["trade", "trade", "bust", "correction"]
        assert found[0].quantity == Decimal("0.123456789012345678")
        assert (found[0].account_id, found[0].instrument_id) == (
            "larch-binance", "binance:BTCUSDT",
        )  # fmt: skip
        assert found[2].refers_to == "E-2"
        assert told(sqlite_database)[:2] == ["started", "logon"]


def test_what_is_sent_while_the_line_is_cut_comes_in_order_and_once(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """I-40, fault F67: a cut in the middle of fifty messages loses and doubles nothing."""
    with accepting(DropCopyAcceptor(tmp_path / "desk")) as desk:
        line = TcpLine(desk.port)
        with listening(sqlite_database, options_of(tmp_path, line.port)):
            desk.wait_for_logon()
            desk.send(report("E-0"))
            until(lambda: names(sqlite_database) == ["E-0"])
            line.cut()
            until(lambda: not desk.is_logged_on)
            for number in range(1, 51):
                desk.send(report(f"E-{number}"))
            line.mend()
            until(lambda: len(names(sqlite_database)) == 51)
            assert names(sqlite_database) == [f"E-{number}" for number in range(51)]
            assert sum(one == "logon" for one in told(sqlite_database)) == 2
        line.close()


def test_a_resend_under_a_known_name_is_one_fact_and_another_content_a_break(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """I-40, fault F64."""
    with accepting(DropCopyAcceptor(tmp_path / "desk")) as desk:
        with listening(sqlite_database, options_of(tmp_path, desk.port)):
            desk.wait_for_logon()
            desk.send(report("E-1"))
            desk.send(report("E-1"), is_possible_resend=True)
            desk.send(report("E-1", quantity=Decimal(9)), is_possible_resend=True)
            desk.send(report("E-2"))
            until(lambda: "E-2" in names(sqlite_database))
        assert names(sqlite_database) == ["E-1", "E-2"]
        assert [one.kind for one in sqlite_database.executions.doubts()] == ["conflict"]


def test_a_jump_in_the_sequence_is_asked_about_and_the_session_goes_on(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """Fault F62."""
    with (
        accepting(DropCopyAcceptor(tmp_path / "desk")) as desk,
        listening(sqlite_database, options_of(tmp_path, desk.port)),
    ):
        desk.wait_for_logon()
        desk.send(report("E-1"))
        desk.skip(20)
        desk.send(report("E-2"))
        until(lambda: "E-2" in names(sqlite_database))
        desk.send(report("E-3"))
        until(lambda: "E-3" in names(sqlite_database))
        assert desk.is_logged_on


@pytest.mark.parametrize("n_kills", [1, 3])
def test_a_killed_session_process_loses_nothing(
    sqlite_database: Database, tmp_path: Path, n_kills: int
) -> None:
    """Fault 1: kill −9 with messages under way; each comes once, in order."""
    with accepting(DropCopyAcceptor(tmp_path / "desk")) as desk:
        with listening(sqlite_database, options_of(tmp_path, desk.port)) as listener:
            desk.wait_for_logon()
            n_sent = 0
            for _ in range(n_kills):
                for _ in range(100):
                    n_sent += 1
                    desk.send(report(f"E-{n_sent}"))
                process = listener._process
                assert process is not None
                os.kill(process.pid, signal.SIGKILL)
                until(lambda dead=process: listener._process not in (None, dead))
                desk.wait_for_logon(20.0)
            until(lambda: len(names(sqlite_database)) >= n_sent)
        assert sorted(names(sqlite_database), key=lambda one: int(one[2:])) == [
            f"E-{number}" for number in range(1, n_sent + 1)
        ]
        assert sqlite_database.executions.doubts() == []


def test_a_restarted_listener_is_sent_what_it_has_missed(
    sqlite_database: Database, tmp_path: Path
) -> None:
    with accepting(DropCopyAcceptor(tmp_path / "desk")) as desk:
        options = options_of(tmp_path, desk.port)
        with listening(sqlite_database, options):
            desk.wait_for_logon()
            desk.send(report("E-1"))
            until(lambda: names(sqlite_database) == ["E-1"])
        until(lambda: not desk.is_logged_on)
        for number in range(2, 22):
            desk.send(report(f"E-{number}"))
        with listening(sqlite_database, options):
            until(lambda: len(names(sqlite_database)) == 21)
        assert names(sqlite_database) == [f"E-{number}" for number in range(1, 22)]


def test_a_lost_store_of_ours_waits_for_a_person_and_goes_on_by_decision(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """Fault F63: sequence numbers are never reset by themselves."""
    with accepting(DropCopyAcceptor(tmp_path / "desk")) as desk:
        options = options_of(tmp_path, desk.port)
        with listening(sqlite_database, options):
            desk.wait_for_logon()
            for number in range(5):
                desk.send(report(f"E-{number}"))
            until(lambda: len(names(sqlite_database)) == 5)
        until(lambda: not desk.is_logged_on)
        for path in (tmp_path / "store").glob("FIX.4.4-*"):
            path.unlink()
        desk.send(report("E-5"))
        _, expected = desk.next_numbers
        with listening(sqlite_database, options) as listener:
            until(lambda: listener.is_waiting_for_decision)
            assert "too_low" in told(sqlite_database)
            alerts = sqlite_database.intraday_events.after(0)
            (alert,) = [one for one in alerts if "too low" in one.payload["cause"]]
            assert "plimsoll oms sequence" in alert.payload["next_action"]
            assert names(sqlite_database)[-1] == "E-4"
        # Nor does a listener that is started anew go on by itself.
        with listening(sqlite_database, options) as listener:
            time.sleep(2.0)
            assert listener.is_waiting_for_decision
            sqlite_database.oms_channels.order_sequence(
                "desk", "alice", "our disk was lost", next_sender=expected
            )
            desk.wait_for_logon()
            # Everything is asked for again, and what is known stays one fact.
            until(lambda: "E-5" in names(sqlite_database))
        assert names(sqlite_database) == [f"E-{number}" for number in range(6)]


def test_a_lost_store_of_theirs_waits_for_a_person_too(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """Fault F63, the other side: what they sent in between may be lost, as somebody must know."""
    desk = DropCopyAcceptor(tmp_path / "desk")
    options = options_of(tmp_path, desk.port)
    with accepting(desk), listening(sqlite_database, options):
        desk.wait_for_logon()
        for number in range(5):
            desk.send(report(f"E-{number}"))
        until(lambda: len(names(sqlite_database)) == 5)
    desk.forget()
    with accepting(desk), listening(sqlite_database, options) as listener:
        until(lambda: listener.is_waiting_for_decision)
        theirs_next, ours_expected = desk.next_numbers
        sqlite_database.oms_channels.order_sequence(
            "desk", "alice", "set up anew, numbers by telephone", next_sender=ours_expected,
            next_target=theirs_next,
        )  # fmt: skip
        desk.wait_for_logon()
        desk.send(report("E-9"))
        until(lambda: "E-9" in names(sqlite_database))


def test_a_half_open_line_is_found_from_outside(sqlite_database: Database, tmp_path: Path) -> None:
    """Fault F5: silence is judged by the age of what came last, not by the engine's word."""
    with accepting(DropCopyAcceptor(tmp_path / "desk")) as desk:
        line = TcpLine(desk.port)
        with listening(sqlite_database, options_of(tmp_path, line.port)):
            desk.wait_for_logon()
            line.silence()
            until(lambda: {"silent", "logout"} & set(told(sqlite_database)[2:]), 15.0)
            line.mend()
            desk.send(report("E-1"))
            until(lambda: names(sqlite_database) == ["E-1"], 30.0)
        line.close()


def test_a_message_that_cannot_be_spooled_is_not_acknowledged(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """A full disk ends the process before the engine counts the message as received."""
    import subprocess
    import sys

    with accepting(DropCopyAcceptor(tmp_path / "desk")) as desk:
        options = options_of(tmp_path, desk.port)
        code = f"""
import json, threading
from infra.oms.fix import session, spool
def full(self, at, kind, text="", details=None):
    if kind == "message":
        raise OSError(28, "No space left on device")
spool.SpoolWriter.append = full
session.run(session.SessionOptions(**json.loads({_json(options)!r})), threading.Event())
"""
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        desk.wait_for_logon()
        desk.send(report("E-1"))
        assert process.wait(10.0) == EXIT_SPOOL
        until(lambda: not desk.is_logged_on)
        with listening(sqlite_database, options):
            until(lambda: names(sqlite_database) == ["E-1"])


def _json(options: object) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(options))  # type: ignore[call-overload]
