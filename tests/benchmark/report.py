"""Tables of the README, written from the figures that the last runs left behind.

``python -m tests.benchmark --write-readme`` keeps those figures in ``measured.json`` and writes
both READMEs from it; a test holds them equal, so that no figure is edited by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.benchmark import aggregation, end_of_day, intraday, latency, pricing, venue_models
from tests.benchmark.measure import FOLDER

HERE = Path(__file__).parent
MEASURED = HERE / "measured.json"
READMES = {"all tables": HERE / "README.md", "in short": HERE.parent.parent / "README.md"}
NAMES = ("pricing", "aggregation", "end_of_day", "growth", "whole_close", "venue_models")
# Of the loop; without a full run of theirs they have no table.
LOOP_NAMES = ("latency", "intraday")
# Wall times of several threads mean nothing while others want the cores.
QUIET_LOAD_MAX = 1.5
# Seconds from which a stage has a row.
_SHOWN_FROM = 0.001
_BEGIN, _END = "<!-- measured: begin ({}) -->", "<!-- measured: end -->"

Figures = dict[str, dict[str, Any]]


def keep_figures() -> None:
    """Copy the figures of the last runs into ``measured.json``, six digits each."""
    kept = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    for name in (*NAMES, *LOOP_NAMES):
        path = FOLDER / f"{name}.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        # A brief run has too few samples for its tails.
        if found and not found.get("is_brief"):
            kept[name] = _rounded(found)
    MEASURED.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def write_tables() -> None:
    """Write both READMEs from ``measured.json``."""
    for part, path in READMES.items():
        path.write_text(with_tables(path.read_text(encoding="utf-8"), part), encoding="utf-8")


def with_tables(text: str, part: str) -> str:
    """Return the text of a README with its measured part renewed."""
    begin = _BEGIN.format(part)
    before, rest = text.split(begin)
    after = rest.split(_END, 1)[1]
    figures: Figures = json.loads(MEASURED.read_text(encoding="utf-8"))
    body = "\n\n".join(_PARTS[part](figures))
    return f"{before}{begin}\n\n{body}\n\n{_END}{after}"


def _all_tables(figures: Figures) -> Iterable[str]:
    yield _taken_on(figures)
    yield _pricing(figures["pricing"])
    yield _books(figures["aggregation"], "100,000 books, one core", aggregation.ENGINE)
    yield _books(figures["end_of_day"], "core of a close, one core", end_of_day.ENGINE)
    yield _growth(figures["growth"])
    yield _whole_close(figures["whole_close"]["by_size"])
    yield _venue_models(figures["venue_models"])
    yield from _loop(figures)


def _loop(figures: Figures) -> Iterable[str]:
    if "latency" in figures:
        found = figures["latency"]
        yield f"The loop, load {found['machine']['load']:.1f} before it began:"
        yield _table(*latency.latencies(found))
        yield _table(*latency.hops(found))
        yield latency.memory(found)
    if "intraday" in figures:
        for columns, rows in intraday.tables(figures["intraday"]):
            yield _table(columns, rows)


def _in_short(figures: Figures) -> Iterable[str]:
    yield _taken_on(figures)
    rates, limit = figures["pricing"]["prices_per_second"], _bound_rate(figures["pricing"])
    engine = rates[pricing.ENGINE]
    share = f"{engine / limit:.0%}" if limit else ""
    rows = [("**Black-76, engine**", f"{engine / 1e6:.0f} million prices/s", share)]
    rows += [
        (f"Black-76, {name}", f"{engine / rates[name]:.3g} ×", "")
        for name in (pricing.C, pricing.SVML, pricing.BLOCKED, pricing.QUANTLIB, pricing.VOLLIB)
        if name in rates
    ]
    rows += _books_in_short(
        figures["aggregation"], "100,000 books × 30 × 1,000 scenarios", aggregation.ENGINE,
        (aggregation.C, aggregation.MKL, aggregation.BLOCKED, aggregation.ONE_SHOT),
    )  # fmt: skip
    rows += _books_in_short(
        figures["end_of_day"], "both together", end_of_day.ENGINE,
        (end_of_day.C, end_of_day.BLOCKED, end_of_day.ONE_SHOT),
    )  # fmt: skip
    columns = ("one core", "engine: rate or time; peers: time over the engine's", "of the bound")
    yield _table(columns, rows)
    sizes = figures["whole_close"]["by_size"]
    each = ", ".join(f"{f['processor']:.2g} s for {int(n):,}" for n, f in sizes.items())
    if "latency" in figures:
        yield _table(*latency.latencies(figures["latency"]))
    yield (
        "A whole assessment (reconciliation, margin, collateral, calls, settlement, explanation) "
        f"in one process takes {each} netting sets of 30 positions."
    )


def _books_in_short(
    figures: dict[str, Any], title: str, base: str, peers: tuple[str, ...]
) -> list[tuple[str, ...]]:
    seconds, best = figures["seconds"], figures["bound_seconds"]
    own = seconds[base]["processor"]
    rows = [(f"**{title}, engine**", f"{own:.2f} s", f"{best / own:.0%}" if best else "")]
    return rows + [
        (f"{title}, {name}", f"{seconds[name]['processor'] / own:.2g} ×", "")
        for name in peers
        if name in seconds
    ]


_PARTS: dict[str, Callable[[Figures], Iterable[str]]] = {
    "all tables": _all_tables,
    "in short": _in_short,
}


def _taken_on(figures: Figures) -> str:
    machines = [figures[name]["machine"] for name in NAMES]
    first, loads = machines[0], [each["load"] for each in machines]
    days = sorted({each["date"] for each in machines})
    return (
        f"{' and '.join(days)}, {first['cores']} cores of an {first['processor']}, Python "
        f"{first['python']}, numpy {first['numpy']}, scipy {first['scipy']}, numba "
        f"{first['numba']}, QuantLib {first['QuantLib']}, {first['compiler'] or 'no C compiler'}, "
        f"{first['mkl'] or 'no MKL'}. Load before each benchmark began: "
        f"{min(loads):.1f} to {max(loads):.1f}."
    )


def _bound_rate(figures: dict[str, Any]) -> float | None:
    best: float | None = min(figures["bound_prices_per_second"].values(), default=None)
    return best


def _pricing(figures: dict[str, Any]) -> str:
    rates, limit = figures["prices_per_second"], _bound_rate(figures)
    rows = [
        (name, f"{rate / 1e6:,.0f}", "", "100 %" if rate == limit else "", "")
        for name, rate in figures["bound_prices_per_second"].items()
    ]
    for name, rate in rates.items():
        ratio = "" if name == pricing.ENGINE else f"{rates[pricing.ENGINE] / rate:,.3g} ×"
        share = f"{rate / limit:.0%}" if limit else ""
        error = f"{figures['error_max'][name]:.1e}"
        rows.append((name, f"{rate / 1e6:,.3g}", ratio, share, error))
    rows += [(name, f"missing: {why}", "", "", "") for name, why in figures["missing"].items()]
    columns = ("Black-76", "million prices/s", "engine is", "of the bound", "error / max(F, K)")
    return _table(columns, rows)


def _books(figures: dict[str, Any], title: str, base: str) -> str:
    seconds, best, memory = (figures[k] for k in ("seconds", "bound_seconds", "memory_mib"))
    rows = [] if not best else [(" + ".join(figures["bounds"]), f"{best:.3f}", "", "100 %", "")]
    for name, taken in seconds.items():
        ratio = taken["processor"] / seconds[base]["processor"]
        rows.append((
            name, f"{taken['processor']:.3f}", "" if name == base else f"{ratio:.2g} ×",
            f"{best / taken['processor']:.0%}" if best else "",
            f"{memory[name]['added']:,.0f}" if name in memory else "",
        ))  # fmt: skip
    rows += [(name, f"missing: {why}", "", "", "") for name, why in figures["missing"].items()]
    return _table((title, "processor s", "engine is", "of the bound", "MiB added"), rows)


def _growth(figures: dict[str, Any]) -> str:
    rows = []
    is_quiet = figures["machine"]["load"] < QUIET_LOAD_MAX
    for n_sets, by_threads in figures["by_size_and_threads"].items():
        one, two = by_threads["1"], by_threads["2"]
        rows.append((
            f"{int(n_sets):,}", f"{one['processor']:.3f}",
            f"{one['processor'] / int(n_sets) * 1e6:.1f}",
            f"{two['wall']:.3f}" if is_quiet else "not on a busy machine",
            f"{one['memory_added_mib']:,.0f}", f"{one['memory_peak_mib']:,.0f}",
        ))  # fmt: skip
    columns = ("netting sets, shortfall alone", "processor s", "µs each", "two threads, wall s",
               "MiB added", "MiB in all")  # fmt: skip
    return _table(columns, rows)


def _whole_close(sizes: dict[str, Any]) -> str:
    largest = list(sizes.values())[-1]["stages"]
    rows = [
        (stage, *(f"{figures['stages'].get(stage, 0.0):.3f}" for figures in sizes.values()))
        for stage in sorted(largest, key=lambda stage: -largest[stage])
        if largest[stage] > _SHOWN_FROM
    ]
    rows.append(("**whole**", *(f"**{f['processor']:.2f}**" for f in sizes.values())))
    each = (f"{f['processor'] / int(n) * 1e6:.0f}" for n, f in sizes.items())
    rows.append(("µs a netting set", *each))
    rows.append(("positions", *(f"{f['n_positions']:,}" for f in sizes.values())))
    rows.append(
        ("MiB of inputs, in all", *(f"{f['memory_inputs_mib']:,.0f}" for f in sizes.values()))
    )
    rows.append(("MiB added", *(f"{f['memory_added_mib']:,.0f}" for f in sizes.values())))
    heads = (f"{int(n):,} netting sets" for n in sizes)
    return _table(("`engine.assess.assess`, processor s", *heads), rows)


def _venue_models(figures: dict[str, Any]) -> str:
    rows = []
    for engine, peer in venue_models.PAIRS:
        base, other = (figures["seconds"][name]["processor"] for name in (engine, peer))
        best = figures["bound_seconds"].get(engine)
        share = f"{best / base:.1%}" if best else ""
        difference = f"{figures['largest_difference'][engine]:.1e}"
        rows.append((engine, f"{base * 1e3:.2f}", "", share, difference))
        rows.append((peer, f"{other * 1e3:.2f}", f"{other / base:.2g} ×", "", ""))
    title = "1,000 accounts × 30 positions × 35 cells; 100,000 tiered positions"
    return _table((title, "processor ms", "engine is", "of the bound", "difference / mean"), rows)


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value
