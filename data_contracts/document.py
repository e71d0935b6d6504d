"""Write a contract for people: the tables of each dataset's README come from here.

``python -m data_contracts.document`` rewrites them; a test holds the pages equal to the contracts.
"""

from __future__ import annotations

from pathlib import Path

from data_contracts.contract import Column, Contract, Kind
from data_contracts.registry import VERSIONS, contract
from data_contracts.rules import statement


def page(definition: Contract) -> str:
    """Return the README of the contract, in Markdown."""
    lines = [
        f"# {definition.dataset}, version {definition.version}",
        "",
        definition.meaning,
        "",
        f"- Key: {_names(definition.key)}. Rows equal in every column are kept once and noted; "
        "rows of one key that differ are all quarantined.",
        f"- Business date: {definition.window.value}"
        + (f" (`{definition.date_column}`)." if definition.date_column else "."),
        *_extras(definition),
        _refused_when(definition),
        "",
        "| column | kind | unit | meaning | rule |",
        "| --- | --- | --- | --- | --- |",
        *(_row(column) for column in definition.columns),
        "",
    ]
    if definition.row_rules:
        lines += ["Rules between columns:", ""]
        lines += [f"- `{r.column}` {statement(r, definition)}" for r in definition.row_rules]
        lines += [""]
    return "\n".join(lines + _sample_note(definition))


def _refused_when(definition: Contract) -> str:
    threshold = definition.threshold
    parts = ["a required column is absent"]
    if threshold.quarantined_rows_free or threshold.quarantined_share_max:
        parts.append(
            f"more than {threshold.quarantined_share_max:.0%} of the rows and more than "
            f"{threshold.quarantined_rows_free} of them are quarantined"
        )
    else:
        parts.append("any row is quarantined")
    if threshold.accepted_rows_min:
        parts.append("no row is accepted")
    return f"- Refused as a whole when {', or '.join(parts)}."


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in columns)


def _extras(definition: Contract) -> list[str]:
    lines = []
    if definition.names_accepted:
        names = _names(definition.names_accepted)
        lines.append(f"- Files and tables named {names} are accepted too.")
    if definition.observed_column is not None:
        lines.append(f"- `{definition.observed_column}` is at most an hour after the close.")
    if definition.daily_by is not None:
        lines.append(f"- Gaps in the days of an `{definition.daily_by}` are noted, never filled.")
    return lines


def _row(column: Column) -> str:
    meaning = column.meaning
    if column.names_accepted:
        meaning += f"; also named {_names(column.names_accepted)}"
    return (
        f"| `{column.name}` | {column.kind.value} | {column.unit} | {meaning} | {_rule(column)} |"
    )


def _rule(column: Column) -> str:
    parts = ["optional" if column.optional else "required"]
    if column.flag_when_empty is not None:
        parts.append(f"{str(column.flag_when_empty).lower()} when empty")
    if column.above is not None:
        parts.append(f"> {column.above:g}")
    if column.at_least is not None:
        parts.append(f">= {column.at_least:g}")
    if column.at_most is not None:
        parts.append(f"<= {column.at_most:g}")
    if column.below is not None:
        parts.append(f"< {column.below:g}")
    if column.words:
        parts.append(" or ".join(column.words))
    return ", ".join(parts)


def _sample_note(definition: Contract) -> list[str]:
    kinds = {column.kind for column in definition.columns}
    lines = [
        "Texts and numbers are taken exactly as written: surrounding space, separators, `NaN` and "
        "numbers beyond float64 are quarantined."
    ]
    if Kind.INSTANT in kinds:
        lines.append(
            "Instants need their offset; one other than UTC is converted and noted, an instant "
            "without offset is quarantined. Milliseconds are kept."
        )
    return [*lines, "", "`schema.py` is the contract, `suite.py` its Great Expectations suite, "
            "`sample.csv` a valid file.", ""]  # fmt: skip


def write_pages() -> None:
    """Write the README of every dataset beside its schema."""
    home = Path(__file__).parent
    for dataset, version in VERSIONS.items():
        target = home / dataset / f"v{version}" / "README.md"
        target.write_text(page(contract(dataset)), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
