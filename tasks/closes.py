"""What a run rests on, loaded and verified: snapshot, positions, collateral, rules, last fresh."""

from __future__ import annotations

from dataclasses import dataclass

from engine.attribution import Close
from engine.snapshot import LastFresh, Snapshot
from infra.store import load_snapshot
from tasks.records import facts_of, run_folder
from tasks.rule_books import rule_book_from
from tasks.workplace import Workplace


@dataclass(frozen=True, slots=True, eq=False)
class RunBasis:
    """Everything that the engine is given for one run."""

    close: Close
    last_fresh: LastFresh


def load_basis(place: Workplace, run_id: str) -> RunBasis:
    """Return what ``run_id`` rests on, each part verified against its hash.

    Raises
    ------
    StateError
        If a part was altered since it was frozen.
    """
    frozen = facts_of(run_id, "freeze")
    snapshot, positions, collateral = load_snapshot(place.store, frozen["snapshot_id"])
    known = place.database.records.rule_book(frozen["rule_book_hash"])
    bodies = place.database.parameters.bodies
    rules = rule_book_from(known.content, known.rule_book_hash, bodies)
    last_fresh = place.store.read_frame(
        last_fresh_path(run_id), content_hash=frozen["last_fresh_hash"]
    )
    return RunBasis(Close(snapshot, positions, collateral, rules), LastFresh(last_fresh))


def usd_rates_of(snapshot: Snapshot) -> dict[str, float]:
    """Return USD per unit of every asset, for totals over currencies that people read.

    The day's FX rate, else its index price, else the last close known: a total has to be written
    even on the day on which a currency has no rate. No requirement rests on the last of these.
    """
    history = snapshot.price_history.sort_values("date").groupby("asset", sort=True)["close"].last()
    rates = {"USD": 1.0, **{str(asset): float(close) for asset, close in history.items()}}
    for frame, column in ((snapshot.index_prices, "index_price"), (snapshot.fx_rates, "usd_rate")):
        rates.update(zip(frame["asset"].astype(str), frame[column].astype(float), strict=True))
    return rates


def last_fresh_path(run_id: str) -> str:
    """Return where the last fresh requirements that a run starts from are kept."""
    return f"{run_folder(run_id)}/last_fresh.parquet"
