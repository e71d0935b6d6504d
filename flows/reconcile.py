"""The ledger beside the venues, every five minutes: read, booked line by line, compared."""

from __future__ import annotations

from prefect import flow

from tasks.reconcile_step import reconcile_round


@flow(name="reconcile", flow_run_name="reconcile ledger and venues", retries=0)
def reconcile() -> int:
    """Compare what the ledger says with what every connected venue holds. Returns open breaks."""
    return reconcile_round()
