"""Why an action at an alert was refused, and what to do, for the person who asked for it: Japanese and English."""

from __future__ import annotations

from alerts import operation_words, outage_words
from alerts.errors import (
    ActionError,
    AlertNotFound,
    AlreadyAcknowledged,
    AlreadyCleared,
    AlreadyRetracted,
    NoSuchPerson,
    NoteRequired,
    NothingUnconfirmed,
    NotRetracted,
    StillAbove,
    StillSilent,
    StillWrong,
)
from alerts.wording import Language, short_time


def explain(error: ActionError, language: Language = "ja", *, timezone: str = "Asia/Tokyo") -> str:
    """Why an action was refused, and what to do, for the person who asked for it."""
    ja = language == "ja"
    match error:
        case AlertNotFound():
            return (
                "このアラートは見つかりません。一覧を開き直してください。"
                if ja
                else "There is no such alert. Open the list again."
            )
        case AlreadyAcknowledged():
            when = short_time(error.at, timezone)
            return f"{error.by}が {when} に確認済みです。" if ja else f"{error.by} acknowledged it at {when}."
        case AlreadyCleared():
            when = short_time(error.at, timezone)
            if ja:
                return f"{error.by or '自動判定'}により {when} に解除済みです。"
            return f"{error.by or 'Its rule'} cleared it at {when}."
        case AlreadyRetracted():
            when = short_time(error.at, timezone)
            return f"{error.by}が {when} に訂正済みです。" if ja else f"{error.by} retracted it at {when}."
        case NotRetracted():
            return "このアラートは訂正されていません。" if ja else "This alert has not been retracted."
        case NoSuchPerson():
            return (
                "その人は連絡先にいません。一覧から選び直してください。"
                if ja
                else "There is no such person in the list of people. Choose another one."
            )
        case NoteRequired() if error.overlong:
            return (
                "メモが長すぎます。2000字以内にしてください。"
                if ja
                else "The note is too long: 2,000 characters at most."
            )
        case NothingUnconfirmed():
            return (
                "確かめを待っている値はもうありません。画面を開き直してください。"
                if ja
                else "No reading of it waits to be confirmed any more. Open the page again."
            )
        case NoteRequired():
            return "確認した内容をメモに書いてください。" if ja else "Please write down what you know or have seen."
        case StillAbove():
            when = short_time(error.time, timezone)
            if ja:
                return (
                    f"最新の観測値 {error.value:.2f} m（{when}）が解除の目安 {error.clearing_level:.2f} m を"
                    "下回っていないため、解除できません。"
                )
            return (
                f"The latest reading, {error.value:.2f} m at {when}, is not below {error.clearing_level:.2f} m: "
                "it cannot be cleared yet."
            )
        case StillSilent():
            since = None if error.since is None else short_time(error.since, timezone)
            if ja:
                heard = "一度も受信していません" if since is None else f"最後の受信は {since} です"
                return f"機器 {error.device_key} からの受信が途絶えたままのため、解除できません（{heard}）。"
            heard = "it was never heard" if since is None else f"last heard at {since}"
            return f"Device {error.device_key} is still silent ({heard}): it cannot be cleared yet."
        case StillWrong():
            said = (outage_words if error.outage else operation_words).headline(error.cause, False, language)
            if ja:
                return f"{said}（続いています）。解消すると自動で解除されます。"
            return f"Still so: {said}. It clears by itself when that is over."
    return str(error)
