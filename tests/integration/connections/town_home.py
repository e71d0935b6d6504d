"""A home that is connected to a town: its connections file and its guarded secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.simulator.venues.core.town import VenueTown

ACCOUNTS = {
    "deribit/1001": ("house-deribit", "house", "house"),
    "deribit/1002": ("larch-deribit", "larch", "larch-1"),
    "binance/main": ("house-binance", "house", "house"),
    "binance/alpha": ("larch-binance", "larch", "larch-1"),
}


def write_home(home: Path, town: VenueTown) -> dict[str, str]:
    """Write ``connections.toml`` and secret files; return the environment that finds them."""
    told: Any = town.describe()
    home.mkdir(parents=True, exist_ok=True)
    deribit, binance = told["deribit"], told["binance"]
    by_name = {one["account"]: one for one in binance["credentials"]}
    secrets = {
        "DERIBIT_MAIN_KEY": deribit["credentials"][0]["client_id"],
        "DERIBIT_MAIN_SECRET": deribit["credentials"][0]["client_secret"],
    }
    for name in ("main", "alpha"):
        secrets[f"BINANCE_{name.upper()}_KEY"] = by_name[name]["api_key"]
        secrets[f"BINANCE_{name.upper()}_SECRET"] = by_name[name]["api_secret"]
    (home / "connections.toml").write_text(document(town), encoding="utf-8")
    return {f"PLIMSOLL_SECRET_{name}": value for name, value in secrets.items()}


def document(town: VenueTown) -> str:
    told: Any = town.describe()
    deribit, binance = town.address("deribit"), town.address("binance")
    email = {one["account"]: one["email"] for one in told["binance"]["credentials"]}["alpha"]
    accounts = "\n".join(
        f'[[account]]\nplace = "{place}"\naccount_id = "{account}"\nclient_id = "{client}"\n'
        f'netting_set_id = "{netting_set}"\n'
        for place, (account, client, netting_set) in ACCOUNTS.items()
    )
    return f"""network = "sim"

[deribit]
rest = "{deribit}"
stream = "{deribit.replace("http", "ws")}/ws/api/v2"
credential = "DERIBIT_MAIN"
main_account = "1001"

[binance]
futures = "{binance}"
wallet = "{binance}"
stream = "{binance.replace("http", "ws")}"
master = "BINANCE_MAIN"

[[binance.wallets]]
name = "main"
credential = "BINANCE_MAIN"

[[binance.wallets]]
name = "alpha"
credential = "BINANCE_ALPHA"
email = "{email}"

{accounts}"""
