"""Where the time of a call goes, by the functions that its module calls."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any


@contextmanager
def timed_calls(module: ModuleType) -> Iterator[dict[str, float]]:
    """Collect processor seconds of each engine function that ``module`` names, own calls excluded.

    Each second is counted once, at the innermost of the timed functions. The module is put back as
    it was.
    """
    seconds: dict[str, float] = {}
    running: list[float] = []
    functions = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and value.__module__.startswith("engine")
    }

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*arguments: Any, **named: Any) -> Any:
            start = time.process_time()
            running.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                whole = time.process_time() - start
                seconds[name] = seconds.get(name, 0.0) + whole - running.pop()
                if running:
                    running[-1] += whole

        return run

    for name, function in functions.items():
        setattr(module, name, watched(name, function))
    try:
        yield seconds
    finally:
        for name, function in functions.items():
            setattr(module, name, function)
