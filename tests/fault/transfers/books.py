"""What must be true of ledger and venue after lives of transfers, and what is wrong with them."""

from __future__ import annotations

from typing import Any

from tests.fault.outcomes import Wrong
from tests.fault.transfers.keyed_venue import tell
from tests.fault.transfers.lives import ASSET, FEE, SCALE, STORED, A, B, Place, open_at

Executed = dict[str, list[Any]]


def wrongs(place: Place, *, at_end: bool = True) -> list[Wrong]:
    """Return what is wrong with the books: lost, doubled, in transit, or not adding up.

    Held against the invariants: I-01 (nothing appears or vanishes), I-06 (executions per key are 0
    or 1, and as the state says), I-08 (in transit is the sum of open transfers), I-11 (out = in +
    fee), I-15 (counted once).
    """
    database = open_at(place)
    book = tell(place.port, do="book", now=place.clock().timestamp())
    records = {one.transfer_key: one for one in database.transfers.list()}
    units = {
        row["account"]: int(row["amount"].scaleb(SCALE))
        for row in database.ledger.balances().to_dict(orient="records")
    }
    database.audit.verify()
    database.close()
    executed: Executed = {}
    for row in book["transfers"]:
        executed.setdefault(row[0], []).append(row)
    found = _wrong_executions(records, executed, place, at_end)
    found += _wrong_transit(records, units, at_end)
    venue = {name: held for name, asset, held in book["balances"] if asset == ASSET}
    found += _wrong_places(records, executed, units, venue)
    inside = sum(held for name, held in units.items() if name != "outside:world")
    if inside != STORED or inside != -units["outside:world"]:
        found.append(Wrong("books", f"I-01 {inside} of {STORED} are inside"))
    return found


def _wrong_executions(
    records: dict[str, Any], executed: Executed, place: Place, at_end: bool
) -> list[Wrong]:
    found = []
    for one in place.intents:
        n = len(executed.get(one.key, []))
        record = records.get(one.key)
        if n > 1:
            sentence = f"I-06 {one.key} was executed {n} times"
            found.append(Wrong("duplicated", sentence, n - 1))
        if not at_end:
            continue
        state = record.state if record else "not recorded"
        if state not in ("reconciled", "rejected"):
            found.append(Wrong("lost", f"lost: {one.key} is {state}"))
        elif n != int(state == "reconciled"):
            found.append(Wrong("lost", f"I-06 {one.key} is {state} and was executed {n} times"))
        elif n and (executed[one.key][0][3] != one.amount or executed[one.key][0][4] != FEE):
            found.append(Wrong("books", f"I-11 {one.key}: {executed[one.key]}"))
    strangers = sorted(set(executed) - set(records))
    if strangers:
        sentence = f"I-06 executed under keys that nobody recorded: {strangers}"
        found.append(Wrong("duplicated", sentence, len(strangers)))
    return found


def _wrong_transit(records: dict[str, Any], units: dict[str, int], at_end: bool) -> list[Wrong]:
    transit = {name: held for name, held in units.items() if name.startswith("transit:") and held}
    open_keys = {
        f"transit:{key}": one.intent.amount
        for key, one in records.items()
        if one.debited_at is not None and one.credited_at is None and one.state != "rejected"
    }
    found = []
    if transit != open_keys:
        sentence = f"I-08 in transit {transit}, open transfers {open_keys}"
        found.append(Wrong("in transit", sentence, len(transit.keys() ^ open_keys.keys())))
    if at_end and transit:
        found.append(Wrong("in transit", f"left in transit: {transit}", len(transit)))
    return found


def _wrong_places(
    records: dict[str, Any], executed: Executed, units: dict[str, int], venue: dict[str, int]
) -> list[Wrong]:
    found = []
    unseen_debits = sum(
        row[3] for rows in executed.values() for row in rows
        if row[0] not in records or records[row[0]].debited_at is None
    )  # fmt: skip
    unseen_credits = sum(
        row[3] - row[4] for rows in executed.values() for row in rows
        if row[5] == "credited"
        and (row[0] not in records or records[row[0]].credited_at is None)
    )  # fmt: skip
    here, there = units.get(f"location:{A}", 0), venue.get(A, 0)
    if here - there != unseen_debits:
        found.append(Wrong("books", f"I-15 source: ledger {here}, venue {there}"))
    here, there = units.get(f"location:{B}", 0), venue.get(B, 0)
    if there - here != unseen_credits:
        found.append(Wrong("books", f"I-15 target: ledger {here}, venue {there}"))
    return found
