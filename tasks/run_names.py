"""What a flow run is called, and when it was due."""

from __future__ import annotations

import logging
from datetime import datetime

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext, TaskRunContext

_logger = logging.getLogger(__name__)


def due_at() -> datetime | None:
    """Return the instant at which the present flow run was due; None outside any."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return None
    return context.flow_run.expected_start_time


def name_flow_run(name: str) -> None:
    """Rename the flow run that the present task belongs to; without one, do nothing."""
    context = TaskRunContext.get()
    if context is None or context.task_run.flow_run_id is None:
        return
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(context.task_run.flow_run_id, name=name)
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("httpx", "httpcore", "prefect"):
            raise
        _logger.warning("the flow run keeps its old name (%s)", type(error).__name__)
