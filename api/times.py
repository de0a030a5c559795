"""Times in requests: RFC 3339 with a zone. A time without one is refused: nobody knows which nine hours it means."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from api.errors import BadRequest, Text

_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})")
_NAIVE = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?")
_PLUS_LOST = re.compile(r".*\d{2} \d{2}:\d{2}")


def instant(name: str, given: str) -> datetime:
    """The moment of the query parameter `name`, in UTC. Raises `BadRequest` that says what to write instead.

    >>> instant("from", "2026-06-01T09:00:00+09:00").isoformat()
    '2026-06-01T00:00:00+00:00'
    """
    if _RFC3339.fullmatch(given):
        try:
            return datetime.fromisoformat(given.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # the 31st of June, the hour 25, the year 1 in an eastern zone
    wrong = Text(f"{name} の時刻「{given}」を読めません。", f"{name}: cannot read the time {given!r}.")
    if _NAIVE.fullmatch(given):
        wrong = Text(
            f"{name} の時刻「{given}」にタイムゾーンがありません。どの時刻か決められません。",
            f"{name}: the time {given!r} has no time zone, so it could be any of several moments.",
        )
    elif _PLUS_LOST.fullmatch(given):
        wrong = Text(
            f"{name} の「+」が空白になっています。URL では %2B と書きます。",
            f"{name}: the '+' has become a space; in a URL it is written %2B.",
        )
    raise BadRequest(
        wrong,
        Text(
            "2026-06-01T09:00:00%2B09:00 または 2026-06-01T00:00:00Z の形で指定してください。",
            "Write 2026-06-01T09:00:00%2B09:00 or 2026-06-01T00:00:00Z.",
        ),
    )


def span(
    start: str | None, end: str | None, *, now: datetime, usual: timedelta, longest: timedelta
) -> tuple[datetime, datetime]:
    """`from` and `to` of a request; by default the `usual` length up to `to`, and up to `now`.

    Raises `BadRequest` where they are the wrong way round or further apart than `longest`.
    """
    until = instant("to", end) if end is not None else now
    try:
        since = instant("from", start) if start is not None else until - usual
    except OverflowError:
        since = until
    if since > until:
        raise BadRequest(Text("from が to より後になっています。", "from is later than to."))
    if until - since > longest:
        raise BadRequest(
            Text(
                f"期間が長すぎます。この step では {longest.days} 日までです。",
                f"Too long: {longest.days} days at most for this step.",
            ),
            Text(
                "期間を分けるか、step=hour または step=day を指定してください。",
                "Ask in parts, or with step=hour or step=day.",
            ),
        )
    return since, until


def text(time: datetime) -> str:
    """RFC 3339 in UTC, as every time leaves.

    >>> text(datetime(2026, 6, 1, tzinfo=UTC))
    '2026-06-01T00:00:00Z'
    """
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
