"""A database that fails over in the middle of a commit, or to a replica that lags behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from engine.errors import StateUnavailable
from infra.db import Database, intraday_commits, open_database
from infra.db.backup import back_up
from infra.db.loop_lease import Fenced
from tests.integration.db.loop_facts import batch, lead


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("point", "n_sides"), [("loop:commit:before-commit", 0), ("loop:commit:after-commit", 1)]
)
def test_f77_i44_a_server_that_goes_away_around_a_commit_leaves_all_of_it_or_nothing(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch, point: str, n_sides: int
) -> None:
    """Whoever commits cannot know which; the repetition finds out, and has the effect once."""
    database, gone = postgresql_database, []
    wanted = batch(database, lead(database), {"NS-1": "100.25", "NS-2": "7"})

    def fail_over(name: str) -> None:
        if name == point and not gone:
            gone.append(name)
            end_sessions(database)
            if n_sides:
                # Committed, and the answer was lost with the connection.
                raise StateUnavailable("the server is gone")

    monkeypatch.setattr(intraday_commits, "crashpoint", fail_over)
    with pytest.raises(StateUnavailable):
        database.intraday_commits.commit(wanted)
    assert gone == [point]
    assert len(database.calls.open_calls()) == 2 * n_sides
    assert len(database.intraday_events.after(0)) == 2 * n_sides
    again = database.intraday_commits.commit(wanted)
    assert len(again.issued) == 2
    assert sorted(database.calls.open_calls()["netting_set_id"]) == ["NS-1", "NS-2"]
    assert len(database.intraday_events.after(0)) == 2
    database.audit.verify()


def end_sessions(database: Database) -> None:
    """End every session on the database but the one that asks, as a failover does."""
    address = database.url.render_as_string(hide_password=False)
    with closing(open_database(address)) as other, other.reading() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@contextmanager
def replica(database: Database, folder: Path) -> Iterator[Database]:
    """Yield a copy of the database as it is now, which gets nothing any more."""
    back_up(database, folder / "replica.db")
    with closing(open_database(f"sqlite:///{folder / 'replica.db'}", actor="test")) as copy:
        yield copy


def test_i43_a_replica_that_lags_behind_fences_whoever_led_without_its_knowledge(
    sqlite_database: Database, tmp_path: Path
) -> None:
    first = lead(sqlite_database, "one")
    with replica(sqlite_database, tmp_path) as promoted:
        second = lead(sqlite_database, "two")
        wanted = batch(sqlite_database, second, {"NS-1": "5"})
        sqlite_database.intraday_commits.commit(wanted)
        # What the second one has committed is nowhere any more, and so is its lead.
        with pytest.raises(Fenced, match="led by one with epoch 1"):
            promoted.intraday_commits.commit(batch(promoted, second, {"NS-1": "5"}))
        assert promoted.calls.open_calls().empty
        again = lead(promoted, "three")
        assert again.epoch > first.epoch
        promoted.intraday_commits.commit(batch(promoted, again, {"NS-1": "5"}))
        assert promoted.calls.open_calls()["netting_set_id"].tolist() == ["NS-1"]
        promoted.audit.verify()
