"""Several processes that start the same thing at the same time."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any


def race(function: Callable[..., Any], *arguments: Any, n: int = 8) -> list[Any]:
    """Return the answers of ``n`` processes that call ``function`` together.

    They are forked, because starting eight interpreters takes longer than the race; the parent
    has opened no connection of theirs.
    """
    context = multiprocessing.get_context("fork")
    start = context.Barrier(n)
    answers = context.SimpleQueue()
    racers = [
        context.Process(target=_run, args=(start, answers, function, arguments)) for _ in range(n)
    ]
    for racer in racers:
        racer.start()
    found = [answers.get() for _ in racers]
    for racer in racers:
        racer.join(timeout=60)
    return found


def until_killed(function: Callable[..., Any], *arguments: Any) -> tuple[list[Any], int]:
    """Return what a process reported through its first argument, and its exit code.

    The last report of a process that raised is its traceback.
    """
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_reporting, args=(writer.send, function, arguments))
    process.start()
    writer.close()
    seen = []
    try:
        while True:
            seen.append(reader.recv())
    except EOFError:
        pass
    process.join()
    return seen, process.exitcode or 0


def _run(start: Barrier, answers: Any, function: Callable[..., Any], arguments: Any) -> None:
    start.wait(timeout=60)
    try:
        answers.put(function(*arguments))
    except Exception as error:
        answers.put(f"{type(error).__name__}: {error}")


def _reporting(report: Callable[[Any], None], function: Callable[..., Any], arguments: Any) -> None:
    try:
        function(report, *arguments)
    except Exception:
        report(traceback.format_exc())
        raise
