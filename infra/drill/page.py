"""A drill as one self-contained page: what happened, in charts and tables; no script."""

from __future__ import annotations

from datetime import datetime
from html import escape
from pathlib import Path
from typing import Final

from infra.drill.charts import Chart, Line, Mark, svg_of
from infra.drill.clients import DrillClient
from infra.drill.story import Played, acts_of
from infra.drill.tables import (
    Table,
    books_line,
    headline,
    scale_line,
    tables_of,
)

_STYLES: Final = ("s1", "s2", "s3", "s4", "s5")
_STYLE: Final = """
:root{color-scheme:light dark;--paper:#fbfbf9;--ink:#1b1e23;--soft:#5f6670;--rule:#d9dbd6;
--shade:#c9a22733;--c1:#0b62a8;--c2:#c2570c;--c3:#11794f;--c4:#8a3a8f;--c5:#6b6f76;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#e7e9ec;--soft:#9aa3ad;
--rule:#2f353c;--shade:#e0b93b2e;--c1:#64b0f2;--c2:#f3995a;--c3:#55c794;--c4:#d48bdb;--c5:#a4abb3;
--bad:#ff8a80}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:25px;margin:0 0 4px}h2{font-size:18px;margin:34px 0 8px}
p{margin:6px 0;max-width:78ch}.soft,.note{color:var(--soft)}.note{font-size:13px}
.lead{font-size:17px}ul{margin:6px 0;padding-left:20px}
figure{margin:14px 0 4px}figcaption{font-size:14px}.keys span{margin-left:14px;color:var(--soft)}
.keys i{display:inline-block;width:18px;height:0;border-top:3px solid;margin-right:5px;
vertical-align:middle}
svg{width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
path{fill:none;stroke-width:1.8}.grid{stroke:var(--rule)}.level{stroke:var(--soft);
stroke-dasharray:4 3}.shade{fill:var(--shade)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:6px 22px}
path.s1{stroke:var(--c1)}i.s1{color:var(--c1)}path.s2{stroke:var(--c2)}i.s2{color:var(--c2)}
path.s3{stroke:var(--c3)}i.s3{color:var(--c3)}path.s4{stroke:var(--c4)}i.s4{color:var(--c4)}
path.s5{stroke:var(--c5)}i.s5{color:var(--c5)}path.with{stroke:var(--c1)}i.with{color:var(--c1)}
path.without{stroke:var(--c2);stroke-dasharray:6 3}i.without{color:var(--c2);
border-top-style:dashed}
circle.call{fill:var(--paper);stroke:var(--c1);stroke-width:2}circle.credit{fill:var(--c1)}
circle.hit{fill:var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:13.5px;
font-variant-numeric:tabular-nums;min-width:60%}
th,td{padding:4px 10px;border-bottom:1px solid var(--rule);text-align:left;white-space:nowrap}
th{font-weight:600;white-space:normal;vertical-align:bottom}th.r,td.r{text-align:right}
td.w{white-space:normal;min-width:26ch}
@media print{body{background:#fff}h2{break-after:avoid}figure,tr{break-inside:avoid}}
"""


def write_page(played: Played, path: Path) -> Path:
    """Write the page and return where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page_of(played), encoding="utf-8")
    return path


def page_of(played: Played) -> str:
    """Return the page of a drill."""
    day = played.day
    first, *rest = tables_of(played)
    planted = "".join(f"<li>{escape(one)}</li>" for one in _assumed(played))
    window = f"{day.begins_at:%Y-%m-%d %H:%M} to {day.ends_at:%Y-%m-%d %H:%M} UTC"
    body = [
        f"<h1>{escape(day.title)}</h1><p class=soft>{window}; {escape(played.source)}</p>",
        f"<p class=lead>{escape(headline(played))}</p><p>{escape(books_line(played))}</p>",
        _table(first),
        "<h2>How close the venues came to liquidating</h2><p class=note>What each account has "
        "above its venue's maintenance margin. Open rings are calls, full ones arrivals of "
        "collateral, red ones the first liquidation without Plimsoll.</p><div class=pair>",
        *(svg_of(_cushion(played, client)) for client in played.clients),
        "</div><h2>The day</h2>",
        svg_of(_prices(played)),
        svg_of(_pegs(played)),
        svg_of(_utilisation(played)),
        svg_of(_moved(played)),
        *(_table(one) for one in rest),
        f"<h2>What was assumed</h2><ul>{planted}</ul>",
        f"<p class=note>{escape(scale_line(played))}</p>",
    ]
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(day.title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _assumed(played: Played) -> list[str]:
    day, found = played.day, []
    if day.outage is not None:
        found.append(
            f"{day.outage.venue} is gone from {day.outage.begins_at:%H:%M} to "
            f"{day.outage.ends_at:%H:%M} UTC (planted): connections are cut and refused, its own "
            "matching and liquidation go on"
        )
    found += [one.says for one in day.depegs]
    found += [f"{one.netting_set_id}: {one.says}" for one in played.clients]
    found.append(
        "clients begin the day with an unsecured allowance that leaves 95 % of it and their "
        "collateral used; without Plimsoll the same accounts do nothing"
    )
    found.append(
        "between the points of a bar (open, the two extremes, close) prices move evenly; venues "
        "fill at their marks, half a percent worse in a liquidation, whatever the size"
    )
    found.append("an account has its positions at one venue: margin is not moved between venues")
    return found


def _shaded(played: Played) -> list[tuple[datetime, datetime, str]]:
    outage = played.day.outage
    if outage is None:
        return []
    return [(outage.begins_at, outage.ends_at, f"{outage.venue} gone")]


def _at(played: Played) -> list[datetime]:
    return [one.at for one in played.samples]


def _cushion(played: Played, client: DrillClient) -> Chart:
    name = client.netting_set_id
    aided = [one.aided[name].above for one in played.samples]
    unaided = [one.unaided[name].above for one in played.samples]
    at = _at(played)

    def near(instant: datetime, values: list[float]) -> float:
        k = min(range(len(at)), key=lambda k: abs((at[k] - instant).total_seconds()))
        return values[k]

    marks = [
        Mark(one.issued_at, near(one.issued_at, aided), "call", f"call of {one.amount:,.0f}")
        for one in played.calls
        if one.netting_set_id == name
    ]
    marks += [
        Mark(one.credited_at, near(one.credited_at, aided), "credit",
             f"{one.quantity:,.4f} {one.asset} arrived")
        for one in played.moves
        if one.netting_set_id == name and one.credited_at is not None
    ]  # fmt: skip
    hits = [one.at for one in acts_of(client, played.liquidated_unaided)]
    if hits:
        marks.append(Mark(hits[0], near(hits[0], unaided), "hit", "liquidated without Plimsoll"))
    return Chart(
        title=f"{name}, {client.venue}",
        unit="$",
        at=at,
        lines=[
            Line("without Plimsoll", "without", unaided), Line("with", "with", aided),
        ],
        shaded=_shaded(played),
        marks=marks,
        level=(0.0, "liquidation"),
        height=220,
        width=560,
        says=client.says,
    )  # fmt: skip


def _prices(played: Played) -> Chart:
    start = played.samples[0].prices
    lines = [
        Line(asset, style, [one.prices[asset] / start[asset] - 1.0 for one in played.samples])
        for asset, style in zip(sorted(start), _STYLES, strict=False)
    ]
    return Chart(
        title="Prices, from the beginning", unit="%", at=_at(played), lines=lines,
        shaded=_shaded(played),
    )  # fmt: skip


def _pegs(played: Played) -> Chart:
    names = sorted(played.samples[0].pegs)
    lines = [
        Line(name.replace("@", " at "), style, [one.pegs[name] for one in played.samples])
        for name, style in zip(names, _STYLES, strict=False)
    ]
    return Chart(
        title="Stablecoins in dollars", unit="", at=_at(played), lines=lines, height=170,
        shaded=_shaded(played),
    )  # fmt: skip


def _utilisation(played: Played) -> Chart:
    lines = [
        Line(one.netting_set_id, style, [s.utilisation[one.netting_set_id] for s in played.samples])
        for one, style in zip(played.clients, _STYLES, strict=False)
    ]
    return Chart(
        title="Utilisation by netting set, as the loop decides on it", unit="%", at=_at(played),
        lines=lines, shaded=_shaded(played), level=(1.0, "a call from here"), height=260,
    )  # fmt: skip


def _moved(played: Played) -> Chart:
    at = _at(played)
    lines = []
    for client, style in zip(played.clients, _STYLES, strict=False):
        mine = [
            (one.credited_at, float(one.quantity) * _price(played, one.asset))
            for one in played.moves
            if one.netting_set_id == client.netting_set_id and one.credited_at is not None
        ]
        if mine:
            values = [sum(worth for when, worth in mine if when <= instant) for instant in at]
            lines.append(Line(client.netting_set_id, style, values, is_stepped=True))
    return Chart(
        title="Collateral that has arrived", unit="$", at=at, shaded=_shaded(played), height=190,
        lines=lines or [Line("none", "s5", [0.0] * len(at))],
    )  # fmt: skip


def _price(played: Played, asset: str) -> float:
    last = played.samples[-1]
    return last.prices.get(asset, last.pegs.get(asset, 1.0))


def _table(table: Table) -> str:
    head = "".join(
        f'<th class="{"r" if name in table.right else ""}" scope=col>{escape(name)}</th>'
        for name in table.columns
    )
    rows = "".join(f"<tr>{_cells(table, row)}</tr>" for row in table.rows)
    if not table.rows:
        rows = f"<tr><td colspan={len(table.columns)}>none</td></tr>"
    return (
        f"<h2>{escape(table.title)}</h2><div class=scroll><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div><p class=note>{escape(table.note)}</p>"
    )


def _cells(table: Table, row: object) -> str:
    found = []
    for name, value in zip(table.columns, row, strict=True):  # type: ignore[call-overload]
        style = "r" if name in table.right else "w" if len(value) > 60 else ""
        found.append(f'<td class="{style}">{escape(value)}</td>')
    return "".join(found)
