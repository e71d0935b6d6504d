"""Where assets may go: known destinations, past their cool-off, with network and memo (I-12)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from engine.errors import ModelInputError
from engine.transfers.intent import TransferIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class WhitelistEntry:
    """A destination as it was put on the list; ``active_from`` is None until approved.

    ``entry_id`` is a function of what the entry says, so an address that was altered afterwards
    no longer fits its name.
    """

    entry_id: str
    destination: str
    asset: str
    network: str
    address: str
    memo: str
    active_from: datetime | None = None
    revoked_at: datetime | None = None
    is_sealed: bool = True
    """Whether the approval bears the seal of those who send: one that was written past them has
    none."""

    @property
    def is_genuine(self) -> bool:
        """Return whether the entry still says what its name was made from."""
        return self.entry_id == entry_id(
            self.destination, self.asset, self.network, self.address, self.memo
        )


def entry_id(destination: str, asset: str, network: str, address: str, memo: str) -> str:
    """Return the name of an entry: 32 hexadecimal digits of the hash of its content."""
    content = json.dumps([destination, asset, network, address, memo], ensure_ascii=True)
    return hashlib.sha256(f"whitelist {content}".encode()).hexdigest()[:32]


def require_listed(
    intent: TransferIntent, entries: Iterable[WhitelistEntry], now: datetime
) -> WhitelistEntry:
    """Return the entry that allows the intent's destination at ``now``.

    Raises
    ------
    ModelInputError
        If there is none with this asset, network, address and memo, or it is not approved, still
        in its cool-off, revoked, altered, or approved by somebody who could only write rows.
    """
    wanted = entry_id(intent.destination, intent.asset, intent.network, intent.address, intent.memo)
    label = f"{intent.destination} for {intent.asset}"
    found = next((one for one in entries if one.entry_id == wanted), None)
    if found is None:
        raise _refused(intent, f"{label} is not on the whitelist", "a listed destination")
    if not found.is_genuine:
        raise _refused(intent, f"the whitelist entry {wanted[:12]} was altered", "as it was listed")
    if found.active_from is not None and not found.is_sealed:
        raise _refused(
            intent,
            f"the approval of {label} does not bear this installation's seal: revoke the entry "
            "and have two people list it again",
            "an approval made here",
        )
    if found.revoked_at is not None:
        raise _refused(
            intent, f"{label} was taken off the whitelist at {found.revoked_at:%Y-%m-%d %H:%M}Z",
            "a listed destination",
        )  # fmt: skip
    if found.active_from is None:
        raise _refused(
            intent, f"the whitelist entry of {label} waits for a second person",
            f"`plimsoll transfers whitelist approve {wanted[:12]}`",
        )  # fmt: skip
    if now < found.active_from:
        raise _refused(
            intent, f"the whitelist entry of {label} cools off until "
            f"{found.active_from:%Y-%m-%d %H:%M}Z", found.active_from.isoformat(),
        )  # fmt: skip
    return found


def require_known(intent: TransferIntent, entries: Iterable[WhitelistEntry]) -> None:
    """Raise ModelInputError unless the destination is listed or waits to be: enough to propose."""
    wanted = entry_id(intent.destination, intent.asset, intent.network, intent.address, intent.memo)
    found = next((one for one in entries if one.entry_id == wanted), None)
    if found is None or found.revoked_at is not None:
        detail = ", ".join(
            f"{name} {value}"
            for name, value in (
                ("network", intent.network), ("address", intent.address), ("memo", intent.memo)
            )
            if value
        )  # fmt: skip
        where = f"{intent.destination} for {intent.asset}" + (f" with {detail}" if detail else "")
        raise _refused(
            intent, f"{where} is not on the whitelist",
            "a destination proposed by `plimsoll transfers whitelist propose`",
        )  # fmt: skip


def entry_as_text(entry: WhitelistEntry) -> str:
    """Return what a person compares: destination, asset, network, address and memo."""
    shown = {name: value for name, value in asdict(entry).items() if isinstance(value, str)}
    return ", ".join(f"{name} {value}" for name, value in shown.items() if value)


def _refused(intent: TransferIntent, fact: str, limit: str) -> ModelInputError:
    return ModelInputError(
        f"transfer {intent.key}: {fact}",
        identifier=intent.key,
        value=intent.destination,
        limit=limit,
    )
