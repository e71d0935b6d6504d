"""Vaults of Fireblocks as the platform calls them: ``fireblocks/<vault account id>``."""

from __future__ import annotations

from typing import Final

from engine.errors import Unsupported
from infra.custody.fireblocks.assets import CUSTODIAN

_PREFIX: Final = f"{CUSTODIAN}/"


def vault_of(place: str) -> str:
    """Return the vault account of a place; raises Unsupported if it is none of Fireblocks."""
    vault = place.removeprefix(_PREFIX)
    if not place.startswith(_PREFIX) or not vault.isdecimal():
        raise Unsupported(
            f"{place} is no vault of {CUSTODIAN}: {_PREFIX}<number>", identifier=place
        )
    return vault


def is_here(place: str) -> bool:
    """Return whether a place is a vault of Fireblocks."""
    return place.startswith(_PREFIX)
