"""Frames as Arrow tables: exact, the same bytes for the same content, and a hash of the content.

A ``Decimal`` column becomes text and a note in the schema says so, because a decimal128 column
would force one scale on all its rows. NaN and absent are one thing, as in pandas.
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.errors import ModelInputError

_DECIMALS: Final = b"plimsoll.decimal_columns"


def to_table(frame: pd.DataFrame) -> pa.Table:
    """Return the frame as a table without index and without notes of the writing library."""
    names = [str(name) for name in frame.columns]
    if len(set(names)) != len(names):
        raise ModelInputError(f"a frame needs distinct columns, found {names}")
    decimals = [name for name in names if _is_decimal(frame[name])]
    plain = frame.assign(**{name: _as_text(frame[name]) for name in decimals})
    try:
        table = pa.Table.from_pandas(plain, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ModelInputError(f"a column holds mixed types: {error}") from error
    notes = {_DECIMALS: json.dumps(decimals).encode()} if decimals else None
    return table.replace_schema_metadata(notes)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return the table as a frame, exact decimals restored."""
    notes = table.schema.metadata or {}
    frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    for name in json.loads(notes.get(_DECIMALS, b"[]")):
        if name in frame.columns:
            texts = frame[name].astype(object)
            values = [None if pd.isna(text) else Decimal(text) for text in texts]
            frame[name] = pd.Series(values, index=frame.index, dtype=object)
    return frame


def to_parquet(table: pa.Table) -> bytes:
    """Return the Parquet file of a table, compressed, the same bytes for the same table."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=1 << 20)
    return bytes(sink.getvalue())


def from_parquet(content: bytes, columns: list[str] | None = None) -> pa.Table:
    """Return the table of a Parquet file."""
    return pq.read_table(pa.BufferReader(content), columns=columns)


def table_hash(table: pa.Table) -> str:
    """Return the SHA-256 of names, types and values, columns in order of their names.

    The hash is taken over plain little-endian values and not over a file format, so it stays the
    same when a library writes its files in another way. Seconds count as milliseconds, which is
    what Parquet keeps.
    """
    digest = hashlib.sha256(f"rows {table.num_rows}\n".encode())
    decimals = json.loads((table.schema.metadata or {}).get(_DECIMALS, b"[]"))
    for name in sorted(table.column_names):
        column = _canonical(table.column(name))
        kind = "decimal" if name in decimals else str(column.type)
        digest.update(json.dumps([name, kind]).encode() + b"\n")
        digest.update(np.packbits(_to_numpy(pc.is_null(column)).astype(np.bool_)).tobytes())
        _update_values(digest, column)
    return digest.hexdigest()


def frame_hash(frame: pd.DataFrame) -> str:
    """Return ``table_hash`` of the frame."""
    return table_hash(to_table(frame))


def _canonical(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type) or pa.types.is_string_view(array.type):
        return array.cast(pa.large_string())
    if pa.types.is_timestamp(array.type) and array.type.unit == "s":
        return array.cast(pa.timestamp("ms", array.type.tz))
    return array


def _update_values(digest: hashlib._Hash, array: pa.Array) -> None:
    kind = array.type
    if pa.types.is_null(kind):
        return
    if pa.types.is_large_string(kind):
        filled = pc.fill_null(array, "")
        digest.update(_to_numpy(pc.binary_length(filled)).astype("<i8").tobytes())
        digest.update(_text_bytes(filled))
    elif pa.types.is_boolean(kind):
        digest.update(np.packbits(_to_numpy(pc.fill_null(array, False)).astype(np.bool_)).tobytes())
    elif pa.types.is_floating(kind):
        digest.update(_to_numpy(pc.fill_null(array, 0.0)).astype("<f8").tobytes())
    elif pa.types.is_integer(kind):
        digest.update(_to_numpy(pc.fill_null(array, 0)).astype("<i8").tobytes())
    elif pa.types.is_timestamp(kind):
        _update_values(digest, array.cast(pa.int64()))
    elif pa.types.is_date32(kind):
        _update_values(digest, array.cast(pa.int32()))
    else:
        raise ModelInputError(f"a frame holds the type {kind}, which no contract uses")


def _text_bytes(array: pa.Array) -> memoryview:
    # fill_null may hand back a slice of a larger buffer: take the bytes of these rows only.
    offsets = np.frombuffer(array.buffers()[1], dtype="<i8")
    first, last = offsets[array.offset], offsets[array.offset + len(array)]
    data = array.buffers()[2]
    return memoryview(data)[first:last] if data is not None else memoryview(b"")


def _to_numpy(array: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    values: np.ndarray[tuple[int], np.dtype[np.generic]] = array.to_numpy(zero_copy_only=False)
    return values


def _is_decimal(column: pd.Series) -> bool:
    if column.dtype != object:
        return False
    present = column.dropna()
    return len(present) > 0 and isinstance(present.iloc[0], Decimal)


def _as_text(column: pd.Series) -> pd.Series:
    texts: list[str | None] = []
    for value in column:
        if isinstance(value, Decimal):
            texts.append(str(value))
        elif value is None or pd.isna(value):
            texts.append(None)
        else:
            raise ModelInputError(
                f"column {column.name} mixes Decimal with {type(value).__name__} {value!r}"
            )
    return pd.Series(texts, index=column.index, dtype="str")
