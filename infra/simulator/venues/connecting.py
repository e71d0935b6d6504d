"""Write the files by which an installation finds a town: connections, and guarded secrets."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

CONNECTIONS: Final = "connections.toml"
_HEADER: Final = "# Written for a simulated town, whose addresses change with every start.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class TownAccount:
    """A place of the town, and whose it is on the platform."""

    place: str
    account_id: str
    client_id: str
    netting_set_id: str
    role: Literal["client", "house", "payer"] = "client"


def connect_home(
    home: Path, told: Mapping[str, Any], accounts: Sequence[TownAccount]
) -> dict[str, str]:
    """Write ``connections.toml`` and a secret file each, mode 0600, below ``home``.

    Parameters
    ----------
    told : mapping
        ``VenueTown.describe()``.
    accounts : sequence of TownAccount
        Places that the platform looks after.

    Returns
    -------
    dict of str to str
        Environment variables that name the secret files; no secret is among them.

    Raises
    ------
    FileExistsError
        If the home is connected already, and not to a town.
    """
    path = home / CONNECTIONS
    if path.exists() and not _is_of_a_town(path):
        raise FileExistsError(f"{path} connects this home to venues of its own")
    secrets = _secrets(told)
    folder = home / "town-secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    environment = {}
    for name, value in secrets.items():
        guarded = folder / name.lower()
        guarded.unlink(missing_ok=True)
        descriptor = os.open(guarded, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(value)
        environment[f"PLIMSOLL_SECRET_{name}_FILE"] = str(guarded)
    path.write_text(_document(told, accounts), encoding="utf-8")
    return environment


def disconnect_home(home: Path) -> None:
    """Remove what ``connect_home`` wrote: the addresses of a town end with it."""
    path = home / CONNECTIONS
    if path.exists() and _is_of_a_town(path):
        path.unlink()
    shutil.rmtree(home / "town-secrets", ignore_errors=True)


def _is_of_a_town(path: Path) -> bool:
    return path.read_text(encoding="utf-8").startswith(_HEADER)


def _secrets(told: Mapping[str, Any]) -> dict[str, str]:
    secrets: dict[str, str] = {}
    if "deribit" in told:
        first = told["deribit"]["credentials"][0]
        secrets["DERIBIT_MAIN_KEY"] = first["client_id"]
        secrets["DERIBIT_MAIN_SECRET"] = first["client_secret"]
    for one in told.get("binance", {}).get("credentials", ()):
        name = f"BINANCE_{one['account'].upper()}"
        secrets[f"{name}_KEY"], secrets[f"{name}_SECRET"] = one["api_key"], one["api_secret"]
    for one in told.get("okx", {}).get("credentials", ()):
        name = f"OKX_{one['account'].upper()}"
        secrets[f"{name}_KEY"], secrets[f"{name}_SECRET"] = one["api_key"], one["api_secret"]
        secrets[f"{name}_PASSPHRASE"] = one["passphrase"]
    for one in told.get("fireblocks", {}).get("credentials", ()):
        name = f"FIREBLOCKS_{one['account'].upper()}"
        secrets[f"{name}_KEY"], secrets[f"{name}_SECRET"] = one["api_key"], one["api_secret"]
    return secrets


def _document(told: Mapping[str, Any], accounts: Sequence[TownAccount]) -> str:
    parts = [_HEADER + 'network = "sim"\n']
    if "deribit" in told:
        rest = told["deribit"]["address"]
        parts.append(
            _table(
                "[deribit]", rest=rest, stream=f"{_socket(rest)}/ws/api/v2",
                credential="DERIBIT_MAIN", main_account=told["deribit"]["main_account"],
            )
        )  # fmt: skip
    if "binance" in told:
        parts += _binance(told["binance"])
    if "fireblocks" in told:
        rest = told["fireblocks"]["address"]
        parts.append(_table("[fireblocks]", rest=rest, keys=rest, credential="FIREBLOCKS_API"))
    if "okx" in told:
        parts += _okx(told["okx"])
    if "desk" in told:
        named = {one.place: one.account_id for one in accounts}
        names = {
            theirs: named[place]
            for place, theirs in told["desk"]["accounts"].items()
            if place in named
        }
        parts.append(_table("[oms]", name="desk", folder=told["desk"]["folder"]))
        parts.append(_table("[oms.accounts]", **names))
    parts += [
        _table(
            "[[account]]", place=one.place, account_id=one.account_id, client_id=one.client_id,
            netting_set_id=one.netting_set_id, role=one.role,
        )
        for one in accounts
    ]  # fmt: skip
    return "\n".join(parts)


def _binance(told: Mapping[str, Any]) -> list[str]:
    rest, main = told["address"], told["main_account"]
    master = f"BINANCE_{main.upper()}"
    parts = [_table("[binance]", futures=rest, wallet=rest, stream=_socket(rest), master=master)]
    for one in told["credentials"]:
        email = "" if one["account"] == main else one["email"]
        parts.append(
            _table(
                "[[binance.wallets]]", name=one["account"],
                credential=f"BINANCE_{one['account'].upper()}", email=email,
            )
        )  # fmt: skip
    return parts


def _okx(told: Mapping[str, Any]) -> list[str]:
    rest, main = told["address"], told["main_account"]
    # The simulated venue carries out a clientId at most once.
    head = _table("[okx]", rest=rest, stream=f"{_socket(rest)}/ws/v5")
    parts = [f"{head}is_client_id_once = true\n"]
    for one in told["credentials"]:
        sub_account = "" if one["account"] == main else one["account"]
        credential = f"OKX_{one['account'].upper()}"
        wallets = {one["account"]: "trading", f"{one['account']}-funding": "funding"}
        parts += [
            _table(
                "[[okx.wallets]]", name=name, credential=credential, sub_account=sub_account,
                wallet=wallet,
            )
            for name, wallet in wallets.items()
        ]  # fmt: skip
    return parts


def _socket(address: str) -> str:
    return address.replace("http", "ws", 1)


def _table(head: str, **values: str) -> str:
    # JSON texts are TOML texts.
    lines = (f"{name} = {json.dumps(value)}" for name, value in values.items())
    return "\n".join([head, *lines, ""])
