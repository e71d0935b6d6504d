"""What orders and transfers would do to a netting set of a closed run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.attribution import Close
from engine.errors import ContractViolation
from engine.market import prepare
from engine.portfolio import portfolio
from engine.whatif import Candidate, PreparedBook, prepare_book, venue_detail, what_if
from infra.candidates import basket, order_from, read_candidates, transfer_from
from infra.report.whatif import Asked, whatif_json, whatif_view
from infra.telemetry import Step, progress
from tasks.closes import load_basis
from tasks.lookup import chosen_run
from tasks.workplace import workplace

if TYPE_CHECKING:
    from rich.console import RenderableType


def candidates_from(
    orders: Sequence[str],
    transfers: Sequence[str],
    file: Path | None,
    *,
    each_alone: bool,
) -> list[Candidate]:
    """Return what was asked: orders and transfers as one candidate, or one each; then the file's.

    Raises
    ------
    ContractViolation
        If nothing was asked, or a text or the file cannot be read.
    MissingDataError
        If there is no such file.
    """
    texts = [*orders, *transfers]
    for text in orders:
        order_from(text)
    for text in transfers:
        transfer_from(text)
    asked: list[Candidate] = []
    if each_alone:
        asked += [basket(f"{i}", [text]) for i, text in enumerate(texts, start=1)]
    elif texts:
        asked.append(basket("1", texts))
    if file is not None:
        asked += read_candidates(file)
    if not asked:
        raise ContractViolation(
            "nothing is asked: give --order, --transfer or --candidates; see "
            "`plimsoll whatif --help`",
            identifier="candidates",
        )
    return asked


def ask(netting_set_id: str, candidates: Sequence[Candidate], run_id: str | None) -> Asked:
    """Return what ``candidates`` would do to a netting set of ``run_id``, or of the last run.

    Raises
    ------
    MissingDataError
        If there is no such run or netting set, or it could not be margined.
    StaleMarkError
        If the netting set is held.
    OpenBreak
        If its sources disagree.
    StateError
        If what the run rests on was altered.
    """
    run = chosen_run(run_id)
    progress().report(Step("load", 0, 1))
    close = load_basis(workplace(), run.run_id).close
    progress().report(Step("load", 1, 1, note=run.run_id))
    progress().report(Step("revalue", 0, 1))
    market = prepare(close.snapshot, close.rules)
    progress().report(Step("revalue", 1, 1, note=f"{market.n_instruments:,} instruments"))
    book = portfolio(market, close.positions, close.collateral, close.rules)
    held = prepare_book(close.snapshot, market, book, close.positions, close.rules, netting_set_id)
    return answer_of(
        run.run_id,
        close,
        held,
        candidates,
        lambda done, total: progress().report(Step("candidates", done, total)),
    )


def answer_of(
    run_id: str,
    close: Close,
    held: PreparedBook,
    candidates: Sequence[Candidate],
    progressed: Callable[[int, int], None] | None = None,
) -> Asked:
    """Return what ``candidates`` would do to a prepared book of a close."""
    found = what_if(held, candidates, progressed)
    detail = venue_detail(held, candidates[0]) if len(candidates) == 1 else None
    return Asked(
        run_id=run_id,
        snapshot_id=str(close.snapshot.snapshot_id),
        business_date=close.snapshot.business_date.isoformat(),
        netting_set_id=held.agreement.netting_set_id,
        client_id=held.agreement.client_id,
        currency=held.agreement.currency,
        candidates=candidates,
        found=found,
        detail=detail,
    )


def answered(asked: Asked) -> RenderableType:
    """Return the answers for people."""
    return whatif_view(asked)


def answered_as_json(asked: Asked) -> dict[str, Any]:
    """Return the answers as JSON values."""
    return dict(whatif_json(asked))
