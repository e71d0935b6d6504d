"""Record what places hold by their own word, before anything is credited that rests on it."""

from __future__ import annotations

from infra.connections import has_connections, read_connections
from infra.market.connected import connected_sources
from infra.market.connected.archive import Archive
from infra.market.source import CONNECTIONS
from infra.reconciling.attesting import PlaceHoldings, attest_holdings
from infra.reconciling.statements import (
    gone_from_statements,
    read_holdings,
    statement_holdings,
)
from infra.report.amounts import exact
from tasks import artifacts
from tasks.ingest import order_of
from tasks.records import facts_of, run_folder
from tasks.settle import register_in_ledger
from tasks.steps import Achievement, achieve, step
from tasks.validate import accepted_path
from tasks.workplace import Workplace, workplace


@step("attest")
def attest_places(run_id: str) -> None:
    """Attest the places of the close: from then on no client is credited what nobody holds."""
    facts = achieve(run_id, "attest", lambda place: _attest(place, run_id))
    backing = workplace().database.ledger.backing()
    artifacts.show_table(
        "attested",
        [
            {
                "Asset": str(row["asset"]),
                "Credited to clients": exact(row["credited"]),
                "Attested at all places": exact(row["attested"]),
                "Attestations": f"{row['n_attestations']:,}",
            }
            for row in backing.to_dict(orient="records")
        ],
        f"What stands behind credits to clients: {facts['places']:,} places of this close.",
    )


def _attest(place: Workplace, run_id: str) -> Achievement:
    accounts = []
    if has_connections(place.settings):
        accounts = list(read_connections(place.settings.connections_path).account)
    # A place that is connected is vouched for by its own word alone, whatever a file says.
    own_word = {each.account_id for each in accounts} | {each.place for each in accounts}
    collateral = place.store.read_frame(accepted_path(run_id, "collateral"))
    quarantined = place.store.read_frame(f"{run_folder(run_id)}/quarantine/collateral.parquet")
    content_hash = str(facts_of(run_id, "ingest")["datasets"]["collateral"]["content_hash"])
    rows = collateral[~collateral["location"].isin(own_word)]
    stated = statement_holdings(rows, quarantined, content_hash, place.database.clock())
    stated += gone_from_statements(place.database, stated, own_word)
    holdings = [*stated, *_read(place, run_id)]
    assets = sorted({asset for one in holdings for asset in one.quantities})
    register_in_ledger(place, run_id, assets)
    attest_holdings(place.database, holdings, run_id)
    n_assets = sum(len(one.quantities) for one in holdings)
    return Achievement({"places": len(holdings), "holdings": n_assets}, content_hash)


def _read(place: Workplace, run_id: str) -> list[PlaceHoldings]:
    """Return what the accounts held that this close has read through the adapters."""
    order = order_of(run_id)
    if not order.market.startswith(CONNECTIONS):
        return []
    archive = Archive(place.store)
    found = {
        name: archive.find(order.business_date, name) for name in connected_sources(place.settings)
    }
    return read_holdings({name: one for name, one in found.items() if one is not None})
