"""Put a close on record as the end of day does: frozen inputs, rule book, a finished run."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from engine.rules import Agreement, RuleBook
from engine.snapshot import CollateralSet, PositionSet
from infra.home import open_home_database
from infra.rules import agreements_from, rule_book
from infra.settings import Settings
from infra.store import SnapshotParts, freeze, open_store
from infra.telemetry import code_version
from tasks.assessments import joint_hash
from tasks.closes import last_fresh_path
from tasks.kinds import KIND
from tasks.rule_books import current_rules, rule_book_content
from tasks.workplace import Workplace
from tests.soak.book import Made

Rules = Callable[[dict[str, Agreement]], RuleBook]


def place_of(settings: Settings) -> Workplace:
    """Return the workplace of a home that is not this process's own."""
    return Workplace(settings, open_home_database(settings), open_store(settings.store_address))


def house_rules(place: Workplace, day: object) -> Rules:
    """Return what makes the rule book of agreements with the house's shipped parameters."""
    current = current_rules(place, day)  # type: ignore[arg-type]

    def rules(agreements: dict[str, Agreement]) -> RuleBook:
        return rule_book(current.house.parameters(), current.house.text, agreements, current.venues)

    return rules


def write_close(place: Workplace, found: Made) -> str:
    """Return the run of a finished close whose inputs are on the store."""
    database, day = place.database, found.business_date
    run = database.runs.begin(KIND, day, {"made": "soak"}, code_version())
    parts = SnapshotParts(business_date=day, as_of=found.as_of, faults=_no_faults(), **found.market)
    positions = PositionSet(found.positions, found.open_orders)
    frozen = freeze(place.store, parts, positions, CollateralSet(found.collateral))
    current = current_rules(place, day)
    rules = house_rules(place, day)(agreements_from(found.agreements))
    records = database.records
    records.record_snapshot(run.run_id, frozen.snapshot_id, day, found.as_of, frozen.content_hashes)
    records.record_rule_book(
        run.run_id, rules.rule_book_hash, rules.house.effective_date, current.house.file_name,
        rule_book_content(rules, current.house),
    )  # fmt: skip
    last_fresh = database.requirements.last_fresh(day)
    last_fresh_hash = place.store.write_frame(last_fresh_path(run.run_id), last_fresh)
    facts = {
        "snapshot_id": str(frozen.snapshot_id),
        "rule_book_hash": rules.rule_book_hash,
        "last_fresh_hash": last_fresh_hash,
    }
    database.runs.record_step(run.run_id, "freeze", facts, joint_hash(facts))
    database.runs.finish(run.run_id, "completed", {"netting_sets": len(rules.agreements)})
    return str(run.run_id)


def _no_faults() -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series([], dtype="str") for name in ("dataset", "identifier", "reason")}
    )
