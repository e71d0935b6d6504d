"""Back-test of the house model over history: margin every day, then look at what was lost."""

from __future__ import annotations

from datetime import date

from prefect import flow

from tasks.backtest import (
    begin_backtest,
    judge_forecasts,
    measure_history,
    publish_scorecard,
    tune_filter,
    vary_parameters,
)


@flow(name="backtest", flow_run_name="backtest {assets}", retries=0)
def backtest(
    market: str | None = None,
    assets: str = "",
    first: date | None = None,
    last: date | None = None,
    tune: bool = False,
) -> str:
    """Walk books of ``assets`` through history and write the model's scorecard.

    Returns the run's name.

    Args:
        market: Folder or database with the dataset price_history; empty for the configured one.
        assets: Assets of the books, separated by commas; empty for a standard list.
        first: First date; empty for the first with enough history.
        last: Last date; empty for the last with a next day's close.
        tune: Whether to look for a better filter on data up to the end of 2023.
    """
    run_id = begin_backtest(market, assets, first, last, tune)
    measure_history(run_id)
    vary_parameters(run_id)
    tune_filter(run_id)
    judge_forecasts(run_id)
    publish_scorecard(run_id)
    return run_id
