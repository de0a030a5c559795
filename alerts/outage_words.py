"""What the rule `outage` says, in Japanese and English: what is silent, and where to look first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alerts.rules.outage import concerned, kind_of

# What a network is called by its users; others go by their own names.
NETWORKS: Mapping[str, str] = {
    "actility": "Actility ThingPark",
    "aws_iot_lorawan": "AWS IoT Core for LoRaWAN",
    "chirpstack_v3": "ChirpStack",
    "chirpstack_v4": "ChirpStack",
    "helium": "Helium",
    "mimamori_v1": "MQTT（JSON）",
    "sigfox": "Sigfox",
    "soracom": "Soracom",
    "the_things_stack_v3": "The Things Stack",
}
_NAMED = 30  # stations that a message names

# (ja, en) each; {about} is what the cause concerns.
_RAISED = {
    "gateway": (
        "ゲートウェイ {about} を通る観測所から届いていません",
        "nothing comes in through gateway {about}",
    ),
    "network": ("通信網 {about} から届いていません", "nothing comes in from the network {about}"),
    "all": ("すべての通信網から届いていません", "nothing comes in from any network"),
    "part": (
        "通信網 {about} の一部の観測所が同じころから届いていません",
        "some stations of the network {about} fell silent at about the same time",
    ),
}
_CLEARED = {
    "gateway": ("ゲートウェイ {about} からの受信が再開しました", "gateway {about} is heard again"),
    "network": ("通信網 {about} からの受信が再開しました", "the network {about} is heard again"),
    "all": ("受信が再開しました", "data are coming in again"),
    "part": (
        "通信網 {about} の観測所からの受信が再開しました",
        "the stations of the network {about} are heard again",
    ),
}
_TO_DO = {
    "gateway": (
        "ゲートウェイの電源と回線を確認してください。どちらも正常なら、通信網のサーバーを確認してください。",
        "Look at the power and the line of the gateway; where both are well, at the server of its network.",
    ),
    "network": (
        "通信網のサーバーと、そこからこのシステムまでの回線を確認してください。事業者の障害情報も見てください。",
        "Look at the server of the network and the line from there to here, and at what its operator reports.",
    ),
    "all": (
        "庁舎の回線と、ブローカーおよび HTTP の受け口を確認してください。",
        "Look at the line into the town hall, and at the broker and the HTTP intake.",
    ),
    "part": (
        "共通する原因（ゲートウェイ・基地局・停電・天候）がないか確認してください。",
        "Look for what they have in common: a gateway, a base station, a power cut, the weather.",
    ),
}


def headline(cause: str, cleared: bool, language: str) -> str:
    """What is silent, or that it is heard again.

    >>> headline("gateway:0016c001f156a3bd", False, "ja"), headline("network:sigfox", True, "en")
    ('ゲートウェイ 0016c001f156a3bd を通る観測所から届いていません', 'the network Sigfox is heard again')
    """
    return _said(_CLEARED if cleared else _RAISED, cause, language)


def to_do(cause: str, language: str) -> str:
    """Where the digital section looks first."""
    return _said(_TO_DO, cause, language)


def facts(cause: str, cleared: bool, stations: Sequence[tuple[str, str]], language: str) -> list[str]:
    """The lines of a message: which stations (names in Japanese and English), and what to do."""
    japanese = language == "ja"
    names = [each[0 if japanese else 1] for each in stations[:_NAMED]]
    more = len(stations) - len(names)
    if japanese:
        listed = "、".join(names) + (f"、ほか {more} か所" if more else "")
        lines = [f"観測所（{len(stations)} か所）：{listed}"]
        after = "このあとも届かない観測所は、あらためて一つずつお知らせします。"
    else:
        listed = ", ".join(names) + (f" and {more} more" if more else "")
        lines = [f"Stations ({len(stations)}): {listed}"]
        after = "A station that does not come back is told of by itself."
    return [*lines, after if cleared else to_do(cause, language)]


def _said(words: Mapping[str, tuple[str, str]], cause: str, language: str) -> str:
    about = concerned(cause)
    if kind_of(cause) in ("network", "part"):
        about = NETWORKS.get(about, about)
    return words[kind_of(cause)][0 if language == "ja" else 1].format(about=about)
