"""Any history of postings and calls keeps the invariants, on both engines, across restarts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

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

from engine.errors import LedgerError
from engine.money import Money, to_minor_units
from infra.db import Database, Entry, Posting
from tests.integration.db.facts import DAY

ACCOUNTS = ("collateral:NS-1", "margin:NS-1", "settlement:okx/a", "settlement:okx/b")
SCALES = {"USD": 2, "SHIB": 18}
NETTING_SETS = ("NS-1", "NS-2", "NS-3")

POSTINGS = st.lists(
    st.builds(
        lambda pair, asset, amount: Posting(*pair, asset, amount),
        st.permutations(ACCOUNTS).map(lambda order: tuple(order[:2])),
        st.sampled_from(sorted(SCALES)),
        st.integers(1, 10**37),
    ),
    min_size=1,
    max_size=4,
).map(tuple)


class LedgerHistory(RuleBasedStateMachine):
    """Book, repeat, contradict, correct, restart; the model is a counter of whole units."""

    make: Callable[[], Database]
    booked = Bundle("booked")

    def __init__(self) -> None:
        super().__init__()
        self.database = type(self).make()
        self.database.ledger.register_assets(SCALES)
        self.model: Counter[tuple[str, str]] = Counter()
        self.n_entries = 0
        self.corrected: set[str] = set()

    @rule(target=booked, postings=POSTINGS)
    def book(self, postings: tuple[Posting, ...]) -> Entry:
        entry = Entry(f"entry-{self.n_entries}", "test", DAY, None, postings)
        assert self.database.ledger.post(entry)
        self._count(entry)
        return entry

    @rule(entry=booked)
    def repeat(self, entry: Entry) -> None:
        assert not self.database.ledger.post(entry)

    @rule(entry=booked, amount=st.integers(1, 10**30))
    def contradict(self, entry: Entry, amount: int) -> None:
        other = Posting(*ACCOUNTS[:2], "USD", amount)
        changed = Entry(entry.business_key, "test", DAY, None, (*entry.postings, other))
        with pytest.raises(LedgerError):
            self.database.ledger.post(changed)

    @rule(entry=booked)
    def correct(self, entry: Entry) -> None:
        swapped = tuple(
            Posting(posting.credit, posting.debit, posting.asset, posting.amount)
            for posting in entry.postings
        )
        key = f"reversal-{self.n_entries}"
        reversal = Entry(key, "reversal", DAY, None, swapped, corrects=entry.business_key)
        if entry.business_key in self.corrected:
            with pytest.raises(LedgerError):
                self.database.ledger.post(reversal)
        else:
            assert self.database.ledger.post(reversal)
            self._count(reversal)
            self.corrected.add(entry.business_key)

    @rule()
    def restart(self) -> None:
        self.database.close()

    @invariant()
    def balances_are_the_fold_and_sum_to_zero(self) -> None:
        found = self.database.ledger.balances()
        units = {
            (row["account"], row["asset"]): to_minor_units(
                Money(row["amount"], row["asset"]), SCALES[row["asset"]]
            )
            for row in found.to_dict(orient="records")
        }
        assert {key: value for key, value in units.items() if value} == {
            key: value for key, value in self.model.items() if value
        }
        for asset in SCALES:
            assert sum(value for key, value in units.items() if key[1] == asset) == 0

    def teardown(self) -> None:
        heads = self.database.audit.verify().heads
        assert heads["ledger"].position == self.n_entries
        self.database.close()

    def _count(self, entry: Entry) -> None:
        self.n_entries += 1
        for posting in entry.postings:
            self.model[posting.credit, posting.asset] += posting.amount
            self.model[posting.debit, posting.asset] -= posting.amount


@pytest.mark.parametrize("machine", [LedgerHistory])
def test_any_history_keeps_the_invariants(
    machine: type[LedgerHistory],
    new_database: Callable[[], Database],
    engine_name: str,
) -> None:
    bound_machine = type(machine.__name__, (machine,), {"make": staticmethod(new_database)})
    n_histories = 20 if engine_name == "sqlite" else 8
    run_state_machine_as_test(
        bound_machine,
        settings=settings(max_examples=n_histories, stateful_step_count=20, deadline=None),
    )
