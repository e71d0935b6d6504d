"""What is to be moved, from where to where: the intent, its one text, its hash and its key."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

from engine.errors import ModelInputError
from engine.ids import parse_identifier
from engine.money import from_minor_units
from engine.ports import TransferOrder

# Fixed for ever: another namespace would give every intent another key.
_NAMESPACE: Final = uuid.UUID("6f1d6f43-5a0b-5b53-9d0c-9c1fbc6f7a52")
_KEY_FIELDS: Final = (
    "purpose", "leg", "source", "destination", "asset", "amount", "attempt_group",
)  # fmt: skip
_AMOUNT_MAX: Final = 10**38 - 1
_PLACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*/[A-Za-z0-9:._+/-]+")
_TEXT: Final = re.compile(r"[!-~]([ -~]{0,198}[!-~])?|")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferIntent:
    """One movement of one asset between two places.

    Attributes
    ----------
    purpose : str
        The margin call that it covers, or another reason that names it.
    leg : int
        Number of the movement among those of the purpose, from 1.
    source, destination : str
        Places: ``<venue>/<account>`` or ``<custodian>/<vault>``.
    amount : int
        What leaves the source, fee included. [minor units of the asset]
    scale : int
        Decimals of the minor unit.
    network, address, memo : str
        Where the rail needs them; empty otherwise.
    attempt_group : int
        1; a person who starts a movement anew after its end takes the next number.
    """

    purpose: str
    leg: int
    source: str
    destination: str
    asset: str
    amount: int
    scale: int
    network: str = ""
    address: str = ""
    memo: str = ""
    attempt_group: int = 1

    def __post_init__(self) -> None:
        for name in ("purpose", "source", "destination", "asset"):
            parse_identifier(getattr(self, name), name)
        for name in ("source", "destination"):
            if not _PLACE.fullmatch(getattr(self, name)):
                raise _refused(name, getattr(self, name), "<venue>/<account>")
        if self.source == self.destination:
            raise _refused("destination", self.destination, "another place than the source")
        for name, least, most in (
            ("leg", 1, 10_000),
            ("attempt_group", 1, 10_000),
            ("scale", 0, 18),
            ("amount", 1, _AMOUNT_MAX),
        ):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise _refused(name, value, f"a whole number from {least} to {most}")
        for name in ("network", "address", "memo"):
            value = getattr(self, name)
            if not isinstance(value, str) or not _TEXT.fullmatch(value):
                raise _refused(name, value, "up to 200 printable ASCII characters")

    @property
    def canonical(self) -> str:
        """Return the one text of the intent: what approvers approve, whoever writes it."""
        return _canonical({one.name: getattr(self, one.name) for one in fields(self)})

    @property
    def payload_hash(self) -> str:
        """Return the SHA-256 of the canonical text, as hexadecimal digits."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def key(self) -> str:
        """Return the client id, 32 hexadecimal digits: a function of the intent, for ever.

        Network, address and memo are no part of it: the same movement to another address is a
        contradiction that has to be seen, not a second transfer.
        """
        content = {name: getattr(self, name) for name in _KEY_FIELDS}
        return uuid.uuid5(_NAMESPACE, _canonical(content)).hex

    @property
    def quantity(self) -> Decimal:
        """Return the amount in units of the asset."""
        return from_minor_units(self.amount, self.asset, self.scale).amount

    @property
    def source_venue(self) -> str:
        """Return the venue or custodian that pays."""
        return self.source.partition("/")[0]

    @property
    def destination_venue(self) -> str:
        """Return the venue or custodian that receives."""
        return self.destination.partition("/")[0]

    def order(self) -> TransferOrder:
        """Return what a gateway is handed."""
        return TransferOrder(
            key=self.key,
            source=self.source,
            destination=self.destination,
            asset=self.asset,
            quantity=self.quantity,
            address=self.address,
            network=self.network,
            memo=self.memo,
        )


def _canonical(content: dict[str, Any]) -> str:
    # Amounts travel as text: readers of JSON may turn large numbers into floats.
    plain = {**content, "amount": str(content["amount"])}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _refused(name: str, value: object, limit: str) -> ModelInputError:
    return ModelInputError(
        f"transfer: {name} {value!r:.80}, limit: {limit}",
        identifier=name,
        value=value,
        limit=limit,
    )
