"""What a reduction is to do: its legs, its one text, its hash, and the keys of its orders."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from engine.errors import ModelInputError
from engine.ids import parse_identifier

# Fixed for ever: another namespace would give every order another key.
_NAMESPACE: Final = uuid.UUID("2d0b1c54-6f0e-5c4f-8e0a-6a3f1f5f9a61")
_NUMBER_MAX: Final = 100_000
_LOTS_MAX: Final = 10**15
ReductionKind: TypeAlias = Literal["reduce_only", "hedge_first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A position that a hedge stands against; ``exposure`` of one contract of it, signed. [USD]"""

    instrument_id: str
    exposure: Decimal

    def __post_init__(self) -> None:
        parse_identifier(self.instrument_id, "instrument_id")
        if not self.exposure.is_finite():
            raise _refused("exposure", self.exposure, "finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """The most that a plan does in one instrument of one account.

    Attributes
    ----------
    number : int
        From 1. Hedges come first and are through before anything else begins.
    lots : int
        Most that all orders of the leg fill together. [lots]
    lot : Decimal
        Contracts of one lot.
    tick : Decimal
        Step of prices. [quote unit]
    is_reduce_only : bool
        False for a hedge.
    is_option : bool
        Options have a wider price band.
    notional : Decimal
        What caps count of one contract; of an option its whole underlying. [USD]
    exposure : Decimal
        Of one contract at the marks of the plan, signed as a long one's. [USD]
    mark_price : Decimal
        At which the plan was made. [quote unit]
    daily_volume : Decimal
        Average daily volume of the underlying. [USD]
    covers : tuple of Covered
        Of a hedge: what it stands against, in the same account.
    """

    number: int
    account_id: str
    instrument_id: str
    side: Literal["buy", "sell"]
    lots: int
    lot: Decimal
    tick: Decimal
    is_reduce_only: bool
    is_option: bool
    notional: Decimal
    exposure: Decimal
    mark_price: Decimal
    daily_volume: Decimal
    covers: tuple[Covered, ...] = ()

    def __post_init__(self) -> None:
        for name in ("account_id", "instrument_id"):
            parse_identifier(getattr(self, name), name)
        for name, most in (("number", _NUMBER_MAX), ("lots", _LOTS_MAX)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise _refused(name, value, f"a whole number from 1 to {most}")
        for name in ("lot", "tick", "notional", "mark_price", "daily_volume"):
            value = getattr(self, name)
            if not value.is_finite() or value <= 0:
                raise _refused(name, value, "finite, > 0")
        if not self.exposure.is_finite():
            raise _refused("exposure", self.exposure, "finite")
        if self.is_reduce_only == bool(self.covers):
            raise _refused("covers", len(self.covers), "positions for a hedge, none otherwise")

    @property
    def quantity(self) -> Decimal:
        """Return the most contracts that the leg fills."""
        return self.lots * self.lot

    @property
    def lot_notional(self) -> Decimal:
        """Return what caps count of one lot at the marks of the plan. [USD], > 0"""
        return self.notional * self.lot

    @property
    def sign(self) -> int:
        """Return +1 for a buy, -1 for a sell."""
        return 1 if self.side == "buy" else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionIntent:
    """A reduction of one netting set, as approvers see it.

    Attributes
    ----------
    cause : str
        What has led to it: ``call:<call_id>``, or another reason that names it.
    attempt : int
        1; a plan made anew for the same cause after its end takes the next number.
    run_id, snapshot_id, rule_book_hash, policy_hash : str
        What the figures rest on.
    ratio_target : str
        What is owed over collateral value that is to be restored. [-]
    """

    netting_set_id: str
    cause: str
    attempt: int
    kind: ReductionKind
    run_id: str
    snapshot_id: str
    rule_book_hash: str
    policy_hash: str
    ratio_target: Decimal
    legs: tuple[Leg, ...]

    def __post_init__(self) -> None:
        for name in ("netting_set_id", "cause", "run_id", "snapshot_id"):
            parse_identifier(getattr(self, name), name)
        if type(self.attempt) is not int or not 1 <= self.attempt <= _NUMBER_MAX:
            raise _refused("attempt", self.attempt, f"a whole number from 1 to {_NUMBER_MAX}")
        if [leg.number for leg in self.legs] != list(range(1, len(self.legs) + 1)):
            raise _refused("legs", [leg.number for leg in self.legs], "numbers from 1 in order")
        places = [(leg.account_id, leg.instrument_id) for leg in self.legs]
        if len(set(places)) != len(places):
            raise _refused("legs", places, "one leg for an instrument of an account")

    @property
    def canonical(self) -> str:
        """Return the one text of the intent: what approvers approve, whoever writes it."""
        return _canonical(asdict(self))

    @property
    def payload_hash(self) -> str:
        """Return the SHA-256 of the canonical text, as hexadecimal digits."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def plan_id(self) -> str:
        """Return the name, 32 hexadecimal digits: netting set, cause and attempt, for ever."""
        content = {name: getattr(self, name) for name in ("netting_set_id", "cause", "attempt")}
        return uuid.uuid5(_NAMESPACE, _canonical(content)).hex

    @property
    def notional(self) -> Decimal:
        """Return what caps count of all legs at the marks of the plan. [USD]"""
        return sum((leg.lots * leg.lot_notional for leg in self.legs), Decimal(0))

    def leg(self, number: int) -> Leg:
        """Return a leg by its number."""
        return self.legs[number - 1]


def order_key(plan_id: str, leg: int, slice_number: int) -> str:
    """Return the client id of an order: a function of plan, leg and slice, for ever.

    32 letters and digits: what every venue takes as an order's own name.

    Examples
    --------
    >>> order_key("00" * 16, 1, 1) == order_key("00" * 16, 1, 1)
    True
    """
    content = {"plan_id": plan_id, "leg": leg, "slice": slice_number}
    return uuid.uuid5(_NAMESPACE, _canonical(content)).hex


def intent_from(canonical: str) -> ReductionIntent:
    """Return the intent of a canonical text.

    Raises
    ------
    ModelInputError
        If the text is not one that ``canonical`` has written.
    """
    try:
        content = json.loads(canonical)
        legs = tuple(_leg_from(each) for each in content.pop("legs"))
        found = ReductionIntent(
            **{**content, "ratio_target": Decimal(content["ratio_target"])}, legs=legs
        )
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise ModelInputError(f"no reduction: {error}", value=canonical[:80]) from error
    if found.canonical != canonical:
        raise ModelInputError("no reduction in its canonical form", value=canonical[:80])
    return found


def _leg_from(content: dict[str, Any]) -> Leg:
    decimals = {one.name for one in fields(Leg) if one.type == "Decimal"}
    covers = tuple(
        Covered(instrument_id=each["instrument_id"], exposure=Decimal(each["exposure"]))
        for each in content.pop("covers")
    )
    plain: dict[str, Any] = {
        name: Decimal(v) if name in decimals else v for name, v in content.items()
    }
    return Leg(**plain, covers=covers)


def _canonical(content: dict[str, Any]) -> str:
    # Decimals travel as text: readers of JSON may turn them into floats.
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_text
    )


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} has no place in a reduction")


def _refused(name: str, value: object, limit: str) -> ModelInputError:
    return ModelInputError(
        f"reduction: {name} {value!r:.80}, limit: {limit}",
        identifier=name,
        value=value,
        limit=limit,
    )
