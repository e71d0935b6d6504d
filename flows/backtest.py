"""Back-test of the house model over history: margin every day, count the days that lost more."""

from __future__ import annotations

from datetime import date

from prefect import flow

from tasks.backtest import begin_backtest, measure_history, publish_scorecard


@flow(name="backtest", flow_run_name="backtest {assets}", retries=0)
def backtest(
    market: str | None = None,
    assets: str = "BTC,ETH",
    first: date | None = None,
    last: date | None = None,
) -> str:
    """Margin equal-notional books of ``assets`` on every day of history. Returns the run's name.

    Args:
        market: Folder or database with the dataset price_history; empty for the configured one.
        assets: Assets of the book, separated by commas.
        first: First date; empty for the first with enough history.
        last: Last date; empty for the last with a next day's close.
    """
    run_id = begin_backtest(market, assets, first, last)
    measure_history(run_id)
    publish_scorecard(run_id)
    return run_id
