"""What the columns of a town's GIS mean, and what stands in them.

    known(said, short=) -> {meaning: text}       material, diameter, year, length, block, name, kind, elevation, closed
    number(text) -> float | None                 'φ150', '150㎜', '１５０'
    year(text) -> int                            'S62', '昭和62年度', '1987/4/1'; 0: not known
    fixture_kind(text) -> str | None             valve, hydrant, meter, tank
    material(text) -> str                        'ダクタイル鋳鉄管' -> 'DIP'

A column is known by its name, without width, blanks and what stands in brackets. A DBF cuts names to ten bytes, which
is three to five letters of Japanese: there (`short`) the beginning of a name is enough.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from analytics.visitors.pasting.periods import Bare, read_period

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "name": (
        "管路番号", "管番号", "管路id", "管id", "施設番号", "設備番号", "管理番号", "番号", "code", "pipeid", "pipe_id",
        "id", "name", "名称", "objectid", "fid",
    ),
    "material": ("管種", "管種名", "材質", "管材質", "material"),
    "diameter": ("口径", "管径", "呼び径", "呼径", "口径mm", "管口径", "diameter", "diametermm", "diam", "dia"),
    "year": (
        "布設年度", "布設年", "布設年月日", "布設年月", "敷設年度", "敷設年", "埋設年度", "埋設年", "施工年度", "year",
        "laid",
    ),
    "length": ("延長", "管路延長", "管延長", "実延長", "延長m", "length", "lengthm"),
    "block": ("配水ブロック", "ブロック", "ブロック名", "配水ブロック名", "配水区", "配水区域", "配水系統", "block"),
    "kind": ("種別", "種類", "設備種別", "施設種別", "弁種", "弁栓種別", "区分", "kind", "type", "class"),
    "elevation": ("標高", "地盤高", "elevation", "elev", "heightm"),
    "closed": ("開閉", "開閉状態", "status"),
}  # fmt: skip

_FIXTURES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("hydrant", ("消火栓", "hydrant", "排水栓")),
    ("valve", ("弁", "バルブ", "valve", "仕切", "制水")),
    ("meter", ("流量計", "量水器", "メータ", "水圧計", "圧力計", "meter", "sensor", "inlet")),
    ("tank", ("配水池", "タンク", "高区", "浄水", "水源", "tank", "reservoir")),
)
# Long before short: ダクタイル鋳鉄管 is no 鋳鉄管.
_MATERIALS = (
    ("ダクタイル", "DIP"), ("dip", "DIP"), ("dcip", "DIP"), ("hppe", "HPPE"), ("配水用ポリ", "HPPE"),
    ("硬質塩化ビニル", "VP"), ("塩化ビニル", "VP"), ("塩ビ", "VP"), ("hivp", "HIVP"), ("vp", "VP"), ("pvc", "VP"),
    ("石綿", "ACP"), ("acp", "ACP"), ("鋳鉄", "CIP"), ("cip", "CIP"), ("ポリエチレン", "PP"), ("pe", "PP"),
    ("pp", "PP"),
    ("ステンレス", "SUS"), ("sus", "SUS"), ("鋼管", "SP"), ("sgp", "SP"), ("sp", "SP"), ("鉛", "LP"),
    ("コンクリート", "CP"),
)  # fmt: skip


def known(said: Mapping[str, str], *, short: bool = False) -> dict[str, str]:
    """What a feature's attributes say, by meaning; the first column that means something is taken.

    >>> known({"管種": "VP", "口 径(mm)": "75", "備考": "x"}), known({"配水ブロッ": "中央"}, short=True)
    ({'material': 'VP', 'diameter': '75'}, {'block': '中央'})
    """
    found: dict[str, str] = {}
    plain = {_plain(key): value for key, value in said.items()}
    for meaning, names in COLUMNS.items():
        for name in names:
            if name in plain:
                found[meaning] = plain[name]
                break
        else:
            if short:
                cut = next((key for key in plain if _is_cut(key) and any(each.startswith(key) for each in names)), None)
                if cut is not None:
                    found[meaning] = plain[cut]
    return found


def number(text: str) -> float | None:
    """The number in a text; None where there is none.

    >>> number("φ１５０㎜"), number("1,234.5 m"), number("不明")
    (150.0, 1234.5, None)
    """
    found = re.search(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", unicodedata.normalize("NFKC", text).replace(",", "").lower())
    return None if found is None else float(found.group())


def year(text: str) -> int:
    """The year (of a 年度: the one it begins in); 0 where it is not said.

    >>> year("S62"), year("昭和62年度"), year("1987/4/1"), year("1987.0"), year("不明")
    (1987, 1987, 1987, 1987, 0)
    """
    plain = re.sub(r"\.0+$", "", unicodedata.normalize("NFKC", text).strip())
    if re.fullmatch(r"\d{4}", plain):
        return int(plain)  # also one that cannot be true: that is told as such
    part = read_period(plain, Bare.YEAR)
    if part is None:
        return 0
    return part.year or part.fiscal or 0


def fixture_kind(text: str) -> str | None:
    """What a point is, by its kind or the name of its file.

    >>> [fixture_kind(each) for each in ("地下式消火栓", "ソフトシール仕切弁", "配水池.shp", "電柱")]
    ['hydrant', 'valve', 'tank', None]
    """
    plain = unicodedata.normalize("NFKC", text).lower()
    return next((kind for kind, words in _FIXTURES if any(word in plain for word in words)), None)


def material(text: str) -> str:
    """The usual sign of a 管種; a text that is not known stays as it is.

    >>> material("ダクタイル鋳鉄管 K形"), material("硬質塩化ビニル管"), material("VP"), material("竹")
    ('DIP', 'VP', 'VP', '竹')
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    low = plain.lower()
    for word, sign in _MATERIALS:
        if (word in low) if not word.isascii() else re.match(rf"{word}(?![a-z])", low):
            return sign
    return plain


def _plain(key: str) -> str:
    text = unicodedata.normalize("NFKC", key).lower()
    return re.sub(r"[\s_.・]|[(\[].*?[)\]]", "", text)


def _is_cut(key: str) -> bool:
    """Whether a DBF may have cut it: with one letter more it would have been longer than ten bytes."""
    return len(key) >= 2 and (9 <= len(key.encode("cp932", "replace")) <= 10 or 8 <= len(key.encode()) <= 10)
