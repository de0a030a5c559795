"""A person at the pages and the JSON API, over HTTP: cookie, CSRF token and role are the real ones."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.error
import urllib.request
from http.client import HTTPResponse
from typing import Any

from mimamori.errors import StartError


class SignedIn:
    """A session of one person. `url` is where the pages are. StartError when the sign-in is refused."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self._url = url.rstrip("/")
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        ).open
        self._csrf = ""
        try:
            self._csrf = self.call("POST", "/session", {"login": login, "password": password})["csrf_token"]
        except urllib.error.HTTPError as error:
            raise StartError(f"the account {login} cannot sign in: HTTP {error.code}") from error

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the JSON API answers. HTTPError where it refuses, OSError where it is out of reach."""
        request = urllib.request.Request(
            f"{self._url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "X-CSRF-Token": self._csrf},
        )
        with self._open(request, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
            return answer

    def get(self, path: str, *, accept: str = "text/html", timeout: float = 10.0) -> HTTPResponse:
        """The answer to a GET, to be read and closed. HTTPError where it is refused, OSError where out of reach."""
        request = urllib.request.Request(self._url + path, headers={"Accept": accept})
        response: HTTPResponse = self._open(request, timeout=timeout)
        return response
