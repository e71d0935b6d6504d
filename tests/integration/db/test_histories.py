"""Any history of the ledger keeps the invariants, on both engines, across restarts.

The model is written from the rules and not from the code: dictionaries of whole units, and two
sentences about who may not overdraw and what stands behind a credit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from engine.errors import InsufficientCollateral, LedgerError, UnbackedCredit
from engine.money import Money, to_minor_units
from infra.db import Attestation, Database, Entry, Hold, Posting
from tests.integration.db.facts import DAY

PLACES = ("okx/a", "cold/1")
HELD = ("location:okx/a", "location:cold/1", "transit:t-1")
CLIENTS = ("collateral:NS-1", "margin:NS-1", "collateral:NS-2")
OTHERS = ("settlement:okx/a", "outside:world", "fees:chain")
ACCOUNTS = (*HELD, *CLIENTS, *OTHERS)
SCALES = {"USD": 2, "SHIB": 18}
NEVER = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

AMOUNTS = st.integers(1, 9) | st.sampled_from([10**30, 10**37])
ASSETS = st.sampled_from(sorted(SCALES))
PAIRS = st.permutations(ACCOUNTS).map(lambda order: tuple(order[:2]))
POSTINGS = st.lists(
    st.builds(lambda pair, asset, amount: Posting(*pair, asset, amount), PAIRS, ASSETS, AMOUNTS),
    min_size=1,
    max_size=3,
).map(tuple)


@dataclass
class Model:
    """What the books must say."""

    posted: Counter[tuple[str, str]]
    held: Counter[tuple[str, str]]
    attested: Counter[tuple[str, str]]
    is_attested: set[str]

    def after(self, postings: Sequence[Posting]) -> Model:
        new = Model(self.posted.copy(), self.held.copy(), self.attested.copy(), self.is_attested)
        for posting in postings:
            source, target = (posting.debit, posting.asset), (posting.credit, posting.asset)
            new.posted[source] -= posting.amount
            new.posted[target] += posting.amount
            if posting.debit in HELD:
                new.attested[source] -= posting.amount
                if posting.credit in HELD:
                    new.attested[target] += posting.amount
        return new

    def is_overdrawn(self) -> bool:
        return any(
            self.posted[account, asset] < self.held[account, asset]
            for account in HELD
            for asset in SCALES
        )

    def credited(self, asset: str) -> int:
        return sum(self.posted[account, asset] for account in CLIENTS)

    def vouched(self, asset: str) -> int:
        return sum(self.attested[account, asset] for account in HELD)

    def refuses(self, new: Model) -> bool:
        return new.is_overdrawn() or any(
            new.credited(asset) > max(self.credited(asset), new.vouched(asset))
            for asset in self.is_attested
        )


class LedgerHistory(RuleBasedStateMachine):
    """Book, hold, post, void, expire, attest, correct; repeat and contradict all of it."""

    make: Callable[[], Database]
    booked = Bundle("booked")
    kept = Bundle("kept")

    def __init__(self) -> None:
        super().__init__()
        self.database = type(self).make()
        self.ledger = self.database.ledger
        self.ledger.register_assets(SCALES)
        self.model = Model(Counter(), Counter(), Counter(), set())
        self.n_entries = 0
        self.corrected: set[str] = set()
        self.holds: dict[str, Hold] = {}
        self.ended: dict[str, tuple[str, int]] = {}

    @rule(target=booked, postings=POSTINGS)
    def book(self, postings: tuple[Posting, ...]) -> Entry | None:
        entry = Entry(f"entry-{self.n_entries}", "test", DAY, None, postings)
        return entry if self._book(entry) else None

    @rule(target=booked, place=st.sampled_from(PLACES), asset=ASSETS, amount=AMOUNTS)
    def bring_in(self, place: str, asset: str, amount: int) -> Entry | None:
        posting = Posting("outside:world", f"location:{place}", asset, amount)
        return self.book((posting,))

    @rule(entry=booked)
    def repeat(self, entry: Entry | None) -> None:
        if entry is not None:
            assert not self.ledger.post(entry)

    @rule(entry=booked, amount=AMOUNTS)
    def contradict(self, entry: Entry | None, amount: int) -> None:
        if entry is None:
            return
        other = Posting(*OTHERS[:2], "USD", amount)
        changed = Entry(entry.business_key, "test", DAY, None, (*entry.postings, other))
        with pytest.raises(LedgerError, match="booked with other postings"):
            self.ledger.post(changed)

    @rule(entry=booked)
    def correct(self, entry: Entry | None) -> None:
        if entry is None:
            return
        swapped = tuple(
            Posting(posting.credit, posting.debit, posting.asset, posting.amount)
            for posting in entry.postings
        )
        key = f"reversal-{self.n_entries}"
        reversal = Entry(key, "reversal", DAY, None, swapped, corrects=entry.business_key)
        if entry.business_key in self.corrected:
            with pytest.raises(LedgerError, match="corrected already"):
                self.ledger.post(reversal)
        elif self._book(reversal):
            self.corrected.add(entry.business_key)

    @rule(
        target=kept, pair=PAIRS, asset=ASSETS, amount=AMOUNTS, hours=st.none() | st.integers(1, 9)
    )
    def hold(self, pair: tuple[str, str], asset: str, amount: int, hours: int | None) -> str:
        key = f"hold-{len(self.holds)}"
        expires_at = None if hours is None else NEVER + hours * HOUR
        hold = Hold(key, *pair, asset, amount, DAY, expires_at)
        new = self.model.after(())
        new.held[hold.debit, asset] += amount
        if new.is_overdrawn():
            with pytest.raises(InsufficientCollateral):
                self.ledger.hold(hold)
            return key
        assert self.ledger.hold(hold)
        self.holds[key] = hold
        self.model = new
        return key

    @rule(target=kept, place=st.sampled_from(PLACES), asset=ASSETS, part=st.integers(1, 3))
    def hold_some(self, place: str, asset: str, part: int) -> str:
        """Set aside what is there, so that holds are not only refused."""
        account = f"location:{place}"
        free = self.model.posted[account, asset] - self.model.held[account, asset]
        return self.hold((account, "transit:t-1"), asset, max(free // part, 1), part)

    @rule(place=st.sampled_from(PLACES), asset=ASSETS, amount=AMOUNTS, part=st.integers(1, 3))
    def send(self, place: str, asset: str, amount: int, part: int) -> None:
        """Live the first half of a transfer: bring in, attest, set aside, take out."""
        self.bring_in(place, asset, amount)
        self.attest(place, asset, self.model.posted[f"location:{place}", asset])
        self.post_hold(self.hold_some(place, asset, 1), part)

    @rule(key=kept, other=st.booleans())
    def hold_again(self, key: str, other: bool) -> None:
        if key not in self.holds:
            return
        hold = self.holds[key]
        if other:
            changed = Hold(key, hold.debit, hold.credit, hold.asset, hold.amount + 1, DAY)
            with pytest.raises(LedgerError, match="another intent needs another key"):
                self.ledger.hold(changed)
        else:
            assert not self.ledger.hold(hold)

    @rule(key=kept, part=st.integers(1, 4))
    def post_hold(self, key: str, part: int) -> None:
        if key not in self.holds:
            with pytest.raises(LedgerError, match="there is no hold"):
                self.ledger.post_hold(key)
            return
        hold = self.holds[key]
        amount = max(hold.amount // part, 1)
        new = self.model.after([Posting(hold.debit, hold.credit, hold.asset, amount)])
        new.held[hold.debit, hold.asset] -= hold.amount
        self._end(key, ("posted", amount), new, lambda: self.ledger.post_hold(key, amount))

    @rule(key=kept)
    def void_hold(self, key: str) -> None:
        if key in self.holds:
            self._end(key, ("voided", 0), self._released(key), lambda: self._void(key))

    @rule(hours=st.integers(0, 9))
    def expire(self, hours: int) -> None:
        instant = NEVER + hours * HOUR
        due = [
            hold
            for key, hold in self.holds.items()
            if key not in self.ended and hold.expires_at and hold.expires_at <= instant
        ]
        assert self.ledger.expire_holds(instant) == due
        for hold in due:
            self.model = self._released(hold.hold_key)
            self.ended[hold.hold_key] = ("expired", 0)

    @rule(place=st.sampled_from(PLACES), asset=ASSETS, quantity=st.just(0) | AMOUNTS)
    def attest(self, place: str, asset: str, quantity: int) -> None:
        seen = Attestation(
            asset=asset, place=place, quantity=quantity, as_of=datetime.now(UTC), source="venue"
        )
        assert self.ledger.attest([seen]) == [seen]
        assert self.ledger.attest([seen]) == []
        self.model.attested[f"location:{place}", asset] = quantity
        self.model.is_attested = self.model.is_attested | {asset}

    @rule()
    def restart(self) -> None:
        self.database.close()

    @invariant()
    def balances_are_those_of_the_model(self) -> None:
        """I-01, I-02, I-09: sums to zero, equal to the fold, and no place is overdrawn."""
        found = self.ledger.balances()
        for name, wanted in (("amount", self.model.posted), ("held", self.model.held)):
            units = {
                (row["account"], row["asset"]): to_minor_units(
                    Money(row[name], row["asset"]), SCALES[row["asset"]]
                )
                for row in found.to_dict(orient="records")
            }
            assert {key: value for key, value in units.items() if value} == {
                key: value for key, value in wanted.items() if value
            }
        assert not self.model.is_overdrawn()
        for asset in SCALES:
            assert sum(self.model.posted[account, asset] for account in ACCOUNTS) == 0

    @invariant()
    def a_hold_is_where_the_model_says(self) -> None:
        """I-10: pending, or ended once with what was posted."""
        pending = [hold for key, hold in self.holds.items() if key not in self.ended]
        assert self.ledger.pending_holds() == pending

    def teardown(self) -> None:
        report = self.ledger.verify()
        assert report.heads["ledger"].position == self.n_entries
        assert report.counts["holds"] == len(self.holds)
        assert report.counts["resolutions"] == len(self.ended)
        for key, (outcome, amount) in self.ended.items():
            found = self.ledger.held(key)
            assert (found.state, found.resolution.posted_amount) == (outcome, amount)
            assert found.released_amount + amount == self.holds[key].amount
        backing = self.ledger.backing().set_index("asset")
        for asset in self.model.is_attested:
            row = backing.loc[asset]
            for part, wanted in (("credited", "credited"), ("attested", "vouched")):
                units = to_minor_units(Money(row[part], asset), SCALES[asset])
                assert units == getattr(self.model, wanted)(asset)
        self.database.audit.verify()
        self.database.close()

    def _book(self, entry: Entry) -> bool:
        new = self.model.after(entry.postings)
        if self.model.refuses(new):
            with pytest.raises((InsufficientCollateral, UnbackedCredit)):
                self.ledger.post(entry)
            return False
        assert self.ledger.post(entry)
        self.model = new
        self.n_entries += 1
        return True

    def _end(self, key: str, wanted: tuple[str, int], new: Model, end: Callable[[], bool]) -> None:
        if self.ended.get(key, wanted) != wanted:
            with pytest.raises(LedgerError, match="a hold ends once"):
                end()
        elif key in self.ended:
            assert not end()
        elif self.model.refuses(new):
            with pytest.raises((InsufficientCollateral, UnbackedCredit)):
                end()
        else:
            assert end()
            self.ended[key] = wanted
            self.model = new
            self.n_entries += wanted[0] == "posted"

    def _void(self, key: str) -> bool:
        return self.ledger.void_hold(key, "test")

    def _released(self, key: str) -> Model:
        hold = self.holds[key]
        new = self.model.after(())
        new.held[hold.debit, hold.asset] -= hold.amount
        return new


def run_histories(new_database: Callable[[], Database], n_histories: int, n_steps: int) -> None:
    machine = type("LedgerHistory", (LedgerHistory,), {"make": staticmethod(new_database)})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=n_histories, stateful_step_count=n_steps, deadline=None),
    )


def test_any_history_keeps_the_invariants(
    new_database: Callable[[], Database], engine_name: str
) -> None:
    run_histories(new_database, 20 if engine_name == "sqlite" else 8, 25)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_any_long_history_keeps_the_invariants(
    new_database: Callable[[], Database], engine_name: str
) -> None:
    run_histories(new_database, 120 if engine_name == "sqlite" else 40, 40)
