"""What a venue's refusal means to us: its codes sorted into the errors of the platform.

A code that is in no table is no refusal: on a read it is ``VenueUnavailable``, on a write
``OutcomeUnknown``, since a venue that fails in a new way may have acted all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from engine.errors import (
    ClockSkew,
    Maintenance,
    RejectCause,
    Throttled,
    VenueAccessDenied,
    VenueError,
    VenueRejected,
)
from infra.venues.http import no_answer

Verdict: TypeAlias = Literal["throttled", "maintenance", "access", "clock"] | RejectCause
Verdicts: TypeAlias = Mapping[str, Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refusal as the venue worded it; ``name`` is the request, ``code`` the venue's own."""

    name: str
    code: str
    message: str
    is_write: bool
    retry_after_seconds: float | None = None


def error_of(refusal: Refusal, verdict: Verdict | None) -> VenueError:
    """Return the error of a refusal; without a verdict it says nothing about what happened."""
    text = f"{refusal.name}: refused with {refusal.code}, {refusal.message or 'no reason given'}"
    facts: dict[str, Any] = {
        "identifier": refusal.name,
        "value": refusal.message,
        "code": refusal.code,
    }
    if verdict is None:
        error = no_answer(
            refusal.name, f"code {refusal.code} {refusal.message}", is_write=refusal.is_write
        )
        error.code = refusal.code
        return error
    if verdict == "throttled":
        return Throttled(text, retry_after_seconds=refusal.retry_after_seconds, **facts)
    if verdict == "maintenance":
        return Maintenance(text, retry_after_seconds=refusal.retry_after_seconds, **facts)
    if verdict == "access":
        return VenueAccessDenied(
            f"{text}; check key, permissions and address of the credential", **facts
        )
    if verdict == "clock":
        return ClockSkew(f"{text}; the offset is measured anew", **facts)
    return VenueRejected(text, cause=verdict, **facts)


def table(**codes_by_verdict: str) -> dict[str, Verdict]:
    """Return codes by verdict as verdict by code; codes are words of one text."""
    sorted_out: dict[str, Verdict] = {}
    for verdict, codes in codes_by_verdict.items():
        for code in codes.split():
            sorted_out[code] = verdict  # type: ignore[assignment]
    return sorted_out
