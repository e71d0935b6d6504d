"""See reductions through: send the slices of plans at work, find out what became of each, stop.

Read it as the desk's round. All that it does is read from the database first, so it may be killed
anywhere, started twice, or left to the next schedule.
"""

from __future__ import annotations

from prefect import flow

from tasks.deadman import happened
from tasks.reduction_steps import resolve_orders, send_orders, show_reductions


@flow(name="reduce", flow_run_name="see reductions through", retries=0)
def reduce(rounds_max: int = 60, pause_seconds: float = 2.0) -> dict[str, int]:
    """Drive plans on until none can go on without a person. Returns open ones by state.

    Args:
        rounds_max: Rounds of sending and resolving; what is left is for the next run.
        pause_seconds: Pause between rounds.
    """
    for number in range(1, rounds_max + 1):
        send_orders(number)
        if not resolve_orders(number, pause_seconds):
            break
    happened("reduce")
    return show_reductions()
