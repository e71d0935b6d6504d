"""What a data contract is: columns, rules over rows, keys and thresholds, in one definition.

The Great Expectations suite of a dataset and the fast masks of the intraday loop are both made
from a ``Contract``; neither states a limit of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

# The alphabet of all identifiers: safe in file names, URLs, HTML and SQL.
IDENTIFIER_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9:._+/-]{0,95}"

# Far beyond any price or holding there has been, yet small enough that a product of two of them
# with a multiplier is finite in float64.
PRICE_MAX: Final = 1e12
QUANTITY_MAX: Final = 1e18


class Kind(Enum):
    """What a cell holds, hence how it is read and which type the accepted column has."""

    IDENTIFIER = "identifier"
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    INSTANT = "instant"
    FLAG = "flag"


CANONICAL_DTYPES: dict[Kind, str] = {
    Kind.IDENTIFIER: "str",
    Kind.TEXT: "str",
    Kind.NUMBER: "float64",
    Kind.DATE: "datetime64[ms]",
    Kind.INSTANT: "datetime64[ms, UTC]",
    Kind.FLAG: "bool",
}


class Window(Enum):
    """Which rows belong to a business date, by the contract's ``date_column``.

    Rows of other dates are no bad rows: they are set aside with a note.
    """

    ALWAYS = "every row, whatever the date"
    ON_DATE = "rows of the business date"
    UP_TO_DATE = "rows of the business date and before"
    DAY = "rows after the previous close, up to and including the close"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its kind, unit, meaning and limits.

    Attributes
    ----------
    name : str
        Name in the accepted frame.
    kind : Kind
        What its cells hold.
    meaning : str
        One line for people.
    unit : str
        Unit or qualifier, empty where there is none.
    optional : bool
        A cell may be empty and the whole column may be absent.
    above, at_least, at_most, below : float or None
        Limits of a number; ``above`` and ``below`` are strict.
    words : tuple of str
        The only values allowed, empty for any.
    names_accepted : tuple of str
        Other column names under which sources deliver it.
    flag_when_empty : bool or None
        Value of an empty flag; only optional flags have one.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    optional: bool = False
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    below: float | None = None
    words: tuple[str, ...] = ()
    names_accepted: tuple[str, ...] = ()
    flag_when_empty: bool | None = None

    def __post_init__(self) -> None:
        if self.kind is Kind.FLAG and self.optional and self.flag_when_empty is None:
            raise ValueError(f"optional flag {self.name} needs flag_when_empty")


@dataclass(frozen=True, slots=True)
class RowRule:
    """A rule that every row meets or is quarantined for, about ``column``."""

    column: str

    @property
    def name(self) -> str:
        """Return the rule's name in results and reasons."""
        return _RULE_NAMES[type(self)]


@dataclass(frozen=True, slots=True)
class WholeLine(RowRule):
    """The line of a text file had as many fields as its header."""


@dataclass(frozen=True, slots=True)
class Required(RowRule):
    """The cell is not empty."""


@dataclass(frozen=True, slots=True)
class Readable(RowRule):
    """The cell, if not empty, can be read as its kind, exactly as it is written."""


@dataclass(frozen=True, slots=True)
class Within(RowRule):
    """A number inside its limits; ``above`` and ``below`` are strict."""

    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    below: float | None = None


@dataclass(frozen=True, slots=True)
class Among(RowRule):
    """A text that is one of ``words``."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timely(RowRule):
    """An instant that is not after ``last``."""

    last: datetime


@dataclass(frozen=True, slots=True)
class NotAbove(RowRule):
    """``column`` is not above ``other`` where both are present."""

    other: str


@dataclass(frozen=True, slots=True)
class PresentWhere(RowRule):
    """``column`` is present in rows whose ``when`` is one of ``words``."""

    when: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AbsentWhere(RowRule):
    """``column`` is empty in rows whose ``when`` is one of ``words``."""

    when: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EqualWhere(RowRule):
    """``column`` equals ``other`` in rows whose ``when`` is one of ``words``."""

    other: str
    when: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AmongWhere(RowRule):
    """``column`` is one of ``allowed`` in rows whose ``when`` is one of ``words``."""

    allowed: tuple[str, ...]
    when: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FixedWhere(RowRule):
    """The number ``column`` is ``number`` in rows whose ``when`` is one of ``words``."""

    number: float
    when: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UniqueKey(RowRule):
    """No two rows have equal ``columns``; ``column`` is their names, joined."""

    columns: tuple[str, ...]


_RULE_NAMES: dict[type[RowRule], str] = {
    WholeLine: "whole_line",
    Required: "required",
    Readable: "readable",
    Within: "within",
    Among: "among",
    Timely: "timely",
    NotAbove: "ordered",
    PresentWhere: "present",
    AbsentWhere: "absent",
    EqualWhere: "equal",
    AmongWhere: "among_where",
    FixedWhere: "fixed",
    UniqueKey: "unique",
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """When a dataset as a whole is refused.

    It is refused when more rows are quarantined than ``quarantined_rows_free`` and than
    ``quarantined_share_max`` of all rows, or when fewer rows than ``accepted_rows_min`` remain.
    """

    quarantined_share_max: float
    quarantined_rows_free: int
    accepted_rows_min: int


@dataclass(frozen=True, slots=True)
class Contract:
    """The definition of one dataset in one major version.

    Attributes
    ----------
    dataset : str
        Name of the dataset, of its files and of its table.
    version : int
        Major version: a breaking change of the payload is a new one.
    meaning : str
        One paragraph for people.
    columns : tuple of Column
        In the order of the accepted frame.
    key : tuple of str
        Columns that name a row; the accepted frame is sorted by them.
    identifier : str
        The column that says what a quarantined row leaves without data.
    threshold : Threshold
        When the dataset as a whole is refused.
    row_rules : tuple of RowRule
        Rules beside those that follow from the columns and the key.
    window : Window
        Which rows belong to a business date.
    date_column : str or None
        The date or instant that ``window`` looks at.
    observed_column : str or None
        Instant of observation: never later than an hour after the close.
    daily_by : str or None
        Column whose every value has a daily history in which gaps are noted.
    names_accepted : tuple of str
        Other names under which sources deliver the dataset.
    finer : Contract or None
        Intraday layout that is accepted too: the last accepted row of each UTC day is taken.
    """

    dataset: str
    version: int
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    identifier: str
    threshold: Threshold
    row_rules: tuple[RowRule, ...] = ()
    window: Window = Window.ALWAYS
    date_column: str | None = None
    observed_column: str | None = None
    daily_by: str | None = None
    names_accepted: tuple[str, ...] = ()
    finer: Contract | None = None

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.dataset}: a column is declared twice in {names}")
        named = [*self.key, self.identifier, self.date_column, self.observed_column, self.daily_by]
        absent = [name for name in named if name is not None and name not in names]
        if absent:
            raise ValueError(f"{self.dataset}: {absent} are no columns of the contract")
        if self.window is not Window.ALWAYS and self.date_column is None:
            raise ValueError(f"{self.dataset}: window {self.window.name} needs a date_column")

    def column(self, name: str) -> Column:
        """Return the column of that name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise LookupError(f"{self.dataset} has no column {name!r}")


def present_iff(
    column: str, when: str, words: tuple[str, ...], otherwise: tuple[str, ...]
) -> tuple[RowRule, RowRule]:
    """Return the two rules by which ``column`` is present exactly where ``when`` is in ``words``.

    ``otherwise`` are the remaining words of ``when``.
    """
    return PresentWhere(column, when, words), AbsentWhere(column, when, otherwise)
