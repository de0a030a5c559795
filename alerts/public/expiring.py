"""The time of a notice ends while its alert lasts: the desk is told before, and once more afterwards. For the worker.

    remind(recorder, simulated=, url=) -> bool     tells the desk of one notice, where there is one to tell of
    soon(notice, now) -> bool                      whether its time is over, or ends within `BEFORE`

A notice is renewed by a person with one press (`alerts.public.acts.renew`), or in the name of the approval that told it
(`alerts.public.standing_publish`, which asks for that first); where neither does, it lapses, but never without a word.
Each is said once of a notice, whoever looks and however often (a unique index stands behind it), to those whose turn it
is when the alert rises. A notice that nobody renewed can still be renewed when its time is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from alerts.alert_cause import cause_of
from alerts.observed import Place
from alerts.public.notices import Notice, head_of
from alerts.recording import Recorder
from alerts.rules.transition import Event, Transition
from alerts.wording import marks, short_time
from store.feed import append_alerts

BEFORE = timedelta(minutes=30)


def soon(found: Notice, now: datetime) -> bool:
    """Whether its time is over, or about to be."""
    return found.valid_until is not None and found.valid_until <= now + BEFORE


def remind(recorder: Recorder, *, simulated: bool, url: str | None) -> bool:
    """Tells who is on duty of one notice whose time ends soon or is over, and returns whether there was one. The body
    of a transaction.
    """
    conn, now = recorder.conn, recorder.now
    for alert_id, municipality_id in conn.execute(_DUE, {"now": now, "soon": now + BEFORE}).fetchall():
        # As the API sees it: one municipality. Two statements: who had to wait reads what is there now.
        conn.execute("select set_config('mimamori.municipality_id', %s, true)", (str(municipality_id),))
        conn.execute("select from alert where alert_id = %s for update", (alert_id,))
        if conn.execute(_DUE + " and a.alert_id = %(alert)s", _asked(now, alert_id)).fetchone() is None:
            continue
        found = head_of(conn, alert_id)
        assert found is not None and found.valid_until is not None, "it is due"
        event = Event.LAPSED if found.valid_until <= now else Event.EXPIRING
        cause = cause_of(conn, alert_id)
        row = conn.execute(
            """
            insert into alert_history (municipality_id, alert_id, at, event, level, rule_version, note)
            values (%s, %s, %s, %s, %s, %s, %s) returning alert_history_id
            """,
            (
                municipality_id,
                alert_id,
                now,
                event.value,
                found.level,
                f"public_notice:{found.notice_id}",
                f"期限 {short_time(found.valid_until, cause.place.timezone)}",
            ),
        ).fetchone()
        assert row is not None
        told = Transition(Event.TOLD, found.level, found.time, found.value, "")
        to = [("log", cause.role, None, None), *recorder.told_of(cause, alert_id, told)]
        recorder.write_texts(municipality_id, row[0], to, texts(found, cause.place, event, simulated, url))
        append_alerts(conn, municipality_id, [alert_id])
        return True
    return False


def texts(found: Notice, place: Place, event: Event, simulated: bool, url: str | None) -> tuple[str, str, str, str]:
    """What the desk is told: subject, body, what could be public, and that for ears."""
    assert found.valid_until is not None, "it was approved"
    over, until = event is Event.LAPSED, short_time(found.valid_until, place.timezone)
    mark, mark_en = marks(found.mode, simulated), marks(found.mode, simulated, "en")
    where = f"{url}/disaster/notices/{found.notice_id}" if url else "「住民へのお知らせ」の画面"
    where_en = f"{url}/disaster/notices/{found.notice_id}" if url else "the page Notices to residents"
    what = "期限が切れました" if over else "期限がまもなく切れます"
    lines = [
        f"{mark}{found.name}の住民へのお知らせの{what}（{until}）。水位のアラートは続いています。",
        "",
        found.texts["ja"].headline,
        "",
        "公開のページには、もう載っていません。" if over else f"何もしなければ、{until} に公開のページから消えます。",
        f"延長・更新・取消：{where}",
    ]
    if found.standing is not None:
        lines.append("事前承認では延長していません。理由は「住民へのお知らせ」の画面にあります。")
    lines += [
        "",
        f"{mark_en}The time of the notice to residents about {found.name_en or found.name} "
        f"{'is over' if over else 'ends soon'} ({until}), and the alert lasts. "
        f"{'It is on no public page any more.' if over else 'Then it leaves the public page.'} "
        f"Renew, update or withdraw it: {where_en}.",
    ]
    subject = f"{mark}住民へのお知らせの{what}：{found.name}（{until}）"
    brief = f"{mark}【{place.municipality}・見守り】{found.name}の水位のお知らせの{what}（{until}）。{where}"
    opening = {"actual": "", "exercise": "これは訓練です。", "test": "これは試験です。"}[found.mode]
    opening = f"{'これは模擬です。' if simulated else ''}{opening}"
    spoken = f"{opening}{found.name}の水位のお知らせの{what}。画面で確かめてください。"
    return subject, "\n".join(lines) + "\n", brief, spoken


def _asked(now: datetime, alert_id: int) -> dict[str, object]:
    return {"now": now, "soon": now + BEFORE, "alert": alert_id}


# Few alerts are open: it begins with them.
_STANDING = """
from alert a
join public_notice n on n.alert_id = a.alert_id and n.kind <> 'cancel'
join public_notice_event e on e.public_notice_id = n.public_notice_id and e.event = 'approved'
where a.rule = 'level' and a.cleared_at is null and e.valid_until <= %(soon)s
  and not exists (select from public_notice_event x where x.ends = n.public_notice_id)
"""
OF_APPROVALS = (
    "select a.alert_id, a.municipality_id, a.station_id"
    + _STANDING
    + " and a.mode = 'actual' and n.standing_approval_id is not null order by a.alert_id"
)
_NOT_SAID = """
  and not exists (
    select from alert_history h
    where h.alert_id = a.alert_id and h.rule_version = 'public_notice:' || n.public_notice_id
      and h.event = case when e.valid_until <= %(now)s then 'lapsed' else 'expiring' end)
"""
_DUE = "select a.alert_id, a.municipality_id" + _STANDING + _NOT_SAID
