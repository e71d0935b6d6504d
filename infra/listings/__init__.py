"""Calls and transfers of the record as JSON values, for terminals, pages and programs alike."""

from infra.listings.calls import call_as_json, calls_as_json, done_as_json
from infra.listings.transfers import (
    Shown,
    entry_as_json,
    record_as_json,
    shown_as_json,
    shown_transfer,
)

__all__ = [
    "Shown",
    "call_as_json",
    "calls_as_json",
    "done_as_json",
    "entry_as_json",
    "record_as_json",
    "shown_as_json",
    "shown_transfer",
]
