"""The officer on duty of a headless demo: signs in like a person and acknowledges what is raised, over HTTP.

Nothing is done behind the API's back: cookie, CSRF token and role are the real ones. The officer has a thread of
its own, because an API without its database answers late, and nobody must wait for it who has processes to tend.
"""

from __future__ import annotations

import http.client
import http.cookiejar
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mimamori.errors import StartError

_LOOK_EVERY = 0.5


class DutyOfficer:
    """Looks twice a second from `with` to its end. `url` is the demo's address; `say` gets what was done.

    Raises StartError when the sign-in is refused, and at the end of the duty what went wrong in it.
    """

    def __init__(self, url: str, login: str, password: str, *, say: Callable[[str], None]) -> None:
        self._api = url.rstrip("/") + "/api/v1"
        self._say = say
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        ).open
        self._csrf = ""
        self._failure: Exception | None = None
        try:
            self._csrf = self._call("POST", "/session", {"login": login, "password": password})["csrf_token"]
        except urllib.error.HTTPError as error:
            raise StartError(f"the demo's own account {login} cannot sign in: HTTP {error.code}") from error

    @contextmanager
    def on_duty(self) -> Iterator[None]:
        """Look after the alerts in the meantime."""
        stop = threading.Event()
        thread = threading.Thread(target=self._serve, args=(stop,), name="officer on duty", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(15)
        if self._failure is not None:
            raise self._failure

    def _serve(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(_LOOK_EVERY):
                self._acknowledge_what_is_new()
        except Exception as failure:  # handed to whoever ends the duty
            self._failure = failure

    def _acknowledge_what_is_new(self) -> None:
        try:
            for alert in self._call("GET", "/alerts?open=true")["alerts"]:
                if alert["state"] == "raised" and alert["may_act"]:
                    self._call("POST", f"/alerts/{alert['alert_id']}/acknowledge", {"note": "確認しました"})
                    self._say(f"the officer on duty has acknowledged an alert of {alert['station_name']}")
        except urllib.error.HTTPError as error:
            # 409: it was over before we came. 5xx: the database is being started again; the alert is still there then.
            if error.code != 409 and error.code < 500:
                raise
        except (OSError, http.client.HTTPException):
            pass  # the API itself is being started again

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            self._api + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "X-CSRF-Token": self._csrf},
        )
        with self._open(request, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
