"""Work in processes of its own: apart from this one's threads, raced, or killed.

A child that is forked from a test's own process inherits the locks of whatever threads ran there
before, and may wait for one of them for ever. So children descend from a small process that has
imported what they need and has started nothing.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

Found = TypeVar("Found")

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.preloaded"])


def apart(work: Callable[..., Found], *arguments: Any) -> Found:
    """Return what ``work``, a function of a module, answers in a process of its own.

    Raises
    ------
    AssertionError
        With the traceback of whatever it raised there, or with its exit code if it just ended.
    """
    seen, code = until_killed(_answering, work, *arguments)
    assert seen, f"{work.__name__} ended with {code} and without an answer"
    word, found = seen[-1]
    assert word == "answer", found
    return found  # type: ignore[no-any-return]


def until_killed(function: Callable[..., Any], *arguments: Any) -> tuple[list[Any], int]:
    """Return what a process reported through its first argument, and its exit code.

    The last report of a process that raised is its traceback.
    """
    reader, writer = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_reporting, args=(writer, function, arguments))
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


def race(function: Callable[..., Any], *arguments: Any, n: int = 8) -> list[Any]:
    """Return the answers of ``n`` processes that call ``function`` together."""
    return apart(_race, function, arguments, n)


def _answering(report: Callable[[Any], None], work: Callable[..., Any], *arguments: Any) -> None:
    try:
        report(("answer", work(*arguments)))
    except BaseException:
        report(("error", traceback.format_exc()))


def _reporting(writer: Connection, function: Callable[..., Any], arguments: Any) -> None:
    try:
        function(writer.send, *arguments)
    except Exception:
        writer.send(traceback.format_exc())
        raise


def _race(function: Callable[..., Any], arguments: tuple[Any, ...], n: int) -> list[Any]:
    # Forked from a process that has one thread: starting eight interpreters takes longer than the
    # race.
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


def _run(start: Barrier, answers: Any, function: Callable[..., Any], arguments: Any) -> None:
    start.wait(timeout=60)
    try:
        answers.put(function(*arguments))
    except Exception as error:
        answers.put(f"{type(error).__name__}: {error}")
