"""Fan blocks of work out to Dask workers and bring the answers back in the order of the blocks.

What all blocks share is handed out once, as a task of its own, so that Dask can make it again
when the worker that held it dies (scattered data would be lost with it). A block lost with its
worker is run again by Dask. A block that keeps killing its workers, or never ends, is given up
and named. If the cluster itself is lost, the blocks that are left are computed in this process,
by the same function, so the bytes are the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from tasks.cluster import ClusterOptions, connect, discard

if TYPE_CHECKING:
    from distributed import Client, Future

SharedT = TypeVar("SharedT")
BlockT = TypeVar("BlockT")
AnswerT = TypeVar("AnswerT")

_logger = logging.getLogger(__name__)

_FETCH_SECONDS_MAX: Final = 120
_PROBE_SECONDS_MAX: Final = 10
_REPORT_EVERY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class LostBlock:
    """A block without an answer: computing it kills its workers or never ends."""

    reason: str


@dataclass(frozen=True, slots=True)
class FanOut(Generic[SharedT, BlockT, AnswerT]):
    """What is to be computed: ``function(shared, block)`` for every block.

    ``function`` stands in an importable module, so that workers compile its kernels once.
    ``name`` says what is computed, for people who watch the cluster.
    """

    name: str
    function: Callable[[SharedT, BlockT], AnswerT]
    shared: SharedT
    blocks: Sequence[BlockT]


def fan_out(
    work: FanOut[SharedT, BlockT, AnswerT],
    options: ClusterOptions,
    on_progress: Callable[[int], None] = lambda _n_done: None,
) -> list[AnswerT | LostBlock]:
    """Return the answer of every block, in the order of the blocks.

    Parameters
    ----------
    work : FanOut
        Function, what its calls share, and the blocks.
    options : ClusterOptions
        Where to compute.
    on_progress : callable
        Told how many blocks are done, at most once a second and once at the end.

    Raises
    ------
    InfrastructureError
        If the cluster cannot be reached before any work has begun.
    Exception
        What ``function`` itself raises: a block that fails in its own code fails the work.
    """
    client = connect(options)
    answers: dict[int, AnswerT | LostBlock] = {}
    try:
        _collect(client, work, options.silence_seconds_max, answers, on_progress)
    except _BlocksHang as hang:
        discard(options)
        for index in _missing(work, answers):
            answers[index] = LostBlock(f"block {index} was given up: {hang}")
    except _ClusterLost as lost:
        discard(options)
        n_left = len(_missing(work, answers))
        _logger.warning("Dask cluster lost: %s; computing %d blocks here", lost, n_left)
    for index in _missing(work, answers):
        answers[index] = work.function(work.shared, work.blocks[index])
        on_progress(len(answers))
    on_progress(len(answers))
    return [answers[index] for index in range(len(work.blocks))]


class _ClusterLost(Exception):
    """The cluster cannot bring the answers that are left."""


class _BlocksHang(Exception):
    """The cluster is well and yet no block finishes."""


def _collect(
    client: Client,
    work: FanOut[SharedT, BlockT, AnswerT],
    silence_seconds_max: float,
    answers: dict[int, AnswerT | LostBlock],
    on_progress: Callable[[int], None],
) -> None:
    some_done = threading.Event()
    with _futures_of(client, work) as waiting:
        for future in waiting:
            future.add_done_callback(lambda _future: some_done.set())
        last_answer = last_report = time.monotonic()
        while waiting:
            some_done.wait(_REPORT_EVERY_SECONDS)
            some_done.clear()
            now = time.monotonic()
            for future in [future for future in waiting if future.done()]:
                index = waiting.pop(future)
                answers[index] = _answer_of(future, index)
                last_answer = now
            if now - last_answer > silence_seconds_max:
                _require_scheduler(client)
                raise _BlocksHang(f"no block finished for {silence_seconds_max:g} s")
            if now - last_report >= _REPORT_EVERY_SECONDS:
                last_report = now
                on_progress(len(answers))


@contextmanager
def _futures_of(
    client: Client, work: FanOut[SharedT, BlockT, AnswerT]
) -> Iterator[dict[Future, int]]:
    # A key of its own: Dask must not answer from what an earlier, perhaps cancelled, call left.
    name = f"{work.name}-{time.monotonic_ns()}"
    try:
        shared = client.submit(_as_it_is, work.shared, key=f"{name}-shared", pure=False)
        # On every worker, for Dask sends a block only to those that hold what it needs.
        client.sync(client._replicate, [shared], callback_timeout=_FETCH_SECONDS_MAX)
        waiting: dict[Future, int] = {
            client.submit(work.function, shared, block, key=f"{name}-{index}", pure=False): index
            for index, block in enumerate(work.blocks)
        }
    except (OSError, TimeoutError, RuntimeError) as error:
        raise _ClusterLost(f"cannot hand out work ({type(error).__name__}: {error})") from error
    try:
        yield waiting
    finally:
        with suppress(Exception):
            client.cancel([*waiting, shared], force=True)


def _as_it_is(shared: SharedT) -> SharedT:
    return shared


def _answer_of(future: Future, index: int) -> Any:
    from distributed import CancelledError, KilledWorker
    from distributed.comm import CommClosedError

    try:
        return future.result(timeout=_FETCH_SECONDS_MAX)
    except KilledWorker as error:
        n_deaths = error.allowed_failures + 1
        return LostBlock(
            f"block {index} was given up: {n_deaths} Dask workers died while computing it"
        )
    except (CancelledError, CommClosedError, TimeoutError) as error:
        raise _ClusterLost(f"answer lost ({type(error).__name__})") from error


def _require_scheduler(client: Client) -> None:
    # A scheduler that answers has not lost the blocks: they hang, and would hang here as well.
    try:
        client.sync(client.scheduler.identity, callback_timeout=_PROBE_SECONDS_MAX)
    except Exception as error:
        raise _ClusterLost(f"the scheduler is silent ({type(error).__name__})") from error


def _missing(
    work: FanOut[SharedT, BlockT, AnswerT], answers: dict[int, AnswerT | LostBlock]
) -> list[int]:
    return [index for index in range(len(work.blocks)) if index not in answers]
