"""See transfers through: send what is approved, resolve what is unknown, settle what has arrived.

Read it as the desk's round. All that it does is read from the database first, so it may be killed
anywhere, started twice, or left to the next schedule.
"""

from __future__ import annotations

from prefect import flow
from prefect.flow_runs import pause_flow_run

from tasks.deadman import happened
from tasks.transfer_steps import (
    TransferDecision,
    note_decision,
    present_transfer,
    resolve_transfers,
    send_transfers,
    show_transfers,
)


@flow(name="settle", flow_run_name="settle transfers", retries=0)
def settle(rounds_max: int = 60, pause_seconds: float = 2.0) -> dict[str, int]:
    """Drive transfers on until none can go on without a person. Returns open ones by state.

    Args:
        rounds_max: Rounds of sending and resolving; what is left is for the next run.
        pause_seconds: Pause between rounds.
    """
    for number in range(1, rounds_max + 1):
        send_transfers(number)
        if not resolve_transfers(number, pause_seconds):
            break
    happened("settle")
    return show_transfers()


@flow(name="approve-transfer", flow_run_name="approve {key}", retries=0)
def approve_transfer(key: str, timeout_seconds: int = 86_400) -> str:
    """Pause until a transfer is approved or refused in our own record. Returns its state.

    Args:
        key: The transfer, or the beginning of its key.
        timeout_seconds: How long each pause waits for somebody.
    """
    state, page = present_transfer(key)
    while state == "proposed":
        typed = pause_flow_run(
            wait_for_input=TransferDecision.with_initial_data(description=page),
            timeout=timeout_seconds,
            poll_interval=1,
        )
        note_decision(key, typed)
        state, page = present_transfer(key)
    return state
