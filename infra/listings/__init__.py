"""Calls, transfers and reductions of the record as JSON values, for people and programs."""

from infra.listings.calls import call_as_json, calls_as_json, done_as_json
from infra.listings.reductions import (
    ShownReduction,
    plan_as_json,
    reduction_as_json,
    shown_reduction,
)
from infra.listings.rungs import grant_as_json, waiting_as_json
from infra.listings.transfers import (
    Shown,
    entry_as_json,
    record_as_json,
    shown_as_json,
    shown_transfer,
)

__all__ = [
    "Shown",
    "ShownReduction",
    "call_as_json",
    "calls_as_json",
    "done_as_json",
    "entry_as_json",
    "grant_as_json",
    "plan_as_json",
    "record_as_json",
    "reduction_as_json",
    "shown_as_json",
    "shown_reduction",
    "shown_transfer",
    "waiting_as_json",
]
