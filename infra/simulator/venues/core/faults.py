"""Faults of venues, by kind, scope, probability, number of times and duration.

The core applies what looks the same at every venue (``wire.py``, ``sockets.py``, ``market.py``,
``book.py``, ``chain.py``); a protocol applies those whose form is its own, such as an error code.
Both ask the plan with ``draw`` at the place where the fault would strike.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

ANY = "*"


class FaultKind(StrEnum):
    """What can go wrong. Parameters that a kind reads are named; seconds are wall seconds."""

    # Transport.
    REFUSE = "refuse"  # no connection is accepted
    RESET_BEFORE = "reset_before"  # cut before anything was done
    RESET_AFTER = "reset_after"  # done, then cut before the reply
    LATE_REPLY = "late_reply"  # done, replied after `seconds`
    LATE_COMMIT = "late_commit"  # done only after `seconds`, when the client may have given up
    HALF_OPEN = "half_open"  # neither data nor FIN any more
    CONNECTION_CAP = "connection_cap"  # streams above `limit` are cut
    LATENCY = "latency"  # `seconds` plus up to `jitter`
    DRIP = "drip"  # the body comes byte by byte, `seconds` in all
    FORCED_CLOSE = "forced_close"  # an orderly close of a stream
    # HTTP.
    TOO_MANY_REQUESTS = "too_many_requests"  # 429, `retry_after` optional
    BANNED = "banned"  # 418 with the end of the ban, `seconds`
    BAD_GATEWAY = "bad_gateway"  # `status` with HTML, `when` before or after
    BROKEN_BODY = "broken_body"  # 200 with `form` html, truncated or empty; `when`
    FORBIDDEN = "forbidden"  # 403 of a firewall
    UNKNOWN_CODE = "unknown_code"  # the venue's own error, `code`; `when`
    CREDITS_EMPTY = "credits_empty"  # refused, then the session is closed
    # State of the venue.
    SETTLEMENT = "settlement"
    MAINTENANCE = "maintenance"
    CANCEL_ONLY = "cancel_only"
    TRANSFERS_FROZEN = "transfers_frozen"
    WITHDRAWALS_PENDING = "withdrawals_pending"
    SLOW_DEPOSITS = "slow_deposits"  # `factor` times the confirmations
    SLOW_MATCHING = "slow_matching"  # orders acknowledged now, filled after `seconds`
    PARTIAL_FILL = "partial_fill"  # `share` of an order of a symbol (`channel`) is met
    # Streams.
    GAP = "gap"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    STALE = "stale"  # data stops, heartbeats go on
    HEARTBEATS_STOP = "heartbeats_stop"
    UNKNOWN_CHANNEL = "unknown_channel"
    UNREADABLE_FRAME = "unreadable_frame"
    ERROR_FRAME = "error_frame"
    TOKEN_EXPIRED = "token_expired"
    OLD_SNAPSHOT = "old_snapshot"
    TOO_SLOW = "too_slow"
    STREAM_RESET = "stream_reset"
    # Data.
    TORN_SNAPSHOT = "torn_snapshot"  # parts of an account from different instants
    PARTIAL_PAGE = "partial_page"
    ODD_NUMBER = "odd_number"  # `field` becomes `form` nan, exponent, tail, flip
    UNIT_CHANGE = "unit_change"  # contract size times `factor`
    INSTRUMENT_GONE = "instrument_gone"
    MARK_FROZEN = "mark_frozen"
    MARK_SPIKED = "mark_spiked"  # times `factor`
    MARK_ZERO = "mark_zero"
    BOOK_CROSSED = "book_crossed"
    DEPEG_ON_VENUE = "depeg_on_venue"  # index of `endpoint` (asset) times `factor`
    MARGIN_MODEL_CHANGED = "margin_model_changed"  # rates times `factor`
    # Unilateral acts and access.
    SUSPENDED = "suspended"
    KEY_REVOKED = "key_revoked"
    REDUCE_ONLY_REJECTED = "reduce_only_rejected"
    # Transfers.
    DUPLICATE_KEY_REJECTED = "duplicate_key_rejected"
    FEE_TAKEN = "fee_taken"  # `fee` less arrives
    CREDIT_MISSING = "credit_missing"  # debited, never credited
    ADDRESS_LOCKED = "address_locked"
    APPROVAL_PENDING = "approval_pending"
    APPROVAL_DENIED = "approval_denied"
    LISTING_STALE = "listing_stale"  # lookups do not show what is younger than `seconds`
    WEBHOOK_LOST = "webhook_lost"
    WEBHOOK_DUPLICATED = "webhook_duplicated"
    WEBHOOK_REORDERED = "webhook_reordered"
    WEBHOOK_FORGED = "webhook_forged"
    WEBHOOK_REPLAYED = "webhook_replayed"
    KEY_ROTATED = "key_rotated"
    KEY_SPENT_BY_ERROR = "key_spent_by_error"  # after an internal error the same key is refused
    STUCK_FEE = "stuck_fee"  # the chain does not confirm
    # Order management; `channel` is the symbol, `endpoint` is "execution".
    EXECUTION_MISSING = "execution_missing"  # never told
    EXECUTION_DUPLICATED = "execution_duplicated"  # told again under another name
    EXECUTION_REPEATED = "execution_repeated"  # told again under the same name
    EXECUTION_LATE = "execution_late"  # told `seconds` of town time later
    EXECUTION_WRONG_QUANTITY = "execution_wrong_quantity"  # times `factor`
    EXECUTION_WRONG_SIDE = "execution_wrong_side"
    EXECUTION_UNKNOWN_INSTRUMENT = "execution_unknown_instrument"
    EXECUTION_REWRITTEN = "execution_rewritten"  # told again, same name, other quantity
    EXECUTION_BUSTED_ASTRAY = "execution_busted_astray"  # a bust of a name that never was


@dataclass(frozen=True, slots=True)
class Scope:
    """Where something happens. ``channel`` is a stream channel or a listing's symbol."""

    venue: str = ""
    account: str = ""
    endpoint: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault to inject; ``*`` (or a trailing ``*``) in a scope field matches all (that begin so).

    Attributes
    ----------
    probability : float
        Chance that it strikes where it could.
    times : int, optional
        How often it strikes at most; None is without bound.
    after_seconds, duration_seconds : float
        Window in wall seconds since it was injected.
    """

    kind: FaultKind
    venue: str = ANY
    account: str = ANY
    endpoint: str = ANY
    channel: str = ANY
    probability: float = 1.0
    times: int | None = None
    after_seconds: float = 0.0
    duration_seconds: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def number(self, name: str, default: str) -> Decimal:
        """Return a numeric parameter."""
        return Decimal(str(self.parameters.get(name, default)))

    def seconds(self, name: str, default: float) -> float:
        """Return a parameter in seconds."""
        return float(self.parameters.get(name, default))

    def text(self, name: str, default: str) -> str:
        """Return a parameter as text."""
        return str(self.parameters.get(name, default))

    def covers(self, scope: Scope) -> bool:
        """Return whether the fault is about ``scope``."""
        pairs = (
            (self.venue, scope.venue), (self.account, scope.account),
            (self.endpoint, scope.endpoint), (self.channel, scope.channel),
        )  # fmt: skip
        return all(_matches(pattern, value) for pattern, value in pairs)


class FaultPlan:
    """Faults in force. The same seed and the same questions in the same order strike alike."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._faults: dict[int, _Injected] = {}
        self._number = 0
        self.struck: Counter[FaultKind] = Counter()

    def inject(self, fault: Fault) -> int:
        """Put a fault in force; returns its number."""
        self._number += 1
        at = time.monotonic()
        chance = random.Random(f"{self._seed}/{self._number}/{fault.kind}")
        self._faults[self._number] = _Injected(fault, at, chance)
        return self._number

    def withdraw(self, number: int) -> None:
        """Take a fault out of force."""
        self._faults.pop(number, None)

    def clear(self) -> None:
        """Take all faults out of force."""
        self._faults.clear()

    def draw(self, kind: FaultKind, scope: Scope) -> Fault | None:
        """Return the fault of a kind that strikes now in ``scope``, and count it; else None."""
        return self.draw_if(kind, scope, lambda _: True)

    def draw_if(
        self, kind: FaultKind, scope: Scope, condition: Callable[[Fault], bool]
    ) -> Fault | None:
        """Return as ``draw`` does, among the faults that meet ``condition``."""
        now = time.monotonic()
        for injected in self._faults.values():
            if condition(injected.fault) and injected.strikes(kind, scope, now):
                self.struck[kind] += 1
                return injected.fault
        return None

    def in_force(self) -> list[tuple[int, Fault, int]]:
        """Return number, fault and times struck of what is in force."""
        return [(n, i.fault, i.n_struck) for n, i in self._faults.items()]


@dataclass(slots=True)
class _Injected:
    fault: Fault
    at: float
    chance: random.Random
    n_struck: int = 0

    def strikes(self, kind: FaultKind, scope: Scope, now: float) -> bool:
        fault = self.fault
        if fault.kind is not kind or not fault.covers(scope):
            return False
        if fault.times is not None and self.n_struck >= fault.times:
            return False
        age = now - self.at
        if age < fault.after_seconds:
            return False
        end = fault.duration_seconds
        if end is not None and age >= fault.after_seconds + end:
            return False
        if fault.probability < 1.0 and self.chance.random() >= fault.probability:
            return False
        self.n_struck += 1
        return True


def _matches(pattern: str, value: str) -> bool:
    if pattern.endswith(ANY):
        return value.startswith(pattern[:-1])
    return pattern == value
