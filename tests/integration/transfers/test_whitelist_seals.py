"""An approval that was written past the installation is worth nothing; SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from engine.errors import ModelInputError, ParameterError
from engine.transfers import TransferIntent, WhitelistEntry
from infra.secrets import own_key, sealer
from tests.integration.transfers.conftest import Office
from tests.integration.transfers.fake_venue import listed, wanted


@pytest.fixture
def sealed(office: Office, tmp_path: Path) -> Office:
    office.database.seal = sealer(lambda: own_key("WHITELIST", tmp_path / "keys", {}))
    return office


def test_t03_an_approval_that_was_written_into_the_database_lets_nothing_out(
    sealed: Office,
) -> None:
    intent = wanted()
    proposed = sealed.database.whitelist.propose(
        listed_content(intent), "mallory", "a new address of ours"
    )
    with sealed.database.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO whitelist_events (position, entry_id, round, event, actor, proposer, "
                "reason, active_from, recorded_at, seal) SELECT position + 1, entry_id, round, "
                "'approved', 'dave', proposer, 'fine', recorded_at, recorded_at, :seal "
                "FROM whitelist_events WHERE entry_id = :entry"
            ),
            {"entry": proposed.entry_id, "seal": "0" * 64},
        )
    record = sealed.desk.propose(intent, "alice", "test")
    with pytest.raises(ModelInputError, match="does not bear this installation's seal"):
        sealed.desk.approve(record.transfer_key, "bob", record.payload_hash)
    # What people do after they have looked: off the list, and listed anew by two.
    sealed.database.whitelist.revoke(proposed.entry_id, "dave", "nobody approved this")
    listed(sealed.database, intent)
    assert sealed.desk.approve(record.transfer_key, "bob", record.payload_hash).state == "new"


def test_t03_a_key_that_was_exchanged_ends_every_approval_at_the_moment_of_sending(
    sealed: Office, tmp_path: Path
) -> None:
    record = sealed.approved()
    sealed.database.seal = sealer(lambda: own_key("WHITELIST", tmp_path / "other", {}))
    sealed.send()
    assert sealed.venue.n_submitted == 0
    assert "seal" in sealed.get(record).note


def test_an_approval_sealed_here_holds_over_a_restart(sealed: Office, tmp_path: Path) -> None:
    record = sealed.approved()
    sealed.database.seal = sealer(lambda: own_key("WHITELIST", tmp_path / "keys", {}))
    sealed.send()
    assert sealed.get(record).state == "done"


def test_a_key_of_ones_own_is_made_once_and_for_nobody_else(tmp_path: Path) -> None:
    first = own_key("WHITELIST", tmp_path / "keys", {})
    assert own_key("WHITELIST", tmp_path / "keys", {}).get_secret_value() == (
        first.get_secret_value()
    )
    path = tmp_path / "keys" / "whitelist"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["whitelist"]
    path.chmod(0o644)
    with pytest.raises(ParameterError, match="others can read it"):
        own_key("WHITELIST", tmp_path / "keys", {})
    given = {"PLIMSOLL_SECRET_WHITELIST": "shared by two hosts"}
    assert own_key("WHITELIST", tmp_path, given).get_secret_value() == "shared by two hosts"


def listed_content(intent: TransferIntent) -> WhitelistEntry:
    return WhitelistEntry(
        entry_id="", destination=intent.destination, asset=intent.asset, network=intent.network,
        address=intent.address, memo=intent.memo,
    )  # fmt: skip
