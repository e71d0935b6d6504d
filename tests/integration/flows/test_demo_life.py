"""One call from its birth to reconciled books, over real sockets, in real Prefect runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import StateError
from flows.demo_life import Told, follow_a_call
from infra.settings import ENVIRONMENT_PREFIX
from tasks.demo_call import CLIENT_PLACE, HOUSE_PLACE, RISK, TREASURY
from tasks.prefect_server import PrefectServer
from tasks.workplace import workplace
from tests.integration.flows.conftest import LAST_DATE, working_in

SECRETS = "town-secrets"


@pytest.fixture
def home(closed_both: Path, prefect_server: PrefectServer, tmp_path: Path) -> Iterator[Path]:
    copy = tmp_path / "home"
    shutil.copytree(closed_both, copy)
    before = dict(os.environ)
    with working_in(copy, prefect_server):
        yield copy
        workplace().database.close()
    # What the town has put there is gone with it.
    for name in set(os.environ) - set(before):
        if name.startswith(f"{ENVIRONMENT_PREFIX}SECRET_"):
            del os.environ[name]


def test_a_call_is_born_answered_paid_and_reconciled(
    home: Path, prefect_server: PrefectServer
) -> None:
    story: list[str] = []
    secrets: set[bytes] = set()

    def hear(told: Told) -> None:
        story.append(told.what)
        secrets.update(path.read_bytes() for path in (home / SECRETS).iterdir())

    call_id = follow_a_call(f"eod-{LAST_DATE}-1", hear)
    database = workplace().database
    record = database.calls.record(call_id)
    assert record.call["state"] == "settled"
    assert record.standing.outstanding == 0
    moved = [one for one in database.transfers.list() if one.intent.purpose == call_id]
    assert moved
    for one in moved:
        assert one.state in ("credited", "reconciled")
        assert one.proposer == TREASURY
        approvers = set(database.transfers.approvals(one.transfer_key))
        assert approvers
        assert approvers <= set(RISK)
        # In transit nothing is left (I-08), and what left one place is at the other (I-11).
        transit = f"transit:{one.transfer_key}"
        assert database.ledger.balance(transit, one.intent.asset).amount == 0
        asset, place = one.intent.asset, f"location:{HOUSE_PLACE}"
        assert database.ledger.balance(place, asset).amount >= one.intent.quantity
        assert database.ledger.balance(f"location:{CLIENT_PLACE}", asset).amount >= 0
    assert database.breaks.open_breaks()["scope"].tolist().count("ledger_venue") == 0
    assert "the books agree" in story[-1]
    database.ledger.verify()
    _require_no_secret(home, prefect_server, secrets)
    # The addresses of the town are gone with it, and so are its keys.
    assert not (home / "connections.toml").exists()
    assert not (home / SECRETS).exists()


def test_a_home_with_venues_of_its_own_is_not_connected_to_a_town(
    home: Path, prefect_server: PrefectServer
) -> None:
    (home / "connections.toml").write_text('network = "test"\n', encoding="utf-8")
    with pytest.raises(StateError, match="another PLIMSOLL_HOME"):
        follow_a_call(f"eod-{LAST_DATE}-1", lambda _: None)
    assert (home / "connections.toml").read_text(encoding="utf-8") == 'network = "test"\n'


def _require_no_secret(home: Path, server: PrefectServer, secrets: set[bytes]) -> None:
    """I-52: no key or secret of the venues in any file that the platform or Prefect has written."""
    assert len(secrets) >= 4
    database = workplace().database
    database.close()
    scanned = 0
    for folder in (home, server.options.home):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and SECRETS not in path.parts:
                content = path.read_bytes()
                scanned += 1
                found = [secret for secret in secrets if secret in content]
                assert not found, f"a secret is in {path}"
    assert scanned > 10
