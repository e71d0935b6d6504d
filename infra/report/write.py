"""Write a report: one HTML file, its JSON twin, and every table as Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.report.document import Document, document
from infra.report.inputs import ReportInputs, ReportPaths
from infra.report.json_twin import report_json
from infra.store.store import Store, open_store

PAGE, TWIN, TABLES = "report.html", "report.json", "report"


def write_report(inputs: ReportInputs, folder: Path) -> ReportPaths:
    """Write ``report.html``, ``report.json`` and ``report/<table>.parquet`` below ``folder``.

    Every file is written whole. The same inputs give the same bytes on any machine with the same
    versions of the libraries: no clock, no random identifier, no order but a sorted one.

    Raises
    ------
    ModelInputError
        If agreements differ in currency and a USD rate is missing.
    StateError
        If the folder cannot be written.
    """
    with folder_store(folder) as store:
        written = publish_report(inputs, store)
    tables = tuple(folder / path for path in written if path.startswith(f"{TABLES}/"))
    return ReportPaths(html=folder / PAGE, json=folder / TWIN, tables=tables)


@contextmanager
def folder_store(folder: Path) -> Iterator[Store]:
    """Yield a store that is the folder itself, and take the store's own workplace away again."""
    yield open_store(folder.absolute().as_uri())
    with suppress(OSError):  # Not empty: somebody else is writing there.
        (folder / ".incoming").rmdir()


def publish_report(inputs: ReportInputs, store: Store, folder: str = "") -> dict[str, str]:
    """Write the report below ``folder`` of a store and return path -> SHA-256 of each file."""
    from infra.report.page.render import render_page

    content: Document = document(inputs)
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    hashes = {
        f"{prefix}{TABLES}/{name}.parquet": store.write_frame(
            f"{prefix}{TABLES}/{name}.parquet", frame
        )
        for name, frame in content.tables().items()
    }
    hashes[prefix + TWIN] = store.write_text(prefix + TWIN, report_json(content))
    # Last, because people take the page for the sign that the report is there.
    hashes[prefix + PAGE] = store.write_text(prefix + PAGE, render_page(content))
    return hashes
