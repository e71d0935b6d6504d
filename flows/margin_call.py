"""Age the margin calls: what is past due fails, is escalated, and leads to reduction.

Read it as the call desk's round. What it decides is in the database before it is shown, each level
of a deadline once, so it may be killed anywhere, started twice, or left to the next schedule.
"""

from __future__ import annotations

from prefect import flow

from tasks.age_calls import age_calls, show_calls, tell_subscriber


@flow(name="margin-call", flow_run_name="age margin calls", retries=0)
def margin_call(netting_sets: list[str] | None = None) -> dict[str, int]:
    """Take every step that is due on open calls. Returns the open calls by state.

    Args:
        netting_sets: Only these; empty for all open calls.
    """
    age_calls(netting_sets or None)
    tell_subscriber()
    return show_calls()
