"""Identifiers are types, parsed once at the edge."""

from __future__ import annotations

import re
from typing import NewType

from engine.errors import ContractViolation

ClientId = NewType("ClientId", str)
NettingSetId = NewType("NettingSetId", str)
AccountId = NewType("AccountId", str)
InstrumentId = NewType("InstrumentId", str)
SnapshotId = NewType("SnapshotId", str)
RunId = NewType("RunId", str)

# One alphabet for all: safe in file names, URLs, HTML and SQL, and readable on the phone.
IDENTIFIER_PATTERN = r"[A-Za-z0-9][A-Za-z0-9:._+/-]{0,95}"
_IDENTIFIER = re.compile(IDENTIFIER_PATTERN)


def parse_identifier(text: str, kind: str) -> str:
    """Return ``text`` if it is a valid identifier of ``kind``, else raise ContractViolation."""
    if not isinstance(text, str) or not _IDENTIFIER.fullmatch(text):
        raise ContractViolation(
            f"{kind} {text!r} is no identifier: 1 to 96 letters, digits or : . _ + / -",
            identifier=kind,
            value=text,
        )
    return text
