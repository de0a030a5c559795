"""A reference level in words for staff, and whose criterion it is: what 「警戒レベル○相当」 is said by.

    level_name(level, municipality, language, whose) -> str      with its name, for messages
    level_said(level, whose, language, owner) -> str             the number alone, for badges and lists

`whose` is the source that a person has stated of the set in force (`alerts.public.basis`), `own` where nobody has: only
the river administrator's levels and those that the town adopted by a document may be told outside as 警戒レベル○相当;
staff read of the town's own ones, too, which level they correspond to, and always that they are the town's own. What
residents read is decided in `alerts.public.words`.
"""

from __future__ import annotations

from typing import Literal

from devices.model import ThresholdLevel

Language = Literal["ja", "en"]
Whose = Literal["own", "administrator", "adopted"]

_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def whose_of(source: str | None) -> Whose:
    """What is stored, as it is meant; nothing stated: the municipality's own."""
    return "administrator" if source == "administrator" else "adopted" if source == "adopted" else "own"


def owner_of(municipality: str) -> str:
    """How a municipality calls itself: 市, 町, 村 or 区.

    >>> owner_of("美守町"), owner_of("")
    ('町', '市町村')
    """
    return municipality[-1] if municipality[-1:] in ("市", "町", "村", "区") else "市町村"


def criterion(whose: Whose, language: Language = "ja", owner: str = "町") -> str:
    """Whose criterion it is.

    >>> criterion("own"), criterion("administrator"), criterion("adopted", owner="市")
    ('町独自基準', '河川管理者の基準', '市が採用した基準')
    """
    if language == "en":
        return {
            "own": "the municipality's own criterion",
            "administrator": "the river administrator's criterion",
            "adopted": "a criterion that the municipality has adopted",
        }[whose]
    return {"own": f"{owner}独自基準", "administrator": "河川管理者の基準", "adopted": f"{owner}が採用した基準"}[whose]


def level_said(level: int, whose: Whose | None, language: Language = "ja", owner: str = "町") -> str:
    """A level without its name; `whose` None: of no gauge, or of several, whose levels need not be the same's.

    >>> level_said(4, "own"), level_said(4, "administrator"), level_said(4, None)
    ('警戒レベル４相当（町独自基準）', '警戒レベル４相当（河川管理者の基準）', '警戒レベル４相当')
    """
    if whose is None:
        return f"Level {level} equivalent" if language == "en" else f"警戒レベル{digits(level)}相当"
    if language == "en":
        return f"Level {level} equivalent ({criterion(whose, language).removeprefix('the ').removeprefix('a ')})"
    return f"警戒レベル{digits(level)}相当（{criterion(whose, language, owner)}）"


def level_name(level: ThresholdLevel, municipality: str, language: Language = "ja", whose: Whose = "own") -> str:
    """A reference level by name, with the 警戒レベル it corresponds to and whose criterion that is.

    >>> level_name(ThresholdLevel(4, "氾濫危険水位", "Danger level", 2.3), "美守町")
    '氾濫危険水位（警戒レベル４相当・町独自基準）'
    >>> level_name(ThresholdLevel(4, "氾濫危険水位", "Danger level", 2.3), "美守町", "en", "administrator")
    "Danger level (corresponds to Alert Level 4; the river administrator's criterion)"
    """
    said = criterion(whose, language, owner_of(municipality))
    if language == "en":
        return f"{level.name_en} (corresponds to Alert Level {level.level}; {said})"
    return f"{level.name}（警戒レベル{digits(level.level)}相当・{said}）"


def digits(number: int) -> str:
    """In full width, as Alert Levels are written."""
    return str(number).translate(_FULL_WIDTH)
