"""What the loop and its payment desk say to each other: a JSON text per line, over pipes.

The loop says which calls are durable and how netting sets stand when it is asked; the desk asks,
and tells how payments stand. Nothing of it has to arrive: what is to be done is on record.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from infra.paying.live import LiveAnswer, LiveMarks
from infra.paying.telling import DeskTold
from infra.paying.waiting import OpenDemand

LINE_MAX = 1 << 24
"""Longest line that is read. [bytes]"""


class Called(msgspec.Struct, tag="called", frozen=True):
    """From the loop: calls that have become durable."""

    demands: tuple[OpenDemand, ...]


class Answered(msgspec.Struct, tag="answered", frozen=True):
    """From the loop: the answer to the question of a number."""

    number: int
    answer: LiveAnswer


class Given(msgspec.Struct, tag="given", frozen=True):
    """From the loop: its prices, for the question of a number."""

    number: int
    marks: LiveMarks


class Asked(msgspec.Struct, tag="asked", frozen=True):
    """From the desk: how do these netting sets stand?"""

    number: int
    netting_sets: tuple[str, ...]


class AskedMarks(msgspec.Struct, tag="asked_marks", frozen=True):
    """From the desk: which prices do you have?"""

    number: int


class Said(msgspec.Struct, tag="said", frozen=True):
    """From the desk: how payments stand."""

    told: DeskTold


FromLoop: TypeAlias = Called | Answered | Given
FromDesk: TypeAlias = Asked | AskedMarks | Said
_encoder = msgspec.json.Encoder()
_from_loop = msgspec.json.Decoder(FromLoop)
_from_desk = msgspec.json.Decoder(FromDesk)


def line_of(message: FromLoop | FromDesk) -> bytes:
    """Return a message as one line."""
    return _encoder.encode(message) + b"\n"


def from_loop(line: bytes) -> FromLoop:
    """Return what the loop has said; raises msgspec.DecodeError for what it cannot have said."""
    found: FromLoop = _from_loop.decode(line)
    return found


def from_desk(line: bytes) -> FromDesk:
    """Return what the desk has said; raises msgspec.DecodeError for what it cannot have said."""
    found: FromDesk = _from_desk.decode(line)
    return found
