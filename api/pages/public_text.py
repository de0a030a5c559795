"""A notice as residents read it: the same on the public page, in the widget, in the feeds and in the desk's preview."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from alerts.public import words
from alerts.public.cap import Publisher
from alerts.public.evacuation import Evacuation
from alerts.public.notices import Notice, State
from alerts.public.words import Text, Variant
from alerts.wording import marks
from api.language import Language

# Letters with their reading in brackets behind: 川（かわ）
_READING = re.compile(r"([一-鿿々]+)（([ぁ-ゖー]+)）")


@dataclass(frozen=True, slots=True)
class PublicText:
    """One notice in one variant. `closing` is the line about evacuation information as it is now."""

    notice_id: int
    variant: Variant
    state: State
    mark: str
    title: str
    headline: str
    body: tuple[str, ...]
    closing: str
    told_at: str | None
    valid_until: str | None
    ended_at: str | None

    @property
    def language(self) -> Language:
        return language_of_variant(self.variant)

    @property
    def stands(self) -> bool:
        return self.state == "standing"


def as_read(publisher: Publisher, found: Notice, variant: Variant, evacuation: Evacuation, now: datetime) -> PublicText:
    """The notice at a moment, also a draft: then as it would be read."""
    text, zone = found.texts[variant], publisher.zone
    return PublicText(
        notice_id=found.notice_id,
        variant=variant,
        state=found.state(now),
        mark=marks(found.mode, publisher.simulated, language_of_variant(variant)).strip(),
        title=words.title(publisher.name, variant),
        headline=text.headline,
        body=tuple(text.body.splitlines()),
        closing=words.closing(publisher.name, evacuation, variant),
        told_at=_said(found.decided_at, zone, variant),
        valid_until=_said(found.valid_until, zone, variant),
        ended_at=_said(found.ended_at, zone, variant),
    )


def as_would_be_read(publisher: Publisher, text: Text, variant: Variant, evacuation: Evacuation) -> PublicText:
    """Words that belong to no notice yet, real if they are ever told."""
    return PublicText(
        notice_id=0,
        variant=variant,
        state="draft",
        mark=marks("actual", publisher.simulated, language_of_variant(variant)).strip(),
        title=words.title(publisher.name, variant),
        headline=text.headline,
        body=tuple(text.body.splitlines()),
        closing=words.closing(publisher.name, evacuation, variant),
        told_at=None,
        valid_until=None,
        ended_at=None,
    )


def language_of_variant(variant: Variant) -> Language:
    return "en" if variant == "en" else "ja"


def ruby(text: str) -> Markup:
    """Sets readings above their letters; where a browser knows no ruby, the brackets stay.

    >>> str(ruby("川（かわ）の 水"))
    '<ruby>川<rp>（</rp><rt>かわ</rt><rp>）</rp></ruby>の 水'
    """
    found = _READING.sub(r"<ruby>\1<rp>（</rp><rt>\2</rt><rp>）</rp></ruby>", str(escape(text)))
    return Markup(found)


def _said(time: datetime | None, zone: ZoneInfo, variant: Variant) -> str | None:
    return None if time is None else words.said_time(time, zone, variant)
