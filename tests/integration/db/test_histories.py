"""Any history of postings and calls keeps the invariants, on both engines, across restarts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

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

from engine.errors import LedgerError, StateError
from engine.money import Money, to_minor_units
from infra.db import Database, Entry, Posting, call_id
from tests.integration.db.facts import DAY, bound, calls

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


# Written down a second time, from the design and not from the code.
MAY_FOLLOW = {
    "issued": "agreed partially_disputed disputed failed",
    "agreed": "pledged failed",
    "partially_disputed": "agreed pledged failed",
    "disputed": "agreed partially_disputed failed",
    "pledged": "settled failed",
    "failed": "settled escalated",
    "escalated": "settled reduction",
    "reduction": "settled",
}
ENDS = ("settled", "superseded", "withdrawn")
AMOUNTS = st.dictionaries(
    st.sampled_from(NETTING_SETS),
    st.integers(1, 10**9).map(lambda cents: str(Decimal(cents) / 100)),
)


class CallHistory(RuleBasedStateMachine):
    """Close days, force reruns, repeat, and let people decide; the model is a state per call."""

    make: Callable[[], Database]

    def __init__(self) -> None:
        super().__init__()
        self.database = type(self).make()
        self.day = date(2026, 1, 1)
        self.run = None
        self.amounts: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.owner: dict[str, str] = {}

    @rule(amounts=AMOUNTS)
    def close_the_next_day(self, amounts: dict[str, str]) -> None:
        self._finish()
        self.day += timedelta(days=1)
        self._issue(amounts, force=False)

    @rule(amounts=AMOUNTS)
    def force_the_day_again(self, amounts: dict[str, str]) -> None:
        if self.run is None:
            return
        self._finish()
        self._issue(amounts, force=True)

    @rule(covered=st.sets(st.sampled_from(NETTING_SETS)))
    def find_covered(self, covered: set[str]) -> None:
        if self.run is None:
            return
        self.database.calls.withdraw(self.run.run_id, covered, "covered")
        own = {
            call_id(netting_set_id, "house", self.run.business_date, self.run.sequence)
            for netting_set_id in NETTING_SETS
        }
        for name, state in self.states.items():
            if self.owner[name] in covered and name not in own and state not in ENDS:
                self.states[name] = "withdrawn"

    @rule()
    def repeat(self) -> None:
        if self.run is not None:
            self.database.calls.issue(self.run.run_id, calls(self.amounts))

    @rule(choice=st.randoms(use_true_random=False), state=st.sampled_from(sorted(MAY_FOLLOW)))
    def decide(self, choice, state: str) -> None:
        if not self.states:
            return
        name = choice.choice(sorted(self.states))
        if state in MAY_FOLLOW.get(self.states[name], "").split():
            self.database.calls.advance(name, state, expected=self.states[name])
            self.states[name] = state
        else:
            with pytest.raises(StateError):
                self.database.calls.advance(name, state)

    @invariant()
    def at_most_one_is_open_and_all_are_where_the_model_says(self) -> None:
        opened = self.database.calls.open_calls()
        assert not opened["netting_set_id"].duplicated().any()
        found = dict(zip(opened["call_id"], opened["state"], strict=True))
        assert found == {name: state for name, state in self.states.items() if state not in ENDS}

    def teardown(self) -> None:
        for name, state in self.states.items():
            history = self.database.calls.history(name)
            assert history["state"].iloc[-1] == state
            assert history["number"].tolist() == list(range(1, len(history) + 1))
        self.database.audit.verify()
        self.database.close()

    def _issue(self, amounts: dict[str, str], *, force: bool) -> None:
        self.run = bound(self.database, self.day, force=force)
        issued = self.database.calls.issue(self.run.run_id, calls(amounts))
        self.amounts = amounts
        for netting_set_id in amounts:
            for name, state in self.states.items():
                if self.owner[name] == netting_set_id and state not in ENDS:
                    self.states[name] = "superseded"
        for name, netting_set_id in zip(issued["call_id"], issued["netting_set_id"], strict=True):
            self.states[name] = "issued"
            self.owner[name] = netting_set_id

    def _finish(self) -> None:
        if self.run is not None:
            self.database.runs.finish(self.run.run_id, "completed", {})


@pytest.mark.parametrize("machine", [LedgerHistory, CallHistory])
def test_any_history_keeps_the_invariants(
    machine: type[LedgerHistory | CallHistory],
    new_database: Callable[[], Database],
    engine_name: str,
) -> None:
    bound_machine = type(machine.__name__, (machine,), {"make": staticmethod(new_database)})
    n_histories = 20 if engine_name == "sqlite" else 8
    run_state_machine_as_test(
        bound_machine,
        settings=settings(max_examples=n_histories, stateful_step_count=20, deadline=None),
    )
