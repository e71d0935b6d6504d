"""Close dates from the command line: from the record where that is possible, else as flow runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from tasks.display import progress
from tasks.lookup import finished_run, incomplete_run_of, require_complete
from tasks.orders import Order, make_order
from tasks.session import prefect_session
from tasks.workplace import workplace


@dataclass(frozen=True, slots=True)
class Closed:
    """The runs of the dates asked for, and the failure that ended the last one, if any."""

    run_ids: tuple[str, ...]
    failure: Exception | None

    def raise_failure(self) -> None:
        """Raise what ended the last run; the result that there is has been shown by then."""
        if self.failure is not None:
            raise self.failure


def close_dates(
    dates: Sequence[date | None],
    market: str | None = None,
    book: str | None = None,
    *,
    force: bool = False,
) -> Closed:
    """Close ``dates`` in order and return their runs.

    A date that is finished is answered from the database, without Prefect. An incomplete run does
    not stop the next date.
    """
    orders = [make_order(found, market, book, force) for found in dates]
    undone = [order for order in orders if finished_run(order) is None]
    if not undone:
        return _collected(orders, finished_run)

    def check_inputs() -> None:
        from tasks.inputs import require_inputs

        require_inputs(undone[0])

    progress().begin("start")
    with prefect_session(workplace().settings, meanwhile=check_inputs):
        from flows.end_of_day import end_of_day

        return _collected(
            orders,
            lambda order: end_of_day(order.business_date, order.market, order.book, order.force),
        )


def _collected(orders: Sequence[Order], close: Callable[[Order], str | None]) -> Closed:
    run_ids: list[str] = []
    failure: Exception | None = None
    for order in orders:
        progress().begin(f"end of day {order.business_date}")
        try:
            run_ids.append(str(close(order)))
            require_complete(run_ids[-1])
            failure = None
        except Exception as error:
            run_id = incomplete_run_of(error)
            if run_id is None:
                raise
            if run_id not in run_ids:
                run_ids.append(run_id)
            failure = error
    return Closed(tuple(run_ids), failure)
