"""Import Great Expectations late and light.

It takes five seconds of processor time on top of pandas: half of that is ``scipy.stats``, which
only expectations over distributions use, and ``altair``, which only draws its web pages. Both are
kept out of the way while it is imported; whoever needs ``scipy.stats`` later gets it whole.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from dataclasses import dataclass
from types import ModuleType
from typing import Any

_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class GreatExpectations:
    """The parts of the package that are used here."""

    root: Any
    expectations: Any
    condition_on: Any
    progress_bars: Any


def great_expectations() -> GreatExpectations:
    """Return the package, imported on the first call and by nobody before."""
    with _LOCK:
        if "great_expectations" not in sys.modules:
            _import_lightly()
        root = importlib.import_module("great_expectations")
        expectations = importlib.import_module("great_expectations.expectations")
        conditions = importlib.import_module("great_expectations.expectations.row_conditions")
        base = importlib.import_module("great_expectations.data_context.types.base")
    return GreatExpectations(root, expectations, conditions.Column, base.ProgressBarsConfig)


def _import_lightly() -> None:
    if "scipy.stats" not in sys.modules:
        scipy = importlib.import_module("scipy")
        scipy.stats = _lazy_module("scipy.stats")  # type: ignore[attr-defined]
    stands_in = "altair" not in sys.modules
    if stands_in:
        sys.modules["altair"] = _NameOnly("altair")
    try:
        importlib.import_module("great_expectations")
        importlib.import_module("great_expectations.expectations")
    finally:
        if stands_in:
            del sys.modules["altair"]


def _lazy_module(name: str) -> ModuleType:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is not installed; run make setup")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class _NameOnly(ModuleType):
    """A module of which only names are needed, for annotations and subclasses."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
