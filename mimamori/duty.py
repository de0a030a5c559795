"""The officer on duty of a headless demo: signs in like a person and acknowledges what is raised, over HTTP.

Nothing is done behind the API's back (`mimamori.signed_in`). The officer has a thread of its own, because an API
without its database answers late, and nobody must wait for it who has processes to tend.
"""

from __future__ import annotations

import http.client
import threading
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mimamori.signed_in import SignedIn

_LOOK_EVERY = 0.5


class DutyOfficer:
    """Looks twice a second from `with` to its end. `url` is the demo's address; `say` gets what was done.

    Raises StartError when the sign-in is refused, and at the end of the duty what went wrong in it.
    """

    def __init__(self, url: str, login: str, password: str, *, say: Callable[[str], None]) -> None:
        self._say = say
        self._failure: Exception | None = None
        self._session = SignedIn(url, login, password)

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
            for alert in self._session.call("GET", "/alerts?open=true")["alerts"]:
                if alert["state"] == "raised" and alert["may_act"]:
                    self._session.call("POST", f"/alerts/{alert['alert_id']}/acknowledge", {"note": "確認しました"})
                    self._say(f"the officer on duty has acknowledged an alert of {alert['station_name']}")
        except urllib.error.HTTPError as error:
            # 409: it was over before we came. 5xx: the database is being started again; the alert is still there then.
            if error.code != 409 and error.code < 500:
                raise
        except (OSError, http.client.HTTPException):
            pass  # the API itself is being started again
