"""Column types that are exact on both engines and refuse what would not be.

SQLite keeps a plain ``Numeric`` as a float and its ``STRICT`` tables know only integers, reals,
text and blobs, so amounts, dates and instants are text there. Text amounts must never be summed
or compared in SQL: sum with ``exact_sum``, compare in Python.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import BigInteger, Date, Dialect, Integer, Numeric, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeEngine

from engine.errors import LedgerError, ModelInputError
from engine.ledger.entries import MINOR_UNITS_MAX
from engine.times import require_utc
from infra.db.canonical import canonical_json, from_json

# A sum of amounts: room for 10^22 of the largest.
SIGNED_UNITS_MAX: Final = 10**60 - 1
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z", re.ASCII
)
_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,59}", re.ASCII)
_AMOUNT: Final = re.compile(r"-?[0-9]{1,60}(\.[0-9]{1,40})?")

# The number of a row in a chain or list; INTEGER is 64 bits wide on SQLite, BIGINT on PostgreSQL.
Position = Integer().with_variant(BigInteger(), "postgresql")


class ExactAmount(TypeDecorator[Decimal]):
    """A signed decimal: NUMERIC on PostgreSQL, plain digits on SQLite; the scale is kept."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return text for SQLite, whose numbers are floats."""
        kind: TypeEngine[Any] = Text() if dialect.name == "sqlite" else Numeric()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Refuse what is no finite Decimal."""
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise ModelInputError(f"an amount needs a finite Decimal, found {value!r}", value=value)
        text = format(value if value else value.copy_abs(), "f")
        if not _AMOUNT.fullmatch(text):
            raise ModelInputError(f"amount {value} has more digits than 60.40", value=value)
        return text if dialect.name == "sqlite" else Decimal(text)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return the amount as it was written."""
        return None if value is None else Decimal(value)


class MinorUnits(TypeDecorator[int]):
    """A positive whole number of minor units, up to 38 digits."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return text for SQLite, whose integers end at 64 bits."""
        kind: TypeEngine[Any] = Text() if dialect.name == "sqlite" else Numeric()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Refuse what is no positive integer."""
        if value is None:
            return None
        if type(value) is not int or not 0 < value <= MINOR_UNITS_MAX:
            raise LedgerError(
                f"a posting moves a positive whole number of minor units, found {value!r}",
                value=value,
                limit=f"1 to {MINOR_UNITS_MAX}",
            )
        return str(value) if dialect.name == "sqlite" else Decimal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Return the whole number."""
        return None if value is None else _whole(value)


class SignedUnits(TypeDecorator[int]):
    """A whole number of minor units of any sign: a balance, or a sum over accounts."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return text for SQLite, whose integers end at 64 bits."""
        kind: TypeEngine[Any] = Text() if dialect.name == "sqlite" else Numeric()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Refuse what is no integer, or one that no honest sum reaches."""
        if type(value) is not int or abs(value) > SIGNED_UNITS_MAX:
            raise LedgerError(
                f"a balance is a whole number of minor units, found {value!r}",
                value=value,
                limit=f"-{SIGNED_UNITS_MAX} to {SIGNED_UNITS_MAX}",
            )
        return str(value) if dialect.name == "sqlite" else Decimal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Return the whole number."""
        return None if value is None else _whole(value)


class BusinessDate(TypeDecorator[date]):
    """A date; ISO text on SQLite, which sorts like the date."""

    impl = Date
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return text for SQLite."""
        kind: TypeEngine[Any] = Text() if dialect.name == "sqlite" else Date()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Refuse an instant, whose date would depend on a time zone."""
        if value is None:
            return None
        if isinstance(value, datetime) or not isinstance(value, date):
            raise ModelInputError(f"a business date needs a date, found {value!r}", value=value)
        return value.isoformat() if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:
        """Return the date."""
        return date.fromisoformat(value) if isinstance(value, str) else value


class UtcInstant(TypeDecorator[datetime]):
    """An instant in UTC to the microsecond; fixed-width text on SQLite, which sorts like time."""

    impl = TIMESTAMP(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return text for SQLite."""
        kind: TypeEngine[Any] = Text() if dialect.name == "sqlite" else TIMESTAMP(timezone=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Refuse a naive instant."""
        if value is None:
            return None
        instant = require_utc(value, "instant")
        if dialect.name != "sqlite":
            return instant
        return instant.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the instant in UTC, whatever the time zone of the session."""
        if value is None:
            return None
        if isinstance(value, str) and not _INSTANT.fullmatch(value):
            # The parser takes other forms too, but they would not sort like time.
            raise ValueError(f"{value!r} is no recorded instant: the row is damaged")
        if not isinstance(value, str | datetime):
            raise TypeError(f"{value!r} is no instant: the row is damaged")
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        return instant.astimezone(UTC)


class CanonicalJson(TypeDecorator[dict[str, object]]):
    """An object as canonical JSON text: equal objects are equal texts on both engines."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Return the canonical text."""
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> dict[str, object] | None:
        """Return the object."""
        return None if value is None else from_json(value)


def _whole(value: Any) -> int:
    """Return a whole number from what the driver gives, or raise if the text is damaged."""
    if isinstance(value, Decimal | int):
        return int(value)
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise ValueError(f"{value!r} is no whole number: the row is damaged")
    return int(value)


class exact_sum(GenericFunction[int]):  # noqa: N801
    """Sum of minor units without a float: SQL ``sum`` would be one on SQLite."""

    type = MinorUnits()
    inherit_cache = True


@compiles(exact_sum, "postgresql")
def _native_sum(element: exact_sum, compiler: SQLCompiler, **options: Any) -> str:
    return f"sum({compiler.process(element.clauses, **options)})"


class ExactSum:
    """The aggregate behind ``exact_sum`` on SQLite."""

    def __init__(self) -> None:
        self.total = 0

    def step(self, value: Any, /) -> None:
        """Add one amount."""
        if value is not None:
            self.total += int(value)

    def finalize(self) -> Any:
        """Return the sum as digits."""
        return str(self.total)
