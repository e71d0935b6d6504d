"""The close on PostgreSQL leaves the same files as on the embedded database."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tasks.prefect_server import PrefectServer
from tasks.workplace import workplace
from tests.databases import create_postgresql, drop_postgresql, postgresql_address
from tests.integration.flows.conftest import FIRST_DATE, close, require_same_bytes, working_in


@pytest.mark.postgres
def test_a_close_on_postgresql_gives_the_same_bytes_as_on_sqlite(
    postgresql_server: str,
    postgresql_template: str,
    prefect_server: PrefectServer,
    world: Path,
    closed_first: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"test_{uuid.uuid4().hex}"
    create_postgresql(postgresql_server, name, postgresql_template)
    monkeypatch.setenv("PLIMSOLL_DATABASE_URL", postgresql_address(postgresql_server, name))
    home = tmp_path / "home"
    try:
        with working_in(home, prefect_server):
            run_id = close(world, FIRST_DATE)
            database = workplace().database
            assert not database.is_embedded
            assert database.runs.get(run_id).status == "completed"
            assert len(database.calls.open_calls()) > 0
            assert database.audit.verify(workplace().store).n_anchors == 1
            assert close(world, FIRST_DATE) == run_id
            database.close()
    finally:
        drop_postgresql(postgresql_server, name)
    require_same_bytes(home, closed_first, run_id)
    assert not (home / "plimsoll.db").exists()
