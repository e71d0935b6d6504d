"""Prices that moved, as bytes: what a decision adds to the market of the one before."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D
from engine.errors import StateError

_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class PackedMarks:
    """Marks by row of ``LiveBook.instrument_id``, rates by row of ``LiveBook.assets``."""

    instrument: Int64Array1D
    mark_price: Float64Array1D
    mark_iv: Float64Array1D
    forward_price: Float64Array1D
    asset: Int64Array1D
    usd_rate: Float64Array1D
    observed_ns: int


def pack(marks: PackedMarks) -> bytes:
    """Return the bytes of marks; floats to the bit."""
    parts = [
        _VERSION, marks.observed_ns, marks.instrument.astype("<i4").tobytes(),
        *(
            values.astype("<f8").tobytes()
            for values in (marks.mark_price, marks.mark_iv, marks.forward_price)
        ),
        marks.asset.astype("<i4").tobytes(), marks.usd_rate.astype("<f8").tobytes(),
    ]  # fmt: skip
    return msgspec.msgpack.encode(parts)


def unpack(packed: bytes) -> PackedMarks:
    """Return the marks of bytes; raises StateError if they are none of ours."""
    try:
        version, observed_ns, instrument, mark, iv, forward, asset, rate = msgspec.msgpack.decode(
            packed
        )
    except (msgspec.DecodeError, ValueError) as error:
        raise StateError(f"{len(packed)} bytes of marks cannot be read: {error}") from error
    if version != _VERSION:
        raise StateError(
            f"marks are of form {version}, this code reads {_VERSION}: use the code that wrote"
            " them",
            value=version,
        )
    return PackedMarks(
        instrument=np.frombuffer(instrument, "<i4").astype(np.int64),
        mark_price=np.frombuffer(mark, "<f8").copy(),
        mark_iv=np.frombuffer(iv, "<f8").copy(),
        forward_price=np.frombuffer(forward, "<f8").copy(),
        asset=np.frombuffer(asset, "<i4").astype(np.int64),
        usd_rate=np.frombuffer(rate, "<f8").copy(),
        observed_ns=int(observed_ns),
    )
