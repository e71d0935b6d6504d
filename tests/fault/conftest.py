"""A small world, a Prefect server, and what an undisturbed close leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.prefect_server import PrefectServer
from tests.fault.databases import Template
from tests.fault.runs import Record, record_of
from tests.integration.flows.conftest import (
    FIRST_DATE,
    CommandLine,
    prefect_server,
    workers_end,
    world,
)

__all__ = ["prefect_server", "workers_end", "world"]


@pytest.fixture(scope="session")
def server(prefect_server: PrefectServer) -> dict[str, str]:
    """Return the variables that point a command at the session's Prefect server."""
    return {"PLIMSOLL_PREFECT_API_URL": prefect_server.api_url, "PLIMSOLL_N_WORKERS": "1"}


@pytest.fixture(scope="session")
def undisturbed(
    world: Path, server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Record:
    """Return the record of a close that nothing has disturbed."""
    home = tmp_path_factory.mktemp("undisturbed") / "home"
    ended = CommandLine(home, server)("eod", "--date", str(FIRST_DATE), "--market", str(world))
    assert ended.code == 0, ended.err
    return record_of(home, FIRST_DATE)


@pytest.fixture
def template(engine_name: str, request: pytest.FixtureRequest) -> Template:
    """Return the migrated database that lives are begun in, of both kinds in turn."""
    if engine_name == "sqlite":
        return Template("sqlite", str(request.getfixturevalue("sqlite_template")))
    server = request.getfixturevalue("postgresql_server")
    return Template("postgresql", server, request.getfixturevalue("postgresql_template"))
