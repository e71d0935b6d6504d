"""Any history of calls agrees with a model of its own, on both engines, across restarts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from engine.calls.disputes import DisputeReason
from engine.errors import ModelInputError, StateError
from infra.db import Database, call_id
from tests.integration.db.call_facts import act, btc, came, with_terms
from tests.integration.db.facts import bound, calls, requirements

NETTING_SETS = ("NS-1", "NS-2")
ENDS = ("settled", "superseded", "withdrawn")
# Written down a second time, from the design and not from the code.
LEVELS = ((1, 0, "escalated"), (2, 2, "escalated"), (3, 4, "reduction"))
AMOUNTS = st.dictionaries(st.sampled_from(NETTING_SETS), st.integers(-50, 100).filter(bool))
PARTS = st.integers(0, 120)
# What ends calls would otherwise leave no time for a life.
SELDOM = st.integers(0, 3)


@dataclass
class Model:
    """One call in whole units; pledges by the number of their event."""

    owner: str
    direction: str
    called: int
    due_at: datetime
    state: str = "issued"
    agreed: int = 0
    contested: int = 0
    settled: int = 0
    n_events: int = 2
    pledges: dict[int, int] = field(default_factory=dict)
    run: tuple[date, int] = (date.min, 0)

    @property
    def open_amount(self) -> int:
        return max(self.called - self.settled, 0)

    @property
    def disputed(self) -> int:
        return min(self.contested, self.open_amount)

    @property
    def way(self) -> int:
        return sum(self.pledges.values())

    @property
    def unanswered(self) -> int:
        return max(self.called - max(self.agreed, self.settled) - self.disputed, 0)

    def move(self) -> None:
        self.n_events += 1
        if not self.open_amount:
            self.state = "settled"
        elif self.state in ("failed", "escalated", "reduction"):
            pass
        elif self.way:
            self.state = "pledged"
        elif self.unanswered or self.direction == "return":
            self.state = "issued"
        elif not self.disputed:
            self.state = "agreed"
        else:
            self.state = "partially_disputed" if self.agreed > self.settled else "disputed"


class CallHistory(RuleBasedStateMachine):
    """Close days, force reruns, let people act and time pass."""

    make: Callable[[], Database]

    def __init__(self) -> None:
        super().__init__()
        self.database = type(self).make()
        self.day = date(2026, 1, 1)
        self.run = None
        self.amounts: dict[str, int] = {}
        self.models: dict[str, Model] = {}
        self.told: set[tuple[str, datetime, int]] = set()
        self.finished = (date.min, 0)
        self.now = datetime(2026, 1, 2, tzinfo=UTC)

    @initialize()
    def close_the_first_day(self) -> None:
        self._issue({"NS-1": 100, "NS-2": 70}, force=False)

    @rule(amounts=AMOUNTS, chance=SELDOM)
    def close_the_next_day(self, amounts: dict[str, int], chance: int) -> None:
        if chance:
            return
        self._finish()
        self.day += timedelta(days=1)
        self._issue(amounts, force=False)

    @rule(amounts=AMOUNTS, chance=SELDOM)
    def force_the_day_again(self, amounts: dict[str, int], chance: int) -> None:
        if not chance:
            self._finish()
            self._issue(amounts, force=True)

    @rule(covered=st.sets(st.sampled_from(NETTING_SETS)), chance=SELDOM)
    def find_covered(self, covered: set[str], chance: int) -> None:
        if chance:
            return
        self.database.calls.withdraw(self.run.run_id, covered, "covered")
        own = {call_id(name, "house", self.day, self.run.sequence) for name in NETTING_SETS}
        for name, model in self.models.items():
            if model.owner in covered and name not in own and model.state not in ENDS:
                model.state = "withdrawn"
                model.n_events += 1

    @rule()
    def repeat_the_issue(self) -> None:
        self.database.calls.issue(self.run.run_id, self._rows(self.amounts))

    @rule(pick=st.randoms(use_true_random=False))
    def agree(self, pick) -> None:
        name, model = self._pick(pick)
        if model is None:
            return
        may = self._may_act(model) and bool(model.unanswered or model.disputed)
        self._do(may, lambda: self.database.call_actions.agree(name, act()))
        if may:
            model.agreed, model.contested = model.called, 0
            model.move()

    @rule(pick=st.randoms(use_true_random=False), part=PARTS)
    def dispute(self, pick, part: int) -> None:
        name, model = self._pick(pick)
        if model is None:
            return
        late = model.state in ("failed", "escalated", "reduction")
        floor = max(model.agreed, min(model.settled, model.called))
        may = (
            self._may_act(model)
            and not late
            and bool(model.unanswered or model.disputed)
            and floor <= part < model.called
            and not (model.disputed and part == model.agreed)
        )
        reason = DisputeReason.COLLATERAL
        actions = self.database.call_actions
        self._do(may, lambda: actions.dispute(name, came(str(part)).value, reason, act()))
        if may:
            model.agreed, model.contested = part, model.called - part
            model.move()

    @rule(pick=st.randoms(use_true_random=False))
    def withdraw_the_dispute(self, pick) -> None:
        name, model = self._pick(pick)
        if model is None:
            return
        may = self._may_act(model) and bool(model.disputed)
        self._do(may, lambda: self.database.call_actions.withdraw_dispute(name, act()))
        if may:
            model.contested = 0
            model.move()

    @rule(pick=st.randoms(use_true_random=False), value=st.integers(1, 120))
    def pledge(self, pick, value: int) -> None:
        name, model = self._pick(pick)
        if model is None:
            return
        if model.direction == "return":
            # I-23: not once a later close has decided, nor while a call is open.
            has_room = model.way < model.open_amount and self.finished <= model.run
        else:
            has_room = model.agreed - model.settled - model.way > 0
        may = model.state not in ENDS and has_room
        key = f"{name}-{model.n_events}"
        actions = self.database.call_actions
        self._do(may, lambda: actions.pledge(name, btc(str(value)), act(key=key)))
        if may:
            model.pledges[model.n_events + 1] = value
            model.move()
            # A repetition, after an answer was lost, changes nothing.
            assert actions.pledge(name, btc(str(value)), act(key=key)).is_repetition

    @rule(pick=st.randoms(use_true_random=False), is_rejected=st.booleans(), part=PARTS)
    def settle_or_reject_a_pledge(self, pick, is_rejected: bool, part: int) -> None:
        name, model = self._pick(pick, with_pledges=True)
        if model is None:
            return
        number = pick.choice(sorted(model.pledges))
        left = model.pledges[number]
        # What was pledged in time still arrives after the call has ended.
        may = bool(left) and (is_rejected or 0 < part <= left)
        actions = self.database.call_actions
        if is_rejected:
            self._do(may, lambda: actions.reject_pledge(name, number, act()))
        else:
            arrival = came(str(part), number)
            key = f"{name}-{model.n_events}"
            self._do(may, lambda: actions.settle(name, arrival, act(key=key)))
        if not may:
            return
        model.pledges[number] = 0 if is_rejected else left - part
        model.settled += 0 if is_rejected else part
        if model.state in ENDS:
            model.n_events += 1
        else:
            model.move()

    @rule(pick=st.randoms(use_true_random=False), part=st.integers(1, 60))
    def pay_without_a_pledge(self, pick, part: int) -> None:
        name, model = self._pick(pick)
        if model is None:
            return
        may = model.state not in ENDS
        key = f"{name}-{model.n_events}"
        actions = self.database.call_actions
        self._do(may, lambda: actions.settle(name, came(str(part)), act(key=key)))
        if may:
            model.settled += part
            model.move()

    @rule(hours=st.integers(0, 30))
    def let_time_pass(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.database.call_ageing.age(self.now, "plimsoll")
        assert self.database.call_ageing.age(self.now, "plimsoll") == []
        for model in self.models.values():
            self._age(model)

    @rule()
    def restart(self) -> None:
        self.database.close()

    @invariant()
    def at_most_one_is_open_and_all_are_where_the_model_says(self) -> None:
        opened = self.database.calls.open_calls()
        assert not opened["netting_set_id"].duplicated().any()
        found = dict(zip(opened["call_id"], opened["state"], strict=True))
        assert found == {
            name: model.state for name, model in self.models.items() if model.state not in ENDS
        }
        for name, standing in self.database.calls.standings(list(found)).items():
            model = self.models[name]
            assert standing.outstanding == model.open_amount
            assert (standing.in_flight, standing.disputed) == (model.way, model.disputed)
            assert (standing.agreed, standing.settled) == (model.agreed, model.settled)
            # I-22: never more is asked for than was called for and has not come.
            assert standing.outstanding + min(standing.settled, standing.called) == model.called

    def teardown(self) -> None:
        for name, model in self.models.items():
            history = self.database.calls.history(name)
            assert history["state"].iloc[-1] == model.state
            assert history["number"].tolist() == list(range(1, model.n_events + 1))
        self.database.audit.verify()
        self.database.close()

    def _do(self, may: bool, do: Callable[[], object]) -> None:
        if may:
            do()
        else:
            with pytest.raises((StateError, ModelInputError)):
                do()

    def _may_act(self, model: Model) -> bool:
        return model.state not in ENDS and model.direction == "call"

    def _pick(self, pick, *, with_pledges: bool = False) -> tuple[str, Model | None]:
        names = sorted(
            name for name, model in self.models.items() if model.pledges or not with_pledges
        )
        # Mostly what is open: what has ended is refused soon enough.
        alive = [name for name in names if self.models[name].state not in ENDS]
        if not names:
            return "", None
        name = pick.choice(alive if alive and pick.random() < 0.9 else names)
        return name, self.models[name]

    def _age(self, model: Model) -> None:
        if model.direction != "call" or model.state in ENDS or model.state == "reduction":
            return
        if self.now < model.due_at:
            return
        done = [level for level in LEVELS if (model.owner, model.due_at, level[0]) in self.told]
        if model.state not in ("failed", "escalated"):
            model.state, model.n_events = "failed", model.n_events + 1
            if done:
                model.state, model.n_events = done[-1][2], model.n_events + 1
        for number, hours, state in LEVELS:
            key = (model.owner, model.due_at, number)
            if model.due_at + timedelta(hours=hours) <= self.now and key not in self.told:
                self.told.add(key)
                model.state, model.n_events = state, model.n_events + 1

    def _rows(self, amounts: dict[str, int]):
        midnight = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        texts = {name: str(amount) for name, amount in amounts.items()}
        due_at = midnight + timedelta(hours=32)
        return with_terms(calls(texts, due_at=due_at), issued_at=midnight + timedelta(days=1))

    def _issue(self, amounts: dict[str, int], *, force: bool) -> None:
        self.run = bound(self.database, self.day, force=force)
        self.database.requirements.save(self.run.run_id, requirements(*NETTING_SETS))
        issued = self.database.calls.issue(self.run.run_id, self._rows(amounts))
        self.amounts = amounts
        for row in issued.to_dict(orient="records"):
            owner, amount = row["netting_set_id"], amounts[row["netting_set_id"]]
            direction = "call" if amount > 0 else "return"
            due_at = row["due_at"].to_pydatetime()
            model = Model(owner, direction, abs(amount), due_at, run=self._run_key())
            for before in self.models.values():
                if before.owner == owner and before.state not in ENDS:
                    self._replace(before, model)
            self.models[row["call_id"]] = model

    def _replace(self, before: Model, model: Model) -> None:
        before.state = "superseded"
        before.n_events += 1
        if before.direction != model.direction:
            return
        if model.direction == "call":
            model.due_at = min(before.due_at, model.due_at)
        for number, left in sorted(before.pledges.items()):
            if left:
                before.pledges[number] = 0
                before.n_events += 1
                model.pledges[model.n_events + 1] = left
                model.move()

    def _run_key(self) -> tuple[date, int]:
        return (self.run.business_date, self.run.sequence)

    def _finish(self) -> None:
        if self.run is not None and not self.database.runs.get(self.run.run_id).is_finished:
            self.database.runs.finish(self.run.run_id, "completed", {})
            self.finished = max(self.finished, self._run_key())


def test_any_history_of_calls_agrees_with_the_model(
    new_database: Callable[[], Database], engine_name: str
) -> None:
    machine = type("CallHistory", (CallHistory,), {"make": staticmethod(new_database)})
    n_histories = 25 if engine_name == "sqlite" else 6
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=n_histories, stateful_step_count=30, deadline=None),
    )
