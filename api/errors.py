"""What goes wrong, said once: the error tree, and the one body that every error of the API has.

ApiError                 base: status, code, and texts in Japanese and English
  BadRequest       400   cannot be understood: a time without zone, a range too long
  NotSignedIn      401   no valid session
    SignInRefused  401   wrong login or password (which of the two is not said)
  SourceRefused    401   no source of that name with that secret (which of the two is not said)
  Refused          403   this account may not do it
    CrossSite      403   no CSRF token, or the request comes from another site
  NotFound         404   no such thing in this municipality
  TooSlow          408   the body did not come in time
  Conflict         409   the thing is no longer in the state the request expects
  TooLarge         413   body above the limit
  TooManyAttempts  429   too many wrong passwords or secrets; Retry-After says for how long to wait
  TooManyMessages  429   a source of the intake brings more than it may; Retry-After likewise
  TooManyLinks     429   links of messages are being guessed; Retry-After likewise
  Unavailable      503   the database is out of reach

The body is application/problem+json (RFC 9457): `type` about:blank, `title` the status in words, `status`,
`detail` what is wrong, `action` what to do, `code` for programs, `instance` the path; 422 adds `errors`, 500 an
`incident` number that the log has too. Texts follow Accept-Language, Japanese first; those of an error page are in the
language of the pages.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import psycopg
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolClosed, PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.language import Language, language_of, page_language_of
from api.validation import explain
from store.errors import ClockNotSet

log = logging.getLogger("mimamori.api")


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in both languages."""

    ja: str
    en: str

    def of(self, language: Language) -> str:
        return self.ja if language == "ja" else self.en


class ApiError(HTTPException):
    """Base of what this room raises: `detail` says what is wrong, `action` what to do."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "internal"
    default_action = Text("もう一度お試しください。", "Try again.")

    def __init__(self, wrong: Text, action: Text | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(self.status, detail=wrong.en, headers=dict(headers) if headers else None)
        self.wrong = wrong
        self.action = action or self.default_action


class BadRequest(ApiError):
    """Cannot be understood."""

    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"
    default_action = Text("リクエストの内容を直してください。", "Correct the request.")


class NotSignedIn(ApiError):
    """No valid session."""

    status = HTTPStatus.UNAUTHORIZED
    code = "not_signed_in"
    default_action = Text("サインインしてください。", "Sign in.")

    def __init__(self, wrong: Text | None = None, action: Text | None = None) -> None:
        super().__init__(
            wrong
            or Text(
                "サインインしていないか、有効期限が切れています。", "You are not signed in, or the session has ended."
            ),
            action,
            headers={"WWW-Authenticate": 'Session realm="mimamori"'},
        )


class SignInRefused(NotSignedIn):
    """Wrong login or password."""

    code = "sign_in_refused"

    def __init__(self) -> None:
        super().__init__(
            Text("ログイン名またはパスワードが違います。", "The login or the password is wrong."),
            Text(
                "入力を確かめて、もう一度お試しください。忘れたときはデジタル担当に連絡してください。",
                "Check both and try again. If you forgot them, ask the digital section.",
            ),
        )


class SourceRefused(ApiError):
    """No source of that name with that secret."""

    status = HTTPStatus.UNAUTHORIZED
    code = "source_refused"
    default_action = Text(
        "送信元の名前と秘密の値を確かめてください。",
        "Check the source's name and its secret.",
    )

    def __init__(self) -> None:
        super().__init__(
            Text("この送信元としては受け付けられません。", "This is no known source of messages."),
            headers={"WWW-Authenticate": 'Bearer realm="mimamori intake"'},
        )


class Refused(ApiError):
    """This account may not do it."""

    status = HTTPStatus.FORBIDDEN
    code = "refused"
    default_action = Text(
        "担当の職員に依頼するか、デジタル担当に権限を確認してください。",
        "Ask the staff in charge, or ask the digital section about your role.",
    )


class CrossSite(Refused):
    """No CSRF token, or the request comes from another site."""

    code = "cross_site"

    def __init__(self, wrong: Text) -> None:
        super().__init__(
            wrong,
            Text(
                "ページを再読み込みしてから操作してください。プログラムからは X-CSRF-Token ヘッダーを付けてください。",
                "Reload the page and repeat. Programs send the header X-CSRF-Token.",
            ),
        )


class NotFound(ApiError):
    """No such thing in this municipality."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"
    default_action = Text("アドレスや番号を確かめてください。", "Check the address or the number.")


class TooSlow(ApiError):
    """The body did not come in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "too_slow"

    def __init__(self) -> None:
        super().__init__(Text("データが時間内に届きませんでした。", "The body did not come in time."))


class Conflict(ApiError):
    """The thing is no longer in the state the request expects."""

    status = HTTPStatus.CONFLICT
    code = "conflict"
    default_action = Text("最新の状態を読み込んでください。", "Load the present state.")


class TooLarge(ApiError):
    """Body above the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"
    default_action = Text("内容を短くするか、分けて送ってください。", "Shorten it, or send it in parts.")


class TooManyAttempts(ApiError):
    """Sign-in throttled."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_attempts"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            Text("サインインの失敗が続いたため、受付を一時止めています。", "Too many failed sign-ins: paused."),
            Text(f"{seconds} 秒後にもう一度お試しください。", f"Try again in {seconds} s."),
            headers={"Retry-After": str(seconds)},
        )


class TooManyLinks(ApiError):
    """Links of messages are being guessed."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_links"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            Text("使えないリンクが続いたため、受付を一時止めています。", "Too many links of no use: paused."),
            Text(f"{seconds} 秒後にもう一度お試しください。", f"Try again in {seconds} s."),
            headers={"Retry-After": str(seconds)},
        )


class TooManyMessages(ApiError):
    """A source of the intake brings more than it may."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_messages"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            Text(
                "この送信元の1分あたりの上限を超えています。", "This source brings more messages a minute than it may."
            ),
            Text(f"{seconds} 秒後にもう一度送ってください。", f"Send it again in {seconds} s."),
            headers={"Retry-After": str(seconds)},
        )


class Unavailable(ApiError):
    """The database is out of reach."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"

    def __init__(self, wrong: Text | None = None, action: Text | None = None, *, seconds: int = 10) -> None:
        super().__init__(
            wrong or Text("データベースに接続できません。", "The database is out of reach."),
            action
            or Text(
                "数十秒待ってから再読み込みしてください。続くときはデジタル担当に連絡してください。",
                "Wait half a minute and reload. If it goes on, call the digital section.",
            ),
            headers={"Retry-After": str(seconds)},
        )


_TITLES = {
    400: "リクエストが正しくありません",
    401: "サインインが必要です",
    403: "権限がありません",
    404: "見つかりません",
    405: "この操作はできません",
    406: "その形式では返せません",
    408: "時間内に届きませんでした",
    409: "状態が変わっています",
    413: "データが大きすぎます",
    415: "その形式は受け取れません",
    422: "入力に誤りがあります",
    429: "しばらくお待ちください",
    500: "サーバーで不具合が起きました",
    503: "一時的に利用できません",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as a reader sees it, in one language; `body` is its JSON."""

    status: int
    code: str
    title: str
    detail: str
    action: str
    instance: str
    language: Language
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        return {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "action": self.action,
            "code": self.code,
            "instance": self.instance,
            **self.extra,
        }


PageRenderer = Callable[[Request, Problem], Response]


def problem_response(request: Request, error: Exception, *, page: PageRenderer | None = None) -> Response:
    """The one way an error leaves: JSON, or what `page` makes of it where a person's browser asked for a page."""
    if page is not None and not request.url.path.startswith("/api/") and _reads_html(request):
        problem, headers = _problem(request, error, page_language_of(request))
        response = page(request, problem)
    else:
        problem, headers = _problem(request, error, language_of(request))
        response = JSONResponse(problem.body, problem.status, media_type="application/problem+json")
        response.headers.append("Vary", "Accept-Language")
    response.status_code = problem.status
    response.headers.update(headers)
    response.headers["Content-Language"] = problem.language
    return response


def install(app: FastAPI, page: PageRenderer | None) -> None:
    """Makes `problem_response` the answer to every exception a route can end with (500 is `boundary`'s)."""

    async def handle(request: Request, error: Exception) -> Response:
        return problem_response(request, error, page=page)

    kinds: Sequence[type[Exception]] = (
        HTTPException,
        RequestValidationError,
        psycopg.OperationalError,
        PoolTimeout,
        PoolClosed,
        ClockNotSet,
    )
    for kind in kinds:
        app.add_exception_handler(kind, handle)


def _problem(request: Request, error: Exception, language: Language) -> tuple[Problem, Mapping[str, str]]:
    def make(status: int, code: str, wrong: Text, action: Text, **extra: Any) -> Problem:
        title = _TITLES.get(status) if language == "ja" else None
        return Problem(
            status=status,
            code=code,
            title=title or HTTPStatus(status).phrase,
            detail=wrong.of(language),
            action=action.of(language),
            instance=request.url.path,
            language=language,
            extra=extra,
        )

    if isinstance(error, (psycopg.OperationalError, PoolTimeout, PoolClosed)):
        log.warning("database out of reach at %s: %s", request.url.path, error)
        error = Unavailable()
    elif isinstance(error, ClockNotSet):
        error = Unavailable(Text("町の時計がまだ設定されていません。", "The town clock has not been set yet."))
    if isinstance(error, ApiError):
        return make(error.status, error.code, error.wrong, error.action), error.headers or {}
    if isinstance(error, RequestValidationError):
        faults = [explain(item, language) for item in error.errors()]
        wrong = Text("入力に誤りがあります。", "The input is not valid.")
        action = Text("errors の各項目を直してください。", "Correct each item in errors.")
        return make(422, "invalid", wrong, action, errors=faults), {}
    if isinstance(error, HTTPException):
        code, wrong, action = _PLAIN.get(error.status_code, _PLAIN_OTHER)
        return make(error.status_code, code, wrong, action), error.headers or {}
    incident = secrets.token_hex(4)
    log.error("incident %s: %s %s", incident, request.method, request.url.path, exc_info=error)
    wrong = Text("サーバーで予期しない不具合が起きました。", "Something unexpected went wrong in the server.")
    action = Text(
        f"もう一度お試しください。続くときは番号 {incident} をデジタル担当に伝えてください。",
        f"Try again. If it goes on, tell the digital section the number {incident}.",
    )
    return make(500, "internal", wrong, action, incident=incident), {}


def _reads_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


# What the framework itself refuses, before any code of ours runs.
_PLAIN: Mapping[int, tuple[str, Text, Text]] = {
    404: (
        "not_found",
        Text("このアドレスには何もありません。", "There is nothing at this address."),
        NotFound.default_action,
    ),
    405: (
        "method_not_allowed",
        Text("このアドレスではその操作（メソッド）は使えません。", "This address does not take that method."),
        Text("Allow ヘッダーにある操作を使ってください。", "Use one of the methods in the Allow header."),
    ),
}
_PLAIN_OTHER = (
    "bad_request",
    Text("リクエストを処理できません。", "The request cannot be handled."),
    BadRequest.default_action,
)
