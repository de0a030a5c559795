"""人数の入力リンク: the daily form of one spot, for its staff, by the link that the office made for them.

`/count/TOKEN` needs no sign-in (`api.pages.link_holder`) and is for one spot alone: it shows what was entered by hand
there, and takes a number for a day of the last month. What somebody has examined it does not replace, and it takes
nothing back: that is the office's. Who entered a day is the link's name, in the history of the day.

With `?copy=1` the form is one to be kept by the browser and opened without a network: it holds no number and no key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Annotated
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.visitors.manual import Entered, enter, seen_name
from api.access import PUBLIC, Router, access
from api.errors import BadRequest, Text
from api.language import page_language_of
from api.pages.count_copies import MAX_NOTE, What, asked_for, kept_copy
from api.pages.daily_counts import MANUAL
from api.pages.daily_entry import EntryForm, Sent, entry_day, form_of, key_of, typed_of
from api.pages.link_holder import LinkTown, held
from api.pages.site import Moment, formats_at, plain_page, site
from api.state import ApiState
from store import count_links
from store.links import Kind, used

router = Router()

ADDRESS = "/count/{token}"
OLDEST = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class _Follower:
    """Who follows a link, from where: the address of the form, and the moment."""

    town: LinkTown
    holder: count_links.Holder
    here: str
    at: Moment

    def day(self, text: str | None) -> date:
        """The day that is meant. Raises BadRequest where it is too long ago for a link."""
        day = entry_day(text, self.at)
        if day < self.at.now.astimezone(self.at.zone).date() - OLDEST:
            raise BadRequest(
                Text(
                    "この日付には、このリンクから入力できません。",
                    "By this link no number can be entered for this day.",
                ),
                Text(
                    f"{OLDEST.days}日より前の日は、役場の観光担当に知らせてください。",
                    f"Tell the tourism office of days more than {OLDEST.days} days ago.",
                ),
            )
        return day


@router.get(ADDRESS)
@access(PUBLIC)
def count_page(request: Request, token: str) -> Response:
    who, query = _follower(request, token), request.query_params
    with _state(request).database.transaction(who.town.municipality_id) as conn:
        form = form_of(conn, who.at, who.holder.spot, who.day(query.get("day")), typed_of(query.get("value", "")))
    if asked_for(request):
        name = who.at.words.name(form.spot.name, form.spot.name_en)
        return kept_copy(request, who.at, What.DAY, _named(who), who.holder.name, None, who.here, [(who.here, name)])
    was = query.get("was")
    form = replace(
        form,
        note=query.get("note", "")[:MAX_NOTE],
        key=str((None if "saved" in query else key_of(query.get("key"))) or uuid4()),
    )
    done = query.get("saved")
    return plain_page(
        request,
        "count",
        **formats_at(who.at),
        town=_named(who),
        clock=who.town.clock,
        holder=who.holder.name,
        here=who.here,
        until=f"{who.holder.expires_at.astimezone(who.at.zone):%Y-%m-%d}",
        model=form,
        oldest=form.today - OLDEST,
        meanwhile=was is not None and was != form.seen,
        done=done if done in set(Entered) else None,
        seen_name=seen_name,
        most_note=MAX_NOTE,
    )


@router.post(ADDRESS)
@access(PUBLIC)
def count_submit(
    request: Request,
    token: str,
    day: Annotated[str, Form()],
    value: Annotated[str, Form(max_length=100)] = "",
    sure: Annotated[str, Form(max_length=20)] = "",
    note: Annotated[str, Form(max_length=MAX_NOTE)] = "",
    seen: Annotated[str | None, Form(max_length=20)] = None,
    key: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Stores the number, or leads back to the form, which says what is wrong with it."""
    who = _follower(request, token)
    if who.holder.tired:
        raise BadRequest(
            Text(
                "このリンクからの入力が、1時間の上限に達しました。",
                "Too many numbers came by this link within an hour.",
            ),
            Text("しばらくしてから、もう一度お試しください。", "Try again later."),
        )
    sent = Sent(note, "", seen, key_of(key))
    with _state(request).database.transaction(who.town.municipality_id) as conn:
        form = form_of(conn, who.at, who.holder.spot, who.day(day), typed_of(value))
        total = form.total
        if total is None or form.problem is not None or (form.doubt is not None and sure != str(total)):
            return _asked(who, form, sent)
        used(conn, Kind.COUNT, who.holder.count_link_id)
        done = enter(
            conn,
            form.spot.readings[MANUAL].datastream_id,
            form.day,
            total,
            None,
            who.at.now,
            note.strip() or None,
            seen=seen,
            key=sent.key,
            link=who.holder.count_link_id,
        )
    if done in (Entered.STANDS, Entered.MEANWHILE):
        return _asked(who, form, sent)
    named = {} if sent.key is None else {"key": str(sent.key)}
    return _back(who, "main", day=form.day.isoformat(), saved=done.value, **named)


def _asked(who: _Follower, form: EntryForm, sent: Sent) -> Response:
    """Back to the number with what was typed."""
    more = ({"note": sent.note} if sent.note.strip() else {}) | ({} if sent.seen is None else {"was": sent.seen})
    more |= {} if sent.key is None else {"key": str(sent.key)}
    return _back(who, "which-number", day=form.day.isoformat(), value=form.typed, **more)


def _back(who: _Follower, place: str, **query: str) -> Response:
    return RedirectResponse(f"{who.here}?{urlencode(query)}#{place}", 303)


def _follower(request: Request, token: str) -> _Follower:
    town, holder = held(
        request,
        token,
        Kind.COUNT,
        lambda conn, town: count_links.find(conn, town.municipality_id, token, town.now),
        Text(
            "役場の観光担当に知らせてください。新しいリンクを作ります。",
            "Tell the tourism office of the town hall: they make a new link.",
        ),
    )
    at = Moment(town.clock, town.now, town.zone, site().words[page_language_of(request)])
    return _Follower(town, holder, f"/count/{token}", at)


def _named(who: _Follower) -> str:
    return who.at.words.name(who.town.name, who.town.name_en)


def _state(request: Request) -> ApiState:
    state: ApiState = request.app.state.api
    return state
