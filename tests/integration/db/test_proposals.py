"""Four eyes: what one person proposes another one activates, having seen its shadow run."""

from __future__ import annotations

from datetime import date

import pytest

from engine.errors import MissingDataError, ParameterError, StateError
from infra.db import Approval, Database, Proposal
from tests.integration.db.sets import recorded
from tests.integration.db.test_audit import tamper

JAN, MAR = date(2026, 1, 1), date(2026, 3, 1)
RUN = "eod-2026-11-20-1"


def proposed(database: Database, rate: float = 0.02, proposer: str = "alice") -> Proposal:
    sets = [recorded("BTCUSDT", rate, MAR), recorded("LUNAUSDT", None, MAR)]
    return database.proposals.propose("brackets", proposer, sets, {"file": "x.json"})


def shadowed(database: Database, found: Proposal, run_id: str | None = RUN) -> Proposal:
    return database.proposals.shadowed(found.proposal_id, "alice", {"run_id": run_id})


def approval(found: Proposal, approver: str = "bob", **changes: str | None) -> Approval:
    facts = {"content_hash": found.content_hash, "run_id": RUN, **changes}
    return Approval(found.proposal_id, facts["content_hash"] or "", approver, facts["run_id"])


def in_force(database: Database) -> list[str]:
    return [one.scope for one in database.parameters.in_force(MAR)]


def test_a_proposal_changes_nothing_until_it_is_activated(database: Database) -> None:
    found = proposed(database)
    assert (found.state, in_force(database)) == ("proposed", [])
    shadowed(database, found)
    assert in_force(database) == []
    # A withdrawal counts as well: it also ends what a layer below would serve.
    assert database.proposals.activate(approval(found)) == 2
    assert in_force(database) == ["BTCUSDT"]
    done = database.proposals.get(found.proposal_id)
    assert [(event.event, event.actor) for event in done.events] == [
        ("shadowed", "alice"), ("activated", "bob")
    ]  # fmt: skip
    for version in database.parameters.versions():
        assert (version.origin, version.reference) == ("activated", found.proposal_id)


def test_nobody_activates_what_they_have_proposed(database: Database) -> None:
    found = shadowed(database, proposed(database))
    with pytest.raises(ParameterError, match="proposed by alice, who cannot activate it"):
        database.proposals.activate(approval(found, approver="alice"))
    assert in_force(database) == []


def test_an_approval_is_bound_to_the_hash(database: Database) -> None:
    found = shadowed(database, proposed(database))
    for wrong in ("0" * 64, "", found.content_hash[:7]):
        with pytest.raises(ParameterError, match=r"the approval is for"):
            database.proposals.activate(approval(found, content_hash=wrong))
    assert database.proposals.activate(approval(found, content_hash=found.content_hash[:8])) == 2


def test_without_a_shadow_run_nothing_is_activated(database: Database) -> None:
    found = proposed(database)
    with pytest.raises(StateError, match=r"has no shadow run: run `plimsoll rules shadow"):
        database.proposals.activate(approval(found))


def test_a_shadow_run_is_good_for_one_close_and_one_state_of_the_registry(
    database: Database,
) -> None:
    found = shadowed(database, proposed(database))
    with pytest.raises(
        StateError, match=r"was made of the close eod-2026-11-20-1, now it is eod-2"
    ):
        database.proposals.activate(approval(found, run_id="eod-2026-11-21-1"))
    other = shadowed(database, proposed(database, 0.03, "carol"))
    database.proposals.activate(approval(other))
    with pytest.raises(StateError, match=r"was made of the registry at 0, now it is 2"):
        database.proposals.activate(approval(found))
    database.proposals.activate(approval(shadowed(database, found)))


def test_a_proposal_is_activated_or_rejected_once(database: Database) -> None:
    found = shadowed(database, proposed(database))
    database.proposals.activate(approval(found))
    with pytest.raises(StateError, match="was activated by bob"):
        database.proposals.activate(approval(found))
    other = proposed(database, 0.04)
    database.proposals.reject(other.proposal_id, "bob", "withdrawn notice")
    with pytest.raises(StateError, match="was rejected by bob"):
        shadowed(database, other)


def test_the_same_proposal_is_not_repeated_while_it_is_open(database: Database) -> None:
    assert proposed(database).proposal_id == proposed(database).proposal_id == "rules-0001"
    assert proposed(database, proposer="carol").proposal_id == "rules-0002"
    assert [one.proposal_id for one in database.proposals.list()] == ["rules-0002", "rules-0001"]


def test_there_must_be_something_to_propose(database: Database) -> None:
    with pytest.raises(ParameterError, match="no parameter differs from what is in force"):
        database.proposals.propose("nothing", "alice", [], {})
    with pytest.raises(MissingDataError, match="there is no proposal rules-9999"):
        database.proposals.get("rules-9999")


def test_every_step_is_in_the_audit_chain_under_the_persons_name(database: Database) -> None:
    found = shadowed(database, proposed(database))
    database.proposals.activate(approval(found))
    with database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT actor, action FROM audit WHERE subject = 'rules-0001' ORDER BY position"
        ).all()
    assert [tuple(row) for row in rows] == [
        ("alice", "rules proposed"), ("alice", "rules shadowed"), ("bob", "rules activated")
    ]  # fmt: skip
    database.audit.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rule_proposals SET content = replace(content, '2026-03-01', '2026-03-02')",
        # Who proposed is part of what is hashed: another name would let them approve themselves.
        "UPDATE rule_proposals SET content = replace(content, 'alice', 'mallory')",
    ],
)
def test_an_altered_proposal_is_refused(database: Database, statement: str) -> None:
    found = shadowed(database, proposed(database))
    tamper(database, "rule_proposals", statement)
    with pytest.raises(StateError, match="was altered: its content has the hash"):
        database.proposals.activate(approval(found))


def test_what_would_be_in_force_is_known_without_activating_it(database: Database) -> None:
    found = proposed(database)
    with database.writing() as connection:
        database.parameters.record_within(
            connection, [recorded("LUNAUSDT", 0.01, JAN)], "shipped", "test"
        )
    wanted = database.parameters.in_force_if(found.sets, MAR)
    assert [one.scope for one in wanted] == ["BTCUSDT"]
    assert in_force(database) == ["LUNAUSDT"]
    assert len(database.parameters.versions()) == 1
