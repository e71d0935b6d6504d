"""Forms that ask: a what-if beside a netting set, and a stress day for the whole book."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse

from engine.errors import ContractViolation, ParameterError
from engine.money import MONEY_CONTEXT
from infra.web.pages.frame import page, part
from infra.web.services import Question, StressQuestion
from infra.web.state import form_of, web_of

if TYPE_CHECKING:
    from collections.abc import Mapping

router = APIRouter(include_in_schema=False)
_LINES_MAX: Final = 20
_SHOCK: Final = re.compile(
    r"\s*([A-Za-z0-9]{1,20})\s*[:=]?\s*([+\-−]?[0-9]{1,3}(?:\.[0-9]{1,4})?)\s*%?\s*"
)
_ROWS_SHOWN: Final = 100


@router.post("/netting-sets/{netting_set_id}/whatif")
def what_if(request: Request, netting_set_id: Annotated[str, Path(max_length=200)]) -> HTMLResponse:
    """Answer what the lines of the form would do, beside the form."""
    web = web_of(request)
    lines = [line.strip() for line in form_of(request).get("lines", "").splitlines()]
    wanted = [line for line in lines if line]
    if not wanted:
        raise ContractViolation("nothing is asked: write an order or a transfer, one a line")
    if len(wanted) > _LINES_MAX:
        raise ContractViolation(f"{len(wanted)} lines, limit {_LINES_MAX}; the API takes more")
    orders = [line for line in wanted if line.lower().startswith(("buy ", "sell "))]
    question = Question(
        netting_set_id=netting_set_id,
        orders=tuple(orders),
        transfers=tuple(line for line in wanted if line not in orders),
    )
    with web.bench.place("what-if"):
        answer = web.services.what_if(question)
    after = answer["candidates"][0]
    excess = [excess_of(answer["before"]), excess_of(after)]
    return part(request, "parts/whatif.html", answer=answer, after=after, excess=excess)


@router.get("/stress")
def stress_form(request: Request) -> HTMLResponse:
    """Return the stress days that can be chosen."""
    return page(request, "stress.html", **_form(request, {}), answer=None)


@router.post("/stress")
def stress(request: Request) -> HTMLResponse:
    """Return what a day would take from each netting set, and the calls it would make."""
    web, form = web_of(request), form_of(request)
    question = question_of(form)
    with web.bench.place("stress"):
        answer = web.services.stress(question)
    return page(request, "stress.html", **_form(request, form), answer=answer, n_shown=_ROWS_SHOWN)


def question_of(form: Mapping[str, str]) -> StressQuestion:
    """Return the question of the form: a library day, a day of the history, or own moves."""
    kind = form.get("kind", "library")
    if kind == "library":
        return StressQuestion(library=form.get("library", ""))
    if kind == "day":
        try:
            return StressQuestion(day=date.fromisoformat(form.get("day", "")))
        except ValueError as error:
            raise ParameterError(
                f"day {form.get('day', '')[:20]!r}, limit: a date such as 2022-11-09",
                identifier="day",
            ) from error
    return StressQuestion(
        index=shocks_of(form.get("index", ""), "price moves"),
        peg=shocks_of(form.get("peg", ""), "moves of stablecoins"),
        volatility=_percent(form.get("volatility", "") or "0", "volatility"),
        basis=_percent(form.get("basis", "") or "0", "basis"),
    )


def excess_of(figures: Mapping[str, Any]) -> Decimal | None:
    """Return exact collateral less what is owed; None where either is unknown."""
    owed = figures.get("owed_amount") or figures.get("requirement_amount")
    held = figures.get("collateral_amount")
    if owed is None or held is None:
        return None
    return MONEY_CONTEXT.subtract(Decimal(held), Decimal(owed))


def shocks_of(text: str, what: str) -> dict[str, float]:
    """Return moves as they are typed, ``BTC -30, ETH -35, others -40``, as fractions."""
    found: dict[str, float] = {}
    for piece in re.split(r"[,;\n]", text):
        if not piece.strip():
            continue
        match = _SHOCK.fullmatch(piece)
        if match is None:
            raise ParameterError(
                f"{what}: {piece.strip()[:40]!r}, limit: an asset and percent, such as BTC -30",
                identifier=what,
                value=piece.strip()[:40],
            )
        name = match[1]
        key = "default" if name.lower() in ("others", "default", "rest") else name.upper()
        found[key] = _percent(match[2], f"{what}: {name}")
    return found


def _percent(text: str, what: str) -> float:
    try:
        value = float(text.replace("\N{MINUS SIGN}", "-").strip().rstrip("%")) / 100.0
    except ValueError:
        value = float("nan")
    if not -0.99 <= value <= 10.0:
        raise ParameterError(
            f"{what} {text[:20]!r}, limit: percent from -99 to 1000",
            identifier=what,
            value=text[:20],
        )
    return value


def _form(request: Request, form: Mapping[str, str]) -> dict[str, Any]:
    services = web_of(request).services
    return {"library": services.stress_library(), "form": dict(form)}
