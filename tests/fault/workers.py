"""Processes that do units one after the other, each warm and with one thread."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from tests.fault.databases import Template
from tests.fault.outcomes import Outcome, Wrong
from tests.fault.units import Unit, work

Templates = Mapping[str, Template]


@dataclass(frozen=True, slots=True)
class Done:
    """A unit that has been done, what came of it, and how long it took."""

    unit: Unit
    outcome: Outcome
    seconds: float


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    connection: Connection
    unit: Unit | None = field(default=None)


def done_by(units: Sequence[Unit], templates: Templates, jobs: int) -> Iterator[Outcome | Done]:
    """Yield each unit when it is done by one of ``jobs`` processes, and lives as they are lived.

    Whoever stops asking ends the processes.
    """
    waiting = list(reversed(units))
    workers = [_start(templates) for _ in range(min(jobs, len(units)))]
    try:
        for worker in workers:
            _give(worker, waiting)
        while busy := [worker for worker in workers if worker.unit is not None]:
            for connection in wait([worker.connection for worker in busy]):
                worker = next(one for one in busy if one.connection is connection)
                try:
                    found = worker.connection.recv()
                except EOFError:
                    yield _died(worker)
                    workers.remove(worker)
                    worker = _start(templates)
                    workers.append(worker)
                    _give(worker, waiting)
                    continue
                if isinstance(found, Done):
                    _give(worker, waiting)
                yield found
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()


def _start(templates: Templates) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, templates))
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, waiting: list[Unit]) -> None:
    worker.unit = waiting.pop() if waiting else None
    if worker.unit is not None:
        worker.connection.send(worker.unit)


def _died(worker: _Worker) -> Done:
    worker.process.join()
    assert worker.unit is not None
    sentence = f"{worker.unit.name}: its process ended with {worker.process.exitcode}"
    return Done(worker.unit, Outcome(wrong=(Wrong("books", sentence),)), 0.0)


def _work(connection: Connection, templates: Templates) -> None:
    # The command ends its workers; on their way out they leave nothing behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with closing(connection):
        while True:
            try:
                unit: Unit = connection.recv()
            except EOFError:
                return
            started = time.monotonic()
            try:
                outcome = work(unit, templates[unit.engine_name], connection.send)
            except Exception:
                sentence = f"{unit.name}: {traceback.format_exc()}"
                outcome = Outcome(wrong=(Wrong("books", sentence),))
            connection.send(Done(unit, outcome, time.monotonic() - started))
