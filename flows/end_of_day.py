"""The close of a business date, from raw market data to calls, ledger and report.

Read it as the day's agenda. Every step commits what it has achieved to the database, so a run that
was killed is started again with the same arguments and goes on where it stopped.
"""

from __future__ import annotations

from datetime import date

from prefect import flow

from tasks.attest import attest_places
from tasks.begin import begin_run, failures_recorded, sole_run
from tasks.call import issue_calls
from tasks.coverage import count_exceptions
from tasks.explain_change import explain_change
from tasks.finish import finish_run
from tasks.freeze import freeze_snapshot
from tasks.ingest import ingest
from tasks.orders import make_order
from tasks.post import post_margin
from tasks.publish import publish_report
from tasks.reconcile import reconcile_books
from tasks.require import require_margin
from tasks.revalue import revalue
from tasks.run_names import due_at
from tasks.settle import settle_day
from tasks.validate import validate_rows


@flow(name="end-of-day", flow_run_name="end-of-day {business_date}", retries=0)
def end_of_day(
    business_date: date | None = None,
    market: str | None = None,
    book: str | None = None,
    force: bool = False,
) -> str:
    """Close a business date: who owes what, why, and what is called. Returns the run's name.

    Args:
        business_date: UTC date to close; empty for the last one that has closed.
        market: Folder or database of market data; empty for the configured one.
        book: Folder or database of positions, collateral, orders and agreements, or
            `generated:<netting sets>`; empty for the market's own.
        force: Run a finished date again, as a new sequence with a difference report.
    """
    order = make_order(business_date, market, book, force, due_at())
    with sole_run(order):
        run = begin_run(order)
        with failures_recorded(run.run_id):
            if not run.is_finished:
                ingest(run.run_id)
                validate_rows(run.run_id)
                freeze_snapshot(run.run_id)
                revalue(run.run_id)
                require_margin(run.run_id)
                reconcile_books(run.run_id)
                attest_places(run.run_id)
                settle_day(run.run_id)
                issue_calls(run.run_id)
                post_margin(run.run_id)
                explain_change(run.run_id)
                count_exceptions(run.run_id)
                publish_report(run.run_id)
            finish_run(run.run_id)
    return run.run_id
