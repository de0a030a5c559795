"""報告書 in a real browser: chosen without script, read on a phone, printed to a clean A4 PDF; its forms too."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from api.roles import Role
from tests.browser.conftest import Town, screenshot, visiting
from tests.browser.test_folders import clean

A4_LANDSCAPE = {"width": 1123, "height": 794}
COUNTED = """
insert into rollup_day (municipality_id, datastream_id, day, n, expected, total, worst_quality)
select d.municipality_id, d.datastream_id, day, 144, 144, 90 + 400 * (extract(dow from day) = 0)::int, 'good'
from datastream d, generate_series(date '2025-04-01', date '2026-05-31', interval '1 day') as day
where d.observed_property = 'passages_in' and d.drill_run is null
  and not (d.datastream_id %% 2 = 0 and day between '2025-09-03' and '2025-09-12')
on conflict (datastream_id, day) do update set n = 144, expected = 144, total = excluded.total
"""


def test_a_report_is_chosen_read_on_a_phone_and_printed(chromium: Browser, town_page: Town) -> None:
    town_page.execute(COUNTED)
    with visiting(chromium, town_page, Role.TOURISM, java_script_enabled=False) as plain:
        page = plain.open("/tourism?lang=ja")
        page.get_by_role("link", name="報告書を作る").click()
        page.get_by_label("年", exact=True).select_option("2025")
        page.get_by_label("鈴鳴りの滝").check()
        page.get_by_role("button", name="この表を見る").click()
        expect(page.locator("#report .sub")).to_have_text("2025年度（2025年4月〜2026年3月）")
        expect(page.locator("table[aria-labelledby=report] tbody tr")).to_have_count(1)
    with visiting(chromium, town_page, Role.TOURISM) as visitor:
        for name, address in (
            ("reports", "/tourism/reports?kind=monthly&year=2025"),
            ("reports-daily", "/tourism/reports?kind=daily&month=2026-05&compare=none"),
            ("reports-layout", "/tourism/reports/layout"),
            ("reports-standard", "/tourism/reports/standard"),
            ("reports-spot", "/tourism/reports/standard/spot-taki"),
            ("reports-mail", "/tourism/reports/mail"),
            ("count-links", "/tourism/links"),
        ):
            page = visitor.open(f"{address}{'&' if '?' in address else '?'}lang=ja")
            clean(page, name)
        page = visitor.open("/tourism/reports?kind=monthly&year=2025&compare=all&lang=ja")
        page.set_viewport_size(A4_LANDSCAPE)
        page.emulate_media(media="print")
        for each in page.locator("button, input, select, .links").all():
            expect(each).to_be_hidden()
        wide = page.evaluate(
            """[...document.querySelectorAll('th, td, p, dd, h2')].filter(e => e.offsetParent)
               .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.textContent)"""
        )
        assert wide == []
        screenshot(page, "paper-report")
        pdf = page.pdf(prefer_css_page_size=True)
        ((width, height),) = set(re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf))
        assert (float(width), float(height)) == pytest.approx((842, 595), abs=1.5)  # 297 x 210 mm in points
        assert visitor.complaints == []
