"""What the small process of ``tests/processes.py`` imports, so that its children need not.

Neither Prefect nor Dask: they read their settings when they are imported, and each child has its
own. No kernel is called: the threads of a compiled one do not survive a fork.
"""

from __future__ import annotations

from importlib import import_module

PRELOADED = (
    "alembic.command",
    "alembic.ddl.postgresql",
    "alembic.ddl.sqlite",
    "numba",
    "psycopg",
    "pyarrow.parquet",
    "rich.console",
    "rich.markdown",
    "rich.progress",
    "rich.table",
    "scipy.optimize",
    "scipy.sparse",
    "scipy.stats",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "typer",
    "flows.cli",
    "flows.terminal",
    "infra.report.write",
    "infra.simulator.world",
    "tasks.assessments",
    "tasks.call_acts",
    "tasks.call_views",
    "tasks.compare",
    "tasks.doctor",
    "tasks.ledger_views",
    "tasks.listing",
    "tasks.reduction",
    "tasks.rule_proposals",
    "tasks.rule_tables",
    "tasks.session",
    "tasks.transfers",
    "tasks.transfer_tables",
    "tasks.whatif",
    "tests.fault.calls.sweeps",
    "tests.fault.transfers.sweeps",
    "tests.integration.db.ledger_facts",
)

for _name in PRELOADED:
    import_module(_name)
