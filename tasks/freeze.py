"""Freeze what was accepted: market, positions, collateral and rules, each named by its hash."""

from __future__ import annotations

from dataclasses import fields

import pandas as pd

from engine.snapshot import CollateralSet, PositionSet
from engine.times import close_of
from infra.rules import agreements_from, rule_book
from infra.store import SnapshotParts, freeze
from tasks import artifacts
from tasks.assessments import joint_hash
from tasks.closes import last_fresh_path
from tasks.quality import faults_path
from tasks.rule_books import current_rules, rule_book_content
from tasks.steps import Achievement, achieve, step
from tasks.validate import accepted_path
from tasks.workplace import Workplace

_HOLDINGS = (
    "positions", "collateral", "open_orders", "agreements", "accounts", "venue_margin",
)  # fmt: skip


@step("freeze")
def freeze_snapshot(run_id: str) -> None:
    """Freeze snapshot and rule book; from here on nothing outside can change the result."""
    facts = achieve(run_id, "freeze", lambda place: _freeze(place, run_id))
    artifacts.show_markdown(
        "snapshot",
        "| | |\n|---|---|\n"
        f"| snapshot | `{facts['snapshot_id']}` |\n"
        f"| rule book | `{facts['rule_book_hash']}` |\n"
        f"| house parameters | {facts['parameters']} |\n"
        f"| parameter sets of venues | {facts.get('venue_sets', 0):,} |\n"
        f"| instruments | {facts['instruments']:,} |\n"
        f"| agreements | {facts['agreements']:,} |\n"
        f"| held at earlier requirements if not fresh | {facts['last_fresh']:,} |\n",
        "What this run rests on; `plimsoll replay` recomputes it from these names",
    )


def _freeze(place: Workplace, run_id: str) -> Achievement:
    run = place.database.runs.get(run_id)
    as_of = close_of(run.business_date)
    accepted = {name: _accepted(place, run_id, name) for name in (*_market_frames(), *_HOLDINGS)}
    parts = SnapshotParts(
        business_date=run.business_date,
        as_of=as_of,
        faults=place.store.read_frame(faults_path(run_id)),
        **{name: accepted[name] for name in _market_frames()},
    )
    positions = PositionSet(
        accepted["positions"],
        accepted["open_orders"],
        accepted["accounts"],
        accepted["venue_margin"],
    )
    frozen = freeze(place.store, parts, positions, CollateralSet(accepted["collateral"]))
    current = current_rules(place, run.business_date)
    rules = rule_book(
        current.house.parameters(),
        current.house.text,
        agreements_from(accepted["agreements"]),
        current.venues,
    )
    records = place.database.records
    records.record_snapshot(
        run_id, frozen.snapshot_id, run.business_date, as_of, frozen.content_hashes
    )
    records.record_rule_book(
        run_id,
        rules.rule_book_hash,
        rules.house.effective_date,
        current.house.file_name,
        rule_book_content(rules, current.house),
    )
    last_fresh = place.database.requirements.last_fresh(run.business_date)
    last_fresh_hash = place.store.write_frame(last_fresh_path(run_id), last_fresh)
    facts = {
        "snapshot_id": str(frozen.snapshot_id),
        "rule_book_hash": rules.rule_book_hash,
        "parameters": current.house.file_name,
        "venue_sets": len(rules.venues),
        "instruments": len(parts.instruments),
        "agreements": len(rules.agreements),
        "last_fresh": len(last_fresh),
        "last_fresh_hash": last_fresh_hash,
    }
    hashes = {name: str(facts[name]) for name in ("snapshot_id", "rule_book_hash")}
    return Achievement(facts, joint_hash({**hashes, "last_fresh": last_fresh_hash}))


def _market_frames() -> tuple[str, ...]:
    own = ("business_date", "as_of", "faults")
    return tuple(field.name for field in fields(SnapshotParts) if field.name not in own)


def _accepted(place: Workplace, run_id: str, dataset: str) -> pd.DataFrame:
    return place.store.read_frame(accepted_path(run_id, dataset))
