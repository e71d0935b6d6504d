"""Runs that wait for somebody's approval go on once our own record has the decision."""

from __future__ import annotations

import asyncio
import os
from typing import Final

from engine.errors import StateError
from infra.settings import Settings
from tasks.prefect_environment import apply_prefect_environment
from tasks.session import auth_of, served_at

_RESUME_SECONDS_MAX: Final = 10.0
_APPROVAL_FLOW: Final = "approve-transfer"


def resume_waiting(settings: Settings, key: str, approver: str, state: str) -> str:
    """Resume the paused runs that wait for a transfer and say how many; nothing without Prefect.

    Raises
    ------
    StateError
        If Prefect does not do it: the decision stands, and the run is resumed on its page.
    """
    address = _prefect_address(settings)
    if address is None:
        return ""
    # Prefect reads its environment once, when it is imported: here, in a process without it.
    if "PREFECT_API_URL" not in os.environ:
        apply_prefect_environment(settings.home_path, address)
    try:
        resumed = asyncio.run(asyncio.wait_for(_resume(key, approver, state), _RESUME_SECONDS_MAX))
    except Exception as error:
        raise StateError(
            f"the run that waits for transfer {key[:12]} was not resumed "
            f"({type(error).__name__}): resume it on its page",
            identifier=key,
        ) from error
    return f"{resumed} waiting run{'' if resumed == 1 else 's'} resumed." if resumed else ""


def _prefect_address(settings: Settings) -> str | None:
    found = None if settings.prefect_api_url else served_at(settings)
    if found is None and not settings.prefect_api_url:
        return None
    auth = auth_of(settings)
    if auth:
        os.environ["PREFECT_API_AUTH_STRING"] = auth
    return settings.prefect_api_url or (found.api_url if found else None)


async def _resume(key: str, approver: str, state: str) -> int:
    """Resume paused approval runs of a transfer; return how many."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowFilter,
        FlowFilterName,
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.flow_runs import aresume_flow_run

    paused = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
    async with get_client() as client:
        runs = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[_APPROVAL_FLOW])),
            flow_run_filter=FlowRunFilter(state=paused),
            limit=200,
        )
    waiting = [run for run in runs if key.startswith(str(run.parameters.get("key", "-")))]
    typed = {
        "decision": "rejected" if state in ("rejected", "cancelled") else "approved",
        "approver": approver,
        "comment": "decided over HTTP; this note approves nothing",
    }
    for run in waiting:
        await aresume_flow_run(run.id, run_input=typed)
    return len(waiting)
