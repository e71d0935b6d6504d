"""The parts of a live book put together, whether it is opened or loaded."""

from __future__ import annotations

from engine.intraday.bookkeeping import Bookkeeping
from engine.intraday.exact import Standing, fresh_of, tail_sizes, terms_of
from engine.intraday.holdings import Holdings
from engine.intraday.lasting import Lasting
from engine.intraday.layout import Layout
from engine.intraday.live_market import LiveMarket
from engine.intraday.reported import all_pledges
from engine.intraday.running import Running
from engine.intraday.state import State, restore_trust
from engine.intraday.trust import Trust
from engine.rules import RuleBook
from engine.snapshot import LastFresh


def assembled(
    market: LiveMarket,
    holdings: Holdings,
    layout: Layout,
    terms_in_force: tuple[RuleBook, LastFresh | None],
    state: State | None = None,
) -> tuple[Bookkeeping, Standing]:
    """Return what is held, and what requirements are put together from."""
    rules, last_fresh = terms_in_force
    names, fresh = holdings.netting_sets.texts, last_fresh or LastFresh()
    terms = terms_of(names, rules, market.prepared)
    trust = Trust(len(names), rules.house.degraded)
    if state is not None:
        restore_trust(trust, state)
    book = Bookkeeping(
        market=market,
        holdings=holdings,
        layout=layout,
        trust=trust,
        pledges=all_pledges(holdings, trust, rules, market.prepared.assets),
        lasting=Lasting.of(market.prepared, names, terms),
    )
    standing = Standing(
        terms=terms,
        layout=layout,
        running=Running(
            market,
            layout,
            tail_sizes(terms.confidence, market.prepared.scenarios.n_historical),
        ),
        rules=rules,
        last_fresh=fresh,
        business_date=market.business_date,
        fresh=fresh_of(fresh, names, rules.house.hold, market.business_date),
    )
    return book, standing
