"""All books beside each other, every five minutes: read, booked line by line, compared."""

from __future__ import annotations

from prefect import flow

from tasks.deadman import happened
from tasks.reconcile_step import reconcile_round


@flow(name="reconcile", flow_run_name="reconcile all books", retries=0)
def reconcile() -> int:
    """Compare balances, positions, funding and margin of all books. Returns open breaks."""
    n_open = reconcile_round()
    happened("reconcile")
    return n_open
