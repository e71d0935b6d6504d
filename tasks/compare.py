"""One book under the house's rules and several venues': from a run, or drawn from a market."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from data_contracts.preparation import empty_frame
from data_contracts.registry import contract
from data_contracts.validation import Judge, faults, validate
from engine.assess import assess
from engine.errors import MissingDataError, ParameterError
from engine.ids import SnapshotId
from engine.rules import Agreement, RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.times import close_of
from engine.venue_accounts.elsewhere import Regime, margins_elsewhere
from engine.venue_rules import ACCOUNT_MODE
from infra.market.daily import DATASETS
from infra.market.source import open_source
from infra.report.compare import Comparison, comparison_json
from infra.rules import rule_book
from infra.telemetry import Step, code_version, progress
from tasks.closes import load_basis
from tasks.lookup import chosen_run
from tasks.orders import make_order
from tasks.rule_books import current_rules
from tasks.workplace import workplace

if TYPE_CHECKING:
    from rich.console import RenderableType

VENUES_DEFAULT: Final = ("deribit", "okx", "bybit")
BOOK_SEED: Final = 20261120
_BOOK: Final = "book"
_STEPS: Final = 3


def compare_generated(
    business_date: date | None, market: str | None, venues: Sequence[str], n_positions: int
) -> Comparison:
    """Return the comparison of a book drawn from a market, listed at the first of the venues.

    Raises
    ------
    MissingDataError
        If the market lacks data, or the first venue lists too few instruments.
    ParameterError
        If the rule book knows no margin mode of a venue.
    """
    from infra.simulator.world.single_book import single_book

    order = make_order(business_date, market)
    progress().report(Step("compare", 0, _STEPS, "reading the market"))
    snapshot = _snapshot(order.market, order.business_date)
    book = single_book(
        snapshot.instruments,
        snapshot.marks,
        snapshot.index_prices,
        venues[0],
        n_positions,
        BOOK_SEED,
    )
    current = current_rules(_prepared(), order.business_date)
    rules = rule_book(
        current.house.parameters(), current.house.text, {_BOOK: _agreement()}, current.venues
    )
    title = f"Generated book of {n_positions:,} positions at {venues[0]}, seed {BOOK_SEED}"
    return _compared(title, snapshot, book, rules, venues)


def compare_netting_set(
    netting_set_id: str, run_id: str | None, venues: Sequence[str]
) -> Comparison:
    """Return the comparison of one netting set of a run, its orders left aside.

    Raises
    ------
    MissingDataError
        If there is no such run or netting set.
    ParameterError
        If the rule book knows no margin mode of a venue.
    """
    run = chosen_run(run_id)
    close = load_basis(workplace(), run.run_id).close
    positions = close.positions.positions
    mine = positions[positions["netting_set_id"] == netting_set_id]
    if mine.empty:
        raise MissingDataError(
            f"{netting_set_id} holds no position in {run.run_id}", identifier=netting_set_id
        )
    reporting = next(s for s in ("venue", "clearing", "oms") if (mine["source"] == s).any())
    held = mine[mine["source"] == reporting].groupby("instrument_id", sort=True)["quantity"].sum()
    book = held[held != 0.0].reset_index()
    agreement = close.rules.agreements[netting_set_id]
    rules = RuleBook(
        rule_book_hash=close.rules.rule_book_hash,
        house=close.rules.house,
        agreements={_BOOK: _agreement(agreement.confidence)},
        venues=close.rules.venues,
    )
    title = f"{netting_set_id} of {run.run_id}, as {reporting} reports it"
    return _compared(title, close.snapshot, book, rules, venues)


def write_comparison(comparison: Comparison, file: Path) -> None:
    """Write the page to ``file``, whole."""
    from infra.report.page.compare_page import comparison_html

    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.incoming")
    temporary.write_text(comparison_html(comparison), encoding="utf-8")
    temporary.replace(file)


def comparison_as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON values."""
    return dict(comparison_json(comparison))


def comparison_view(comparison: Comparison) -> RenderableType:
    """Return the margins by rule as a terminal table."""
    from infra.report.compare_view import comparison_table

    return comparison_table(comparison)


def default_file(comparison: Comparison) -> Path:
    """Return where the page goes if nobody says: below the home, named by date and book."""
    name = hashlib.sha256(comparison.title.encode()).hexdigest()[:8]
    home = workplace().settings.home_path
    return home / "comparisons" / f"{comparison.business_date}-{name}.html"


def _compared(
    title: str, snapshot: Snapshot, book: pd.DataFrame, rules: RuleBook, venues: Sequence[str]
) -> Comparison:
    regimes = _regimes(rules, venues)
    progress().report(Step("compare", 1, _STEPS, "the house's margin"))
    house = assess(snapshot, _alone(snapshot, book), _no_collateral(), rules)
    progress().report(Step("compare", 2, _STEPS, f"{len(regimes)} rules of venues"))
    found = margins_elsewhere(snapshot, book, rules, regimes)
    progress().report(Step("compare", _STEPS, _STEPS))
    return Comparison(
        title=title,
        business_date=snapshot.business_date,
        as_of=snapshot.as_of,
        snapshot_id=snapshot.snapshot_id,
        rule_book_hash=rules.rule_book_hash,
        code_version=code_version(),
        netting_set_id=_BOOK,
        instruments=snapshot.instruments,
        marks=snapshot.marks,
        book=book,
        house=house,
        venues=found,
    )


def _regimes(rules: RuleBook, venues: Sequence[str]) -> list[Regime]:
    modes = [each for each in rules.venues if each.model == ACCOUNT_MODE]
    known = sorted({each.venue for each in modes})
    for venue in venues:
        if venue not in known:
            raise ParameterError(
                f"the rule book knows no margin mode of {venue!r}; it knows {', '.join(known)}",
                identifier=venue,
                limit=", ".join(known),
            )
    return [Regime(v, each.scope) for v in venues for each in modes if each.venue == v]


def _snapshot(location: str, business_date: date) -> Snapshot:
    source = open_source(location)
    frames: dict[str, pd.DataFrame] = {}
    lost: list[pd.DataFrame] = []
    digest = hashlib.sha256()
    for dataset in DATASETS:
        if dataset.origin != "market" or dataset.name == "option_chains":
            continue
        raw = source.read(dataset.name, business_date)
        definition = contract(dataset.name)
        found = validate(definition, raw.frame, business_date, Judge.MASKS)
        if found.refusal is not None and dataset.required:
            raise MissingDataError(found.refusal, identifier=dataset.name)
        frames[dataset.name] = found.accepted if found.refusal is None else empty_frame(definition)
        lost.append(faults(definition, found, business_date))
        digest.update(f"{dataset.name} {raw.content_hash}\n".encode())
    return Snapshot(
        snapshot_id=SnapshotId(digest.hexdigest()),
        business_date=business_date,
        as_of=close_of(business_date),
        faults=pd.concat(lost, ignore_index=True),
        **frames,
    )


def _prepared() -> Any:
    place = workplace()
    place.database.prepare()
    return place


def _agreement(confidence: float = 0.99) -> Agreement:
    return Agreement(
        netting_set_id=_BOOK,
        client_id=_BOOK,
        currency="USD",
        confidence=confidence,
        threshold=0.0,
        minimum_transfer_amount=0.0,
        rounding_increment=0.01,
        independent_amount=0.0,
        cure_hours=24.0,
        effective_date=date(2019, 1, 1),
    )


def _alone(snapshot: Snapshot, book: pd.DataFrame) -> PositionSet:
    listed = snapshot.instruments.set_index("instrument_id")
    marks = snapshot.marks.set_index("instrument_id")
    names = book["instrument_id"]
    positions = book.assign(
        source="oms",
        account_id=_BOOK,
        client_id=_BOOK,
        netting_set_id=_BOOK,
        venue=listed["venue"].reindex(names).to_numpy(),
        settled_price=marks["mark_price"].reindex(names).to_numpy(),
        observed_utc=pd.Timestamp(snapshot.as_of),
        business_date=pd.Timestamp(snapshot.business_date),
    )
    texts = ("source", "account_id", "client_id", "netting_set_id", "venue")
    typed = positions.astype(dict.fromkeys(texts, "str"))
    return PositionSet(typed, empty_frame(contract("open_orders")))


def _no_collateral() -> CollateralSet:
    return CollateralSet(empty_frame(contract("collateral")))
