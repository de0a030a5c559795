"""知らせた記録 and the page behind a link, looked at: words, keyboard and phone, in both languages."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from alerts.answers import write_link
from api.roles import Role
from store import connect
from tests.alerts.people import channels, person
from tests.browser.conftest import Town, visiting
from tests.browser.test_folders import clean


def test_who_was_told_and_the_page_on_which_they_answer(chromium: Browser, town_page: Town) -> None:
    town = town_page.hall.database
    channels(town, "mail", "line")
    tanaka = person(town, "田中 一郎", ("line", "U" + "0" * 32), ("mail", "tanaka@example.jp"))
    alert_id = town_page.hall.raise_alert("river-okusawa/water_level")
    with connect(town.owner, name="test") as conn:
        rows = conn.execute(
            """
            insert into outbox (municipality_id, alert_history_id, channel, recipient, subject, body, next_attempt_at,
                                person_id, contact_id, sent_at, attempts, last_error)
            select h.municipality_id, h.alert_history_id, c.channel, c.address,
                   '奥沢水位観測所 水位のお知らせ：氾濫危険水位（警戒レベル４相当・町独自基準）に達しました 2.50 m',
                   E'観測値：2.50 m（観測時刻 6/1 09:00）\n段階：氾濫危険水位', now(), c.person_id, c.contact_id,
                   case when c.channel = 'mail' then h.at end, case when c.channel = 'mail' then 1 else 100 end,
                   case when c.channel = 'line' then 'Undeliverable: LINE answered 400' end
            from alert_history h, contact c where h.alert_id = %s and c.person_id = %s
            order by c.position returning outbox_id
            """,
            (alert_id, tanaka),
        ).fetchall()
        token = write_link(conn, town.municipality_id, rows[-1][0])
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        page = visitor.open("/alerts")
        page.get_by_role("link", name="知らせた記録").first.click()
        expect(page.get_by_text("送れませんでした")).to_be_visible()
        clean(page, "delivery-ja")
        page.goto(f"{town_page.url}/alerts/{alert_id}/delivery?lang=en")
        clean(page, "delivery-en")
        page.goto(f"{town_page.url}/answer/{token}?lang=ja")
        expect(page.get_by_text("田中 一郎さんが確認したことを記録し")).to_be_visible()
        clean(page, "answer-ja")
        page.get_by_role("button", name="確認しました").click()
        expect(page.locator("#done")).to_have_text("田中 一郎さんの確認を記録しました。")
        clean(page, "answered-ja")
        page.goto(f"{town_page.url}/answer/{token}?lang=en")
        clean(page, "answered-en")
        assert visitor.complaints == []
