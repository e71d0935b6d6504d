"""What each client would owe, and each venue would demand, under other rules: a shadow run.

The engine's own assessment of a run's frozen snapshot, once with either state of the rules; nothing
of the run is touched. Agreements are those of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from engine.assess import combine
from engine.assessment import Assessment
from engine.margin.block import blocks_of
from engine.margin.filtered_historical import BlockMargins, margin_block
from engine.market import PreparedMarket, prepare
from engine.portfolio import Portfolio, portfolio
from engine.rules import RuleBook
from infra.rule_layers import rules_of
from infra.rules import rule_book
from infra.telemetry import Step, progress
from tasks.closes import RunBasis, load_basis, usd_rates_of
from tasks.rule_sides import Side
from tasks.workplace import Workplace

_SET_FACTS: Final = ("status", "requirement", "venue_initial_margin", "owed", "binding")
_ACCOUNT_FACTS: Final = ("status", "initial_margin", "maintenance_margin", "demand", "evidence")


@dataclass(frozen=True, slots=True, eq=False)
class RuleEffect:
    """Requirements under two states of the rules, side by side.

    Attributes
    ----------
    run_id, snapshot_id : str
    before, after : str
        Labels of the two states.
    before_hash, after_hash : str
        Of the rule books made from them and the run's agreements.
    netting_sets : pandas.DataFrame
        netting_set_id, client_id, currency, then each of status, requirement, and where venue
        accounts are known venue_initial_margin, owed, binding, as ``<name>_before`` and
        ``<name>_after``; ``change_usd`` of what is owed, of the requirement where that is all.
    accounts : pandas.DataFrame
        account_id, venue, client_id, netting_set_id, account_mode, currency, and before and after
        of status, initial_margin, maintenance_margin, demand, evidence; ``change`` of the initial
        margin, or of the maintenance margin where there is no initial one. No row without venue
        accounts.
    """

    run_id: str
    snapshot_id: str
    before: str
    after: str
    before_hash: str
    after_hash: str
    netting_sets: pd.DataFrame
    accounts: pd.DataFrame

    @property
    def clients(self) -> pd.DataFrame:
        """Return what is owed by client, before, after and changed, largest change first. [USD]"""
        columns = ["before_usd", "after_usd", "change_usd"]
        sums = self.netting_sets.groupby("client_id", sort=True)[columns].sum()
        n_changed = self.netting_sets["is_changed"].groupby(self.netting_sets["client_id"]).sum()
        found = sums.assign(n_changed=n_changed).reset_index()
        order = found["change_usd"].abs().sort_values(ascending=False, kind="stable").index
        return found.loc[order].reset_index(drop=True)

    def summary(self) -> dict[str, Any]:
        """Return totals as JSON values. [USD]"""
        sets, accounts = self.netting_sets, self.accounts
        return {
            "run_id": self.run_id,
            "snapshot_id": self.snapshot_id,
            "before_hash": self.before_hash,
            "after_hash": self.after_hash,
            "owed_before_usd": round(float(sets["before_usd"].sum()), 2),
            "owed_after_usd": round(float(sets["after_usd"].sum()), 2),
            "netting_sets": len(sets),
            "netting_sets_changed": int(sets["is_changed"].sum()),
            "netting_sets_failing": _failing(sets),
            "accounts": len(accounts),
            "accounts_changed": int(accounts["is_changed"].sum()) if len(accounts) else 0,
            "accounts_failing": _failing(accounts) if len(accounts) else 0,
        }


def effect_on(place: Workplace, run_id: str, before: Side, after: Side) -> RuleEffect:
    """Return what the close of ``run_id`` would owe under either state of the rules.

    Raises
    ------
    ParameterError
        If a state has no house parameters in force.
    """
    basis = load_basis(place, run_id)
    run = place.database.runs.get(run_id)
    first, second = (_rule_book(basis, side) for side in (before, after))
    old, new = _assessments(basis, first, second)
    rates = usd_rates_of(basis.close.snapshot)
    return RuleEffect(
        run_id=run_id,
        snapshot_id=run.snapshot_id or "",
        before=before.label,
        after=after.label,
        before_hash=first.rule_book_hash,
        after_hash=second.rule_book_hash,
        netting_sets=_netting_sets(old.requirements, new.requirements, rates),
        accounts=_accounts(old.venue_margins, new.venue_margins),
    )


def _rule_book(basis: RunBasis, side: Side) -> RuleBook:
    rules = rules_of(side.sets, side.on)
    agreements = dict(basis.close.rules.agreements)
    return rule_book(rules.house.parameters(), rules.house.text, agreements, rules.venues)


@dataclass(frozen=True, slots=True, eq=False)
class _House:
    """The house's side of an assessment: venue parameters do not move it."""

    market: PreparedMarket
    book: Portfolio
    blocks: list[BlockMargins]


def _assessments(
    basis: RunBasis, first: RuleBook, second: RuleBook
) -> tuple[Assessment, Assessment]:
    house = _house(basis, first, "before")
    old = _combined(basis, house, first)
    if second.rule_book_hash == first.rule_book_hash:
        return old, old
    if second.house != first.house:
        house = _house(basis, second, "after")
    return old, _combined(basis, house, second)


def _house(basis: RunBasis, rules: RuleBook, name: str) -> _House:
    close = basis.close
    progress().report(Step(f"house {name}", 0, 1))
    market = prepare(close.snapshot, rules)
    book = portfolio(market, close.positions, close.collateral, rules)
    blocks = [margin_block(market, block) for block in blocks_of(book, market, rules.house)]
    progress().report(Step(f"house {name}", 1, 1, f"{len(book.netting_sets):,} netting sets"))
    return _House(market, book, blocks)


def _combined(basis: RunBasis, house: _House, rules: RuleBook) -> Assessment:
    close = basis.close
    return combine(
        house.market,
        house.book,
        house.blocks,
        close.snapshot,
        close.positions,
        rules,
        basis.last_fresh,
    )


def _netting_sets(old: pd.DataFrame, new: pd.DataFrame, rates: dict[str, float]) -> pd.DataFrame:
    keys = ["netting_set_id", "client_id", "currency"]
    found = _side_by_side(old, new, keys, _SET_FACTS)
    amount = "owed" if "owed_before" in found else "requirement"
    rate = found["currency"].map(rates)
    before, after = found[f"{amount}_before"] * rate, found[f"{amount}_after"] * rate
    return found.assign(before_usd=before, after_usd=after, change_usd=after - before)


def _accounts(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    keys = ["account_id", "venue", "client_id", "netting_set_id", "account_mode", "currency"]
    found = _side_by_side(old, new, keys, _ACCOUNT_FACTS)
    initial = found["initial_margin_after"] - found["initial_margin_before"]
    maintenance = found["maintenance_margin_after"] - found["maintenance_margin_before"]
    return found.assign(change=initial.where(initial.notna(), maintenance))


def _side_by_side(
    old: pd.DataFrame, new: pd.DataFrame, keys: list[str], facts: tuple[str, ...]
) -> pd.DataFrame:
    """Return rows by key with each fact before and after, and whether any differs."""
    known = [name for name in facts if name in old and name in new]
    found = old[[*keys, *known]].merge(
        new[[*keys, *known]], on=keys, suffixes=("_before", "_after"), validate="one_to_one"
    )
    is_changed = pd.Series(data=False, index=found.index)
    for name in known:
        before, after = found[f"{name}_before"], found[f"{name}_after"]
        is_changed |= (before != after) & ~(before.isna() & after.isna())
    return found.assign(is_changed=is_changed)


def _failing(frame: pd.DataFrame) -> int:
    """Return how many rows are margined now and would not be."""
    was, now = frame["status_before"], frame["status_after"]
    return int(((was == "assessed") & (now != "assessed")).sum())
