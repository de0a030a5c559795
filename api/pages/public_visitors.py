"""What everybody may read of visitors: the confirmed days of the spots that the tourism office has made public.

A page of a month and of the months of its year, a CSV file and JSON; no account, no cookie, no script.
`analytics.visitors.checks.published` says what leaves: nothing that is not confirmed, no small numbers; the months and
the year are sums of what leaves (`reports.public_totals`). Any cache may keep an answer for half a minute.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from alerts.wording import marks
from analytics.visitors.checks.published import PublishedSpot, days_between, published
from analytics.visitors.day_types import day_type
from analytics.visitors.reports import kept
from analytics.visitors.reports.periods import days_of, months, year_of
from analytics.visitors.reports.public_totals import PublicTotal, month_totals, together
from api.access import PUBLIC, Router, access
from api.errors import BadRequest, Text
from api.language import Language
from api.pages import formats
from api.pages.daily_counts import month_range
from api.pages.public import OPEN
from api.pages.public_field import language_asked, open_page, state_of, town_of
from api.pages.site import site
from api.pages.words import Words

router = Router()

LONGEST = timedelta(days=800)
_USUAL = timedelta(days=399)


@router.get("/public/{municipality}/visitors")
@access(PUBLIC)
def visitors_page(request: Request, municipality: str) -> Response:
    """The confirmed days of a month; without ?month of the last one that has any."""
    town, publisher, now = town_of(request, municipality)
    words = _words(language_asked(request))
    today = now.astimezone(publisher.zone).date()
    wanted = request.query_params.get("month")
    with state_of(request).database.transaction(town) as conn:
        kind = kept.settings(conn, town).year_kind
        if wanted is None:
            newest = days_between(published(conn, town, today - _USUAL, today, relation="tenant_observation"))
            wanted = f"{newest[0]:%Y-%m}" if newest else None
        shown = month_range(wanted, today)
        first = shown.last.replace(day=1) if shown.month is None else shown.first
        year = year_of(first, kind)
        of_year = months(year, kind)
        until = min(today, days_of(of_year[-1])[-1])
        spots = published(conn, town, of_year[0], until, relation="tenant_observation")
    by_day = [{each.day: each for each in spot.days} for spot in spots]
    totals = [month_totals(spot, of_year) for spot in spots]
    return open_page(
        request,
        publisher,
        now,
        "public_visitors",
        spots=spots,
        shown=shown,
        first=first,
        rows=[
            (day, day_type(day).value, [of.get(day) for of in by_day])
            for day in days_between(spots)
            if first <= day <= shown.last
        ],
        year=words(f"public_visitors.year.{kind.value}", year=year, next=year + 1),
        months=[
            (month, [of[n] for of in totals]) for n, month in enumerate(of_year) if any(of[n].told for of in totals)
        ],
        sums=[together(of) for of in totals],
        year_range=(of_year[0], until),
        num=formats.number,
        date=lambda value: formats.day(value, words),
        closing=words("public_visitors.passages"),
    )


@router.get("/public/{municipality}/visitors.csv")
@access(PUBLIC)
def visitors_csv(request: Request, municipality: str) -> Response:
    """One line a spot and day of ?from=&to= (days, inclusive; without them of the last 400), UTF-8 with its mark. With
    ?by=month one a spot and month that has begun in it.
    """
    publisher, spots, first, last, _ = _asked(request, municipality)
    words = _words(language_asked(request))
    out = io.StringIO()
    writer = csv.writer(out)
    by_month = request.query_params.get("by") == "month"
    columns = _MONTH_COLUMNS if by_month else _COLUMNS
    writer.writerow([words(f"public_visitors.column.{each}") for each in columns])
    for spot in spots:
        if by_month:
            name = words.name(spot.place.name, spot.place.name_en)
            writer.writerows(
                (f"{month:%Y-%m}", spot.place.code, name, "" if of.visitors is None else of.visitors, *_days_of(of))
                for month, of in _months(spot, first)
            )
            continue
        for each in spot.days:
            writer.writerow(
                (
                    *(each.day.isoformat(), spot.place.code, words.name(spot.place.name, spot.place.name_en)),
                    words(f"day_type.{day_type(each.day).value}"),
                    "" if each.visitors is None else each.visitors,
                    words(f"public_visitors.state.{each.state}", n=each.below or ""),
                    *("" if value is None else value for value in (each.low, each.high)),
                    words(f"checks.method.{each.method}"),
                )
            )
    kind = "visitors_months" if by_month else "visitors"
    name = f"{kind}_{publisher}_{first:%Y%m%d}-{last:%Y%m%d}.csv"
    return Response(
        out.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={**OPEN, "Content-Disposition": f'attachment; filename="{name}"', "Content-Language": words.code},
    )


_COLUMNS = ("day", "spot", "name", "kind", "visitors", "state", "low", "high", "method")
_MONTH_COLUMNS = ("month", "spot", "name", "visitors", "days", "of_days", "small", "estimated")


def _months(spot: PublishedSpot, first: date) -> list[tuple[date, PublicTotal]]:
    """The months of which anything is published; the one in which the range begins only where it begins with it."""
    inside = sorted({each.day.replace(day=1) for each in spot.days})
    begun = [month for month in inside if month >= first]
    return list(zip(begun, month_totals(spot, begun), strict=True))


def _days_of(of: PublicTotal) -> tuple[int, int, int, int]:
    return of.days, of.length, of.small, of.estimated


@router.get("/public/{municipality}/visitors.json")
@access(PUBLIC)
def visitors_json(request: Request, municipality: str) -> Response:
    """The same for programs."""
    _, spots, first, last, (name, mark, now) = _asked(request, municipality)
    body: dict[str, Any] = {
        "municipality": municipality,
        "name": name,
        "mark": mark,
        "read_at": now.isoformat(),
        "from": first.isoformat(),
        "to": last.isoformat(),
        "counts": "passages (延べ), not persons; confirmed days only",
        "spots": [
            {
                "code": spot.place.code,
                "name": spot.place.name,
                "name_en": spot.place.name_en,
                "days": [
                    {
                        "day": each.day.isoformat(),
                        "state": each.state,
                        "visitors": each.visitors,
                        "low": each.low,
                        "high": each.high,
                        "below": each.below,
                        "method": each.method,
                    }
                    for each in spot.days
                ],
                # sums of the days above: what is small or withheld is in none
                "months": [
                    {
                        "month": f"{month:%Y-%m}",
                        "visitors": of.visitors,
                        "days": of.days,
                        "of_days": of.length,
                        "small": of.small,
                        "estimated": of.estimated,
                    }
                    for month, of in _months(spot, first)
                ],
            }
            for spot in spots
        ],
    }
    return JSONResponse(body, headers=OPEN)


def _asked(
    request: Request, municipality: str
) -> tuple[str, Sequence[PublishedSpot], date, date, tuple[str, str, datetime]]:
    town, publisher, now = town_of(request, municipality)
    today = now.astimezone(publisher.zone).date()
    query = request.query_params
    try:
        last = date.fromisoformat(query["to"]) if "to" in query else today
        first = date.fromisoformat(query["from"]) if "from" in query else last - _USUAL
    except ValueError:
        raise BadRequest(
            Text("期間が読み取れません。", "The range cannot be read."),
            Text(
                "from と to に 2026-04-01 のような日付を指定してください。", "Give from and to as days like 2026-04-01."
            ),
        ) from None
    if not first <= last <= first + LONGEST:
        raise BadRequest(
            Text("期間が逆か、長すぎます。", "The range is reversed or too long."),
            Text(f"{LONGEST.days}日までの期間を指定してください。", f"Ask for at most {LONGEST.days} days."),
        )
    with state_of(request).database.transaction(town) as conn:
        spots = published(conn, town, first, min(last, today), relation="tenant_observation")
    return publisher.code, spots, first, last, (publisher.name, marks("actual", publisher.simulated), now)


def _words(language: Language) -> Words:
    return site().words[language]
