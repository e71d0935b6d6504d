"""What a run shows in the Prefect UI: tables, text, links, pictures and progress bars.

An artifact is a view: losing one loses no fact. When the API cannot be reached, the first failed
attempt says so in the log and the rest of the run shows nothing more, so that the close is never
late because of its pictures.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.context import get_run_context
from prefect.exceptions import MissingContextError

ROWS_MAX: Final = 500
_PROGRESS_EVERY_SECONDS: Final = 1.0
_TRANSPORT_MODULES: Final = ("httpx", "httpcore", "prefect")

_logger = logging.getLogger(__name__)
_given_up_runs: set[UUID] = set()


def show_table(
    key: str, rows: Sequence[dict[str, str]], description: str, n_rows: int | None = None
) -> None:
    """Show ``rows`` as a searchable table; of ``n_rows`` in all, so that a cut is never silent."""
    shown = [dict(row) for row in rows]
    if n_rows is not None and n_rows > len(shown):
        description += f" First {len(shown):,} of {n_rows:,} rows; all are in the report."
    _show(lambda: create_table_artifact(shown, key=key, description=description))


def show_markdown(key: str, text: str, description: str) -> None:
    """Show a page of text."""
    _show(lambda: create_markdown_artifact(text, key=key, description=description))


def show_link(key: str, url: str, text: str, description: str) -> None:
    """Show a link."""
    _show(lambda: create_link_artifact(url, link_text=text, key=key, description=description))


def show_picture(key: str, data_url: str | None, description: str) -> None:
    """Show a picture that travels inside its own URL, so that nothing is fetched from outside."""
    if data_url is not None:
        _show(lambda: create_image_artifact(data_url, key=key, description=description))


class ProgressBar:
    """A progress bar in the UI, updated at most once a second."""

    def __init__(self, key: str, description: str) -> None:
        self._id: UUID | None = _show(
            lambda: _as_id(create_progress_artifact(0.0, key=key, description=description))
        )
        self._last_update = time.monotonic()

    def update(self, n_done: int, n_total: int) -> None:
        """Show ``n_done`` of ``n_total``."""
        now = time.monotonic()
        is_end = n_done >= n_total
        if self._id is None or (not is_end and now - self._last_update < _PROGRESS_EVERY_SECONDS):
            return
        self._last_update = now
        bar, percent = self._id, 100.0 * n_done / max(n_total, 1)
        _show(lambda: update_progress_artifact(bar, progress=percent))


def _as_id(created: Any) -> UUID:
    return created if isinstance(created, UUID) else UUID(str(created))


def _show(create: Callable[[], Any]) -> Any:
    run = _flow_run_id()
    if run is None or run in _given_up_runs:
        return None
    try:
        return create()
    except Exception as error:
        # Whatever module the error is from: a view must not end the run, unless it is our bug.
        if type(error).__module__.split(".")[0] not in _TRANSPORT_MODULES:
            raise
        _given_up_runs.add(run)
        _logger.warning(
            "the Prefect API does not take artifacts (%s: %s); the run goes on without them",
            type(error).__name__,
            error,
        )
        return None


def _flow_run_id() -> UUID | None:
    """Return the flow run this is called in; None outside any, where there is no page to show."""
    try:
        context = get_run_context()
    except MissingContextError:
        return None
    run = getattr(context, "task_run", None)
    found = getattr(run, "flow_run_id", None) or getattr(
        getattr(context, "flow_run", None), "id", None
    )
    return found if isinstance(found, UUID) else None
