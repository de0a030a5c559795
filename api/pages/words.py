"""The words of the pages: one catalogue a language, same keys (`api.language.page_language_of` chooses).

A catalogue is a flat JSON object in dashboards/locales; placeholders are ``{name}`` of str.format. Names of stations
and thresholds are data with a name_en beside the name; `Language.name` picks one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from api.language import LANGUAGES


class WordsError(Exception):
    """A catalogue is not what the pages need: which file and which keys are in the message."""


@dataclass(frozen=True, slots=True)
class Words:
    """One language. Called with a key and its placeholders it gives the text; an unknown key is a KeyError."""

    code: str
    texts: Mapping[str, str]

    def __call__(self, key: str, /, **values: object) -> str:
        text = self.texts[key]
        return text.format(**values) if values else text

    def name(self, japanese: str, english: str) -> str:
        return english if self.code == "en" and english else japanese


def load_words(folder: Path) -> dict[str, Words]:
    """The catalogues of a folder. Raises WordsError where one lacks keys another has."""
    texts = {code: json.loads((folder / f"{code}.json").read_text("utf-8")) for code in LANGUAGES}
    every = set().union(*texts.values())
    for code, catalogue in texts.items():
        missing = sorted(every - set(catalogue))
        if missing:
            raise WordsError(f"{folder / code}.json lacks: {', '.join(missing)}")
    return {code: Words(code, catalogue) for code, catalogue in texts.items()}
