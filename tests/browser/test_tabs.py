"""Many tabs, one event stream: eight pages share it, and no event is lost when the tab that holds it goes."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, Request, expect

from api.roles import Role
from tests.browser.conftest import GAUGE, Town, Visitor, visiting
from tests.browser.test_live import UNTIL, connected

TABS = 8  # more than the six connections that a browser opens to one HTTP/1.1 server
ROW = "#station-river-mimamoribashi"


class Tabs:
    """Open pages of one browser, and the streams that they have asked for."""

    def __init__(self, visitor: Visitor, n: int) -> None:
        self.visitor = visitor
        self.streams: list[tuple[Page, str]] = []
        visitor.page.close()
        self.pages = [self.another() for _ in range(n)]

    def another(self) -> Page:
        page = self.visitor.context.new_page()

        def requested(request: Request) -> None:
            if is_stream(request.url):
                self.streams.append((page, request.url))

        page.on("request", requested)
        page.on("pageerror", lambda error: self.visitor.complaints.append(str(error)))
        page.goto(self.visitor.town.url + "/disaster")
        return page

    def leader(self) -> Page:
        """The page that holds the stream: the one that asked last."""
        return self.streams[-1][0]

    def see(self, text: str) -> None:
        """All pages show it. Each is brought to the front: a hidden page fetches when somebody looks at it."""
        for page in self.pages:
            page.bring_to_front()
            expect(page.locator(ROW)).to_contain_text(text, timeout=UNTIL)


def is_stream(url: str) -> bool:
    return "/api/v1/stream" in url


def test_eight_tabs_share_one_stream_and_lose_nothing_when_its_tab_goes(chromium: Browser, town_page: Town) -> None:
    town = town_page
    town.observe(GAUGE, (-30, 2.9))
    with visiting(chromium, town, Role.DISASTER) as visitor:
        tabs = Tabs(visitor, TABS)
        for page in tabs.pages:
            connected(page)
        assert len(tabs.streams) == 1, tabs.streams
        town.observe(GAUGE, (-20, 3.0))
        tabs.see("3.00")
        assert len(tabs.streams) == 1

        # the tab that holds the stream is closed; something happens before another has taken over
        first = tabs.leader()
        tabs.pages.remove(first)
        first.close()
        town.observe(GAUGE, (-10, 3.11))
        tabs.see("3.11")
        for page in tabs.pages:
            connected(page)
        assert len(tabs.streams) == 2
        second, asked = tabs.streams[-1]
        assert second in tabs.pages
        # it went on after the last event that any tab was told of: that of the second observation
        told = town.execute("select feed_id from feed where kind = 'observations' order by feed_id")
        asked_after = int(asked.partition("last_event_id=")[2])
        assert told[1][0] <= asked_after <= told[2][0]

        # a tab that goes to another page yields as one that is closed
        second.goto(town.url + "/water")
        town.observe(GAUGE, (-5, 3.25))
        tabs.pages.remove(second)
        tabs.see("3.25")
        connected(second)
        assert len(tabs.streams) == 3 and tabs.leader() in tabs.pages
        assert visitor.complaints == []


def test_a_browser_without_locks_gives_each_page_its_own_stream(chromium: Browser, town_page: Town) -> None:
    town_page.observe(GAUGE, (-30, 2.9))
    with visiting(chromium, town_page, Role.DISASTER) as visitor:
        # as over plain HTTP from another machine, where a browser has no navigator.locks
        visitor.context.add_init_script("delete Navigator.prototype.locks")
        tabs = Tabs(visitor, 2)
        for page in tabs.pages:
            assert page.evaluate("'locks' in navigator") is False
            connected(page)
        assert len(tabs.streams) == 2
        town_page.observe(GAUGE, (-20, 3.0))
        tabs.see("3.00")
        assert visitor.complaints == []
