"""Which orders would restore a netting set's ratio, and what its venues would do if nobody acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.errors import MissingDataError, ParameterError
from engine.market import prepare
from engine.portfolio import portfolio
from engine.reduction import ReductionTerms, account_waterfalls, plan_reduction
from engine.whatif import prepare_book
from infra.report.reduction import Reduction, reduction_json, reduction_view
from infra.telemetry import Step, progress
from tasks.closes import load_basis
from tasks.lookup import chosen_run
from tasks.workplace import workplace

if TYPE_CHECKING:
    from rich.console import RenderableType


def planned(
    netting_set_id: str, run_id: str | None, ratio: float | None, hedges: Sequence[str]
) -> Reduction:
    """Return the plan of a netting set of ``run_id``, or of the last run. Nothing is sent.

    Raises
    ------
    MissingDataError
        If there is no such run, netting set or hedge, or the netting set could not be margined.
    ParameterError
        If the ratio is out of range.
    StaleMarkError, OpenBreak
        If inputs are not fresh, or sources disagree: nobody trades on a guess.
    """
    terms = _terms(ratio, hedges)
    run = chosen_run(run_id)
    progress().report(Step("load", 0, 1))
    close = load_basis(workplace(), run.run_id).close
    progress().report(Step("load", 1, 1, note=run.run_id))
    progress().report(Step("revalue", 0, 1))
    market = prepare(close.snapshot, close.rules)
    progress().report(Step("revalue", 1, 1, note=f"{market.n_instruments:,} instruments"))
    book = portfolio(market, close.positions, close.collateral, close.rules)
    held = prepare_book(close.snapshot, market, book, close.positions, close.rules, netting_set_id)
    unknown = [name for name in hedges if name not in held.instruments.row_of]
    if unknown:
        raise MissingDataError(
            f"hedge {unknown[0]} is no instrument of the snapshot", identifier=unknown[0]
        )
    progress().report(Step("plan", 0, 1))
    plan = plan_reduction(held, terms)
    progress().report(Step("plan", 1, 1, note=f"{len(plan.orders)} orders"))
    return Reduction(
        run_id=run.run_id,
        business_date=close.snapshot.business_date.isoformat(),
        netting_set_id=netting_set_id,
        currency=held.agreement.currency,
        terms=terms,
        plan=plan,
        accounts=account_waterfalls(held),
    )


def shown(found: Reduction) -> RenderableType:
    """Return the plan for people."""
    return reduction_view(found)


def shown_as_json(found: Reduction) -> dict[str, Any]:
    """Return the plan as JSON values."""
    return dict(reduction_json(found))


def _terms(ratio: float | None, hedges: Sequence[str]) -> ReductionTerms:
    if ratio is None:
        return ReductionTerms(hedges=tuple(hedges))
    if not 0.0 < ratio <= 1.0:
        raise ParameterError(
            f"ratio is {ratio:g}, limit above 0, at most 1", identifier="ratio", value=ratio
        )
    return ReductionTerms(ratio_target=ratio, hedges=tuple(hedges))
