"""Rows of a table as they are asked for: searched, sorted and cut into pages on the server.

A page works without scripts: sorting is a button of a form, and the address says it all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import urlencode

from infra.web.failures import Refused

_Row = TypeVar("_Row")
ROWS_PER_PAGE: Final = 50
_PAGE_MAX: Final = 100_000
_QUERY_LENGTH_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[_Row]):
    """A column: its head, its unit, and what it is sorted by.

    ``kind`` is ``text``, ``number`` (right-aligned) or ``mark`` (a badge or a small picture).
    """

    key: str
    label: str
    value: Callable[[_Row], Any] | None = None
    unit: str = ""
    kind: Literal["text", "number", "mark"] = "text"
    help: str = ""

    @property
    def is_sortable(self) -> bool:
        """Whether rows can be ordered by it."""
        return self.value is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the address asks of a table."""

    sort: str = ""
    descending: bool = False
    query: str = ""
    page: int = 1
    filters: Mapping[str, str] = field(default_factory=dict)

    def on(self, page: int) -> Asked:
        """Return the same on another page."""
        return replace(self, page=page)

    @property
    def address(self) -> str:
        """Return it as the query of an address, as a page's stream is asked for it."""
        sort = f"{'-' if self.descending else ''}{self.sort}"
        return urlencode({"sort": sort, "q": self.query, "page": self.page, **self.filters})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[_Row]):
    """A page of a table."""

    name: str
    columns: Sequence[Column[_Row]]
    rows: Sequence[_Row]
    asked: Asked
    n_found: int
    n_all: int
    n_pages: int
    action: str

    def direction(self, column: Column[_Row]) -> str:
        """Return ``aria-sort`` of a column."""
        if self.asked.sort != column.key:
            return "none"
        return "descending" if self.asked.descending else "ascending"

    def next_sort(self, column: Column[_Row]) -> str:
        """Return what a click on the head asks for: numbers fall first, texts rise first."""
        if self.asked.sort == column.key:
            return column.key if self.asked.descending else f"-{column.key}"
        return f"-{column.key}" if column.kind == "number" else column.key

    @property
    def first(self) -> int:
        """Return the number of the first row shown."""
        return (self.asked.page - 1) * ROWS_PER_PAGE + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """Return the number of the last row shown."""
        return self.first + len(self.rows) - 1 if self.rows else 0


def asked_of(
    parameters: Mapping[str, str],
    default_sort: str,
    filters: Sequence[str] = (),
    chosen: Mapping[str, str] | None = None,
) -> Asked:
    """Return what the query of an address asks; nonsense is refused with 400.

    ``chosen`` is what filters are set to that the address does not name.
    """
    defaults = chosen or {}
    sort = parameters.get("sort", "") or default_sort
    page = parameters.get("page", "1")
    if not page.isascii() or not page.isdigit() or not 1 <= int(page[:7]) <= _PAGE_MAX:
        raise Refused(400, f"page {page[:20]!r}, limit: 1 to {_PAGE_MAX}")
    query = parameters.get("q", "").strip()
    if len(query) > _QUERY_LENGTH_MAX:
        raise Refused(400, f"search of {len(query)} characters, limit: {_QUERY_LENGTH_MAX}")
    return Asked(
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        query=query,
        page=int(page),
        filters={
            name: parameters.get(name, defaults.get(name, ""))[:_QUERY_LENGTH_MAX]
            for name in filters
        },
    )


def listing(
    name: str,
    action: str,
    rows: Iterable[_Row],
    columns: Sequence[Column[_Row]],
    asked: Asked,
    searched: Callable[[_Row], str],
) -> Listing[_Row]:
    """Return the page of ``rows`` that is asked for.

    Parameters
    ----------
    name, action : str
        Identifier of the table on its page, and the address of the page.
    searched : callable
        Text of a row that a search looks at.

    Raises
    ------
    Refused
        If it is to be sorted by a column that is not there.
    """
    everything = list(rows)
    found = everything
    if asked.query:
        wanted = asked.query.casefold()
        found = [row for row in found if wanted in searched(row).casefold()]
    column = next((one for one in columns if one.key == asked.sort and one.is_sortable), None)
    if column is None:
        listed = ", ".join(one.key for one in columns if one.is_sortable)
        raise Refused(400, f"sort {asked.sort[:40]!r}, limit: {listed}")
    ordered = _sorted(found, column, asked.descending)
    page, n_pages = cut(asked, len(ordered))
    start = (page - 1) * ROWS_PER_PAGE
    return Listing(
        name=name,
        columns=columns,
        rows=ordered[start : start + ROWS_PER_PAGE],
        asked=asked.on(page),
        n_found=len(found),
        n_all=len(everything),
        n_pages=n_pages,
        action=action,
    )


def cut(asked: Asked, n_found: int) -> tuple[int, int]:
    """Return the page that is shown of ``n_found`` rows, and how many pages there are."""
    n_pages = max(1, -(-n_found // ROWS_PER_PAGE))
    return min(asked.page, n_pages), n_pages


def _sorted(rows: list[_Row], column: Column[_Row], descending: bool) -> list[_Row]:
    value = column.value
    if value is None:
        return rows
    known = [row for row in rows if value(row) is not None]
    unknown = [row for row in rows if value(row) is None]
    # What is unknown comes last either way: it is neither small nor large.
    return sorted(known, key=value, reverse=descending) + unknown
