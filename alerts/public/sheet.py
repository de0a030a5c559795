"""A notice as a sheet of plain text, to be copied field by field into the prefecture's disaster system by hand.

No interface to such a system exists here: what stands in a field is what a person pastes. Times are local and whole.
"""

from __future__ import annotations

from datetime import datetime

from alerts.public import words
from alerts.public.cap import Publisher, identifier
from alerts.public.notices import Notice
from alerts.wording import marks

_KINDS = {"alert": "新規", "update": "更新", "cancel": "取消"}


def sheet(publisher: Publisher, found: Notice) -> str:
    """The sheet of an approved notice, in Japanese. A drill says so in its first line and in its subject."""
    if found.event != "approved":
        raise ValueError(f"notice {found.notice_id} was approved by nobody")
    mark = marks(found.mode, publisher.simulated)
    text, closing = found.texts["ja"], (found.closing or {}).get("ja", "")
    lines = [f"{mark}県の防災情報システム 入力用（お知らせ）"]
    if mark:
        lines.append(f"{mark}実際の状況ではありません。訓練用の画面以外には入力しないでください。")
    fields = [
        ("種別", _KINDS[found.kind]),
        ("発信", publisher.name),
        ("団体コード", publisher.code),
        ("番号", identifier(publisher, found.notice_id)),
        *([("先の番号", identifier(publisher, found.supersedes))] if found.supersedes else []),
        ("発信日時", _when(publisher, found.decided_at)),
        ("有効期限", _when(publisher, found.valid_until)),
        ("承認", _approved_by(found)),
        ("観測所", f"{found.name}{f'（{found.river}）' if found.river else ''}"),
        ("位置", f"緯度 {found.latitude} 経度 {found.longitude}"),
        ("観測日時", _when(publisher, found.time)),
        ("観測値", f"{found.value:.2f} m"),
        *([("基準", f"{found.threshold:.2f} m")] if found.threshold is not None else []),
        ("件名", f"{mark}{words.title(publisher.name, 'ja')} {text.headline}"),
    ]
    lines += ["", *(f"{name}：{value}" for name, value in fields), "本文：", text.body, closing]
    return "\n".join(lines) + "\n"


def _when(publisher: Publisher, time: datetime | None) -> str:
    assert time is not None, "what is approved has its times"
    return f"{time.astimezone(publisher.zone):%Y-%m-%d %H:%M}"


def _approved_by(found: Notice) -> str:
    if found.standing is None:
        return found.decided_by or ""
    return f"{found.standing.post} {found.standing.authority}（事前承認、{found.standing.document}）"
