"""What the rule `operation` says, in Japanese and English: what is wrong, and what is to be done about it."""

from __future__ import annotations

from alerts.reach_words import DESKS
from alerts.rules.operation import NOBODY, Kind, concerned, kind_of

_REACH = (
    "「連絡先」の画面の「これからの24時間」に、どれを、いつからいつまで知らせられないかがあります。班の人・連絡手段・班に"
    "知らせること・当番を直すか、担当のアカウントにメールアドレスを登録してください。その間は画面で確認してください。"
)
_REACH_EN = (
    "The page People to be told says under The coming 24 hours of what nobody is told, and from when to when. Mend the "
    "people of the groups, their contacts, what the groups are told of or the turns, or give the accounts of the desk "
    "a mail address. Watch the pages meanwhile."
)
# (ja, en) each; {about} is what the cause concerns.
_RAISED: dict[Kind, tuple[str, str]] = {
    "counts_open": ("受信件数の内訳が合いません", "the counts of messages do not add up"),
    "consumer_behind": ("処理「{about}」が遅れています", 'the process "{about}" is behind'),
    "worker_lost": ("取り込み {about} が動いていません", "ingest worker {about} is not running"),
    "worker_broker": ("取り込み {about} がブローカーにつながりません", "ingest worker {about} cannot reach the broker"),
    "worker_database": (
        "取り込み {about} がデータベースに書き込めません",
        "ingest worker {about} cannot write to the database",
    ),
    "worker_full": ("取り込み {about} の処理が追いつきません", "ingest worker {about} cannot keep up"),
    "disk_full": ("データベースのディスクの空きがわずかです", "the disk of the database is nearly full"),
    "outbox_failing": ("通知を送信できていません", "notifications cannot be sent"),
    "nobody_told": (
        "{about}：アラートを知らせる相手がいません（これから24時間のうちに）",
        "{about}: nobody would be told of alerts (within the coming 24 hours)",
    ),
    "rules_untold": (
        "{about}：知らせる相手のいない条件があります（これから24時間のうちに）",
        "{about}: of some rules nobody would be told (within the coming 24 hours)",
    ),
    "backup_old": ("バックアップが3日以上作られていません", "no backup was made for more than 3 days"),
    "folders_lost": ("監視フォルダの処理が動いていません", "the watched folders are not read"),
    "folder_away": ("監視フォルダ「{about}」を開けません", 'the watched folder "{about}" cannot be opened'),
    "folder_late": (
        "取込停止：監視フォルダ「{about}」に、約束の間隔で新しい値が届いていません",
        'feed stopped: nothing new has come to the watched folder "{about}" for longer than agreed',
    ),
    "jma_stale": ("気象庁情報を取得できません", "the weather agency's information cannot be obtained"),
}
_CLEARED: dict[Kind, tuple[str, str]] = {
    "counts_open": ("受信件数の内訳が合うようになりました", "the counts of messages add up again"),
    "consumer_behind": ("処理「{about}」の遅れが解消しました", 'the process "{about}" has caught up'),
    "worker_lost": ("取り込み {about} が動いています", "ingest worker {about} is running again"),
    "worker_broker": ("取り込み {about} がブローカーにつながりました", "ingest worker {about} hears the broker again"),
    "worker_database": (
        "取り込み {about} がデータベースに書き込めるようになりました",
        "ingest worker {about} writes to the database again",
    ),
    "worker_full": ("取り込み {about} の処理が追いつきました", "ingest worker {about} keeps up again"),
    "disk_full": ("データベースのディスクに空きができました", "the disk of the database has room again"),
    "outbox_failing": ("送信できない通知はなくなりました", "no notification is left that cannot be sent"),
    "nobody_told": ("{about}：アラートを知らせる相手がいます", "{about}: there is somebody to tell of alerts"),
    "rules_untold": (
        "{about}：どの条件にも知らせる相手がいます",
        "{about}: of every rule there is somebody to tell",
    ),
    "backup_old": ("バックアップが作られました", "a backup was made"),
    "folders_lost": ("監視フォルダの処理が動いています", "the watched folders are read again"),
    "folder_away": (
        "監視フォルダ「{about}」を開けるようになりました",
        'the watched folder "{about}" can be opened again',
    ),
    "folder_late": (
        "監視フォルダ「{about}」の取り込みが再開しました",
        'new values come to the watched folder "{about}" again',
    ),
    "jma_stale": ("気象庁情報を取得できるようになりました", "the weather agency's information is obtained again"),
}
_TO_DO: dict[Kind, tuple[str, str]] = {
    "counts_open": (
        "プログラムの不具合の可能性があります。ログとデータベースを保存し、"
        "「機器ごとの受信」の表を添えて開発元に知らせてください。",
        "Probably a fault of the program. Keep the logs and the database, and report it with the table of the page "
        "Messages by device.",
    ),
    "consumer_behind": (
        "判定や集計が古いままの可能性があります。そのプロセスのログを見て、止まっていれば起動し直してください。",
        "Alerts or totals may be out of date. Look into the log of that process; start it again if it stands still.",
    ),
    "worker_lost": (
        "届いたメッセージはブローカーにたまっています。起動し直してください。"
        "減らすときは mimamori ingest drain {about} を実行します。",
        "Its messages wait at the broker. Start it again; where it is not to come back, run "
        "mimamori ingest drain {about}.",
    ),
    "worker_broker": (
        "観測値が届いていません。ブローカーと、そこまでのネットワークを確認してください。",
        "No readings arrive. Look at the broker, and at the network on the way to it.",
    ),
    "worker_database": (
        "メッセージはブローカーで待っています。データベースの動作・ディスクの空き・接続先の設定を確認してください。",
        "The messages wait at the broker. Look at the database, the room on its disk, and its address in the settings.",
    ),
    "worker_full": (
        "観測値の表示が遅れます。データベースの負荷を確認し、続くときは取り込みの数を増やしてください。",
        "Readings show late. Look at the load of the database; where it lasts, run more ingest workers.",
    ),
    "disk_full": (
        "空きがなくなると観測値を保存できません。不要なファイルを移すか、ディスクを増やしてください。",
        "Without room nothing can be stored. Move away what is not needed, or add disk.",
    ),
    "outbox_failing": (
        "アラートが担当者に届いていません。メールサーバーの設定と宛先を確認してください。その間は画面で確認してください。",
        "Those in charge are not told of alerts. Look at the settings of the mail server and at the addresses; "
        "watch the pages meanwhile.",
    ),
    "nobody_told": (_REACH, _REACH_EN),
    "rules_untold": (_REACH, _REACH_EN),
    "backup_old": (
        "mimamori backup が毎晩動いているか、保存先に空きがあるかを確認してください。",
        "See whether mimamori backup still runs every night, and whether there is room where it writes to.",
    ),
    "folders_lost": (
        "ファイルはフォルダに残っています。mimamori run folders のログを見て、起動し直してください。",
        "The files wait in their folders. Look into the log of mimamori run folders, and start it again.",
    ),
    "folder_away": (
        "共有の接続（マウント）、フォルダの名前、読み取りの権限を確認してください。",
        "Look whether the share is mounted, whether the folder still has its name, and whether it may be read.",
    ),
    "folder_late": (
        "この間の観測値は分かりません（0 でも、異常なしでもありません）。ファイルを作る側の機器・ソフト・回線と、"
        "「監視フォルダ」の画面で、読めずに残っているファイルがないかを確認してください。",
        "What was observed meanwhile is unknown; it is neither zero nor a sign that all is well. Look at the device, "
        "program and line that make the files, and on the page Watched folders at files that could not be read.",
    ),
    "jma_stale": (
        "発表がないという意味ではありません。気象庁のホームページで確かめてください。理由は「気象庁の電文」の画面に"
        "あります。mimamori run jma の動作、庁舎の回線、フォルダの受信ソフトを確認してください。",
        "This does not mean that nothing is issued: look at the agency's own pages. The page Telegrams says why. Look "
        "whether mimamori run jma runs, at the line, and at the receiver that writes into the folder.",
    ),
}


def about(language: str) -> str:
    """What the message is about."""
    return "運用のお知らせ" if language == "ja" else "operation"


def headline(cause: str, cleared: bool, language: str) -> str:
    """What is wrong, or that it is over.

    >>> headline("worker_lost:1", False, "en"), headline("disk_full", True, "ja")
    ('ingest worker 1 is not running', 'データベースのディスクに空きができました')
    """
    return _said(_CLEARED if cleared else _RAISED, cause, language)


def to_do(cause: str, language: str) -> str:
    """What the digital section does about it, for as long as it lasts."""
    return _said(_TO_DO, cause, language)


def _said(words: dict[Kind, tuple[str, str]], cause: str, language: str) -> str:
    kind = next(kind for kind in words if kind == kind_of(cause))
    column = 0 if language == "ja" else 1
    about = concerned(cause)
    if kind in NOBODY:
        about = DESKS.get(about, (about, about))[column]
    return words[kind][column].format(about=about)
