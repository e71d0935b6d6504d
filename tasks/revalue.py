"""Make the market ready once for all netting sets: scenarios and the value of every instrument."""

from __future__ import annotations

from prefect import get_run_logger

from engine.market import PreparedMarket, prepare
from infra.crashpoints import crashpoint
from infra.telemetry import Step, progress
from tasks import artifacts
from tasks.closes import RunBasis, load_basis
from tasks.steps import step
from tasks.workplace import workplace

# The market of the run that this process works on; another process makes it again.
_ready: dict[str, tuple[RunBasis, PreparedMarket]] = {}


@step("revalue")
def revalue(run_id: str) -> None:
    """Prepare the market for step ``require``; nothing to do when that step is done already."""
    logger = get_run_logger()
    if workplace().database.runs.step_result(run_id, "require") is not None:
        logger.info("revalue: not needed, the requirements are there")
        return
    progress().report(Step("revalue", 0, 1))
    crashpoint("revalue:start")
    _, market = prepared_market(run_id)
    n_scenarios = market.historical.shape[1] + market.special.shape[1]
    note = f"{market.n_instruments:,} instruments in {n_scenarios:,} scenarios"
    logger.info("revalue: %s; %d factors on stand-ins", note, len(market.moves.notes))
    progress().report(Step("revalue", 1, 1, note))
    artifacts.show_table(
        "stand-ins",
        [
            {
                "factor": note.factor,
                "own history, days": str(note.n_history_days),
                "stand-in": note.proxy,
                "reason": note.reason,
            }
            for note in market.moves.notes
        ],
        f"Risk factors whose own history is too short. {market.n_instruments:,} instruments were "
        f"revalued in {market.scenarios.n_historical:,} historical, "
        f"{market.scenarios.n_stress:,} stress and gap scenarios.",
    )


def prepared_market(run_id: str) -> tuple[RunBasis, PreparedMarket]:
    """Return what the run rests on and its prepared market, made at most once per process."""
    if run_id not in _ready:
        basis = load_basis(workplace(), run_id)
        _ready.clear()
        _ready[run_id] = (basis, prepare(basis.close.snapshot, basis.close.rules))
    return _ready[run_id]


def forget_market(run_id: str) -> None:
    """Let go of the prepared market; it is the largest thing in memory."""
    _ready.pop(run_id, None)
