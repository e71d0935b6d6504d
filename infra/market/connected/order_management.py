"""Order management's book of a date: rows of source ``oms`` beside those of the venues."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime

import pandas as pd

from infra.connections import AccountConnection
from infra.oms import OmsPosition


def covers(
    accounts: Collection[AccountConnection], named: Collection[str], venues: Collection[str]
) -> bool:
    """Return whether order management trades at every client's account of a venue.

    Where it does not, its silence about an account is no word on it, and its book cannot be held
    against the venues' whole.
    """
    clients = {
        each.account_id
        for each in accounts
        if each.role == "client" and each.place.partition("/")[0] in venues
    }
    return not named or clients <= set(named)


def oms_rows(
    held: Sequence[OmsPosition],
    accounts: Collection[AccountConnection],
    own: pd.DataFrame,
    marks: pd.DataFrame,
    *,
    business_date: date,
    close: datetime,
) -> pd.DataFrame:
    """Return rows of contract ``positions`` with source ``oms``, for clients' accounts.

    A position was last settled at the price that its venue says, else at the mark; one that has
    neither has no price and is kept out by the contract, which holds its netting set.
    """
    by_account = {each.account_id: each for each in accounts if each.role == "client"}
    settled = {
        (str(account), str(name)): float(settled_price)
        for account, name, settled_price in zip(
            own["account_id"], own["instrument_id"], own["settled_price"], strict=True
        )
    }
    marked = dict(zip(marks["instrument_id"].astype(str), marks["mark_price"], strict=True))
    rows = []
    for one in held:
        account = by_account.get(one.account_id)
        if account is None:
            continue
        mark = float(marked.get(one.instrument_id, float("nan")))
        rows.append(
            {
                "business_date": pd.Timestamp(business_date), "source": "oms",
                "account_id": one.account_id, "instrument_id": one.instrument_id,
                "client_id": account.client_id, "netting_set_id": account.netting_set_id,
                "venue": account.place.partition("/")[0], "quantity": float(one.quantity),
                "settled_price": settled.get((one.account_id, one.instrument_id), mark),
                "observed_utc": pd.Timestamp(close),
            }
        )  # fmt: skip
    found = pd.DataFrame(rows, columns=list(own.columns))
    found["observed_utc"] = pd.to_datetime(found["observed_utc"], utc=True)
    typed: pd.DataFrame = found.astype(own.dtypes.to_dict())
    return typed
