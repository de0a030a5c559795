"""What is run for a codec, in this order: the parts of the prelude that it needs, Node's Buffer if it uses that, and
its source, as it is except for what only a module may say.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from devices.codecs.javascript.words import OWN_LINES

ENTRIES = ("decodeUplink", "Decode", "Decoder")

_HERE = Path(__file__).parent
_HEADING = re.compile(r"^// --- (always|with|without)(?:: (.*))?$", re.MULTILINE)
_EXPORT_NAMELESS = re.compile(r"^([ \t]*)export[ \t]+default[ \t]+(function[ \t]*\()", re.MULTILINE)
_EXPORT = re.compile(
    r"^([ \t]*)export[ \t]+(default[ \t]+)?(?=(?:async[ \t]+)?(?:function|class|const|let|var)\b)", re.MULTILINE
)
_EXPORT_LIST = re.compile(r"^[ \t]*export[ \t]*(?:default[ \t]*)?\{([^{}]*)\}[ \t]*;?", re.MULTILINE)


def scripts_of(source: str) -> tuple[str, str, str]:
    """The prelude, the additions (may be empty) and the script of a codec's source."""
    # What a codec can reach without naming it at all comes with these words; then it has all parts.
    anything = any(word in source for word in ("globalThis", "eval", "Function", "\\u"))
    parts = []
    for when, words, text in _parts():
        named = anything or any(word in source for word in words)
        if when == "always" or named == (when == "with"):
            parts.append(text)
    # The Buffer stands far down, so that its lines are not taken for the codec's.
    additions = "\n" * OWN_LINES + own_script("buffer.js") if "Buffer" in source else ""
    return "".join(parts), additions, _as_script(source)


@lru_cache(maxsize=3)
def own_script(name: str) -> str:
    """One of our own files."""
    return (_HERE / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _parts() -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """The prelude's parts: when they are there, the words that say so, the text."""
    _, *rest = _HEADING.split(own_script("prelude.js"))
    whole = zip(rest[0::3], rest[1::3], rest[2::3], strict=True)
    return tuple((when, tuple((words or "").split()), text) for when, words, text in whole)


def _as_script(source: str) -> str:
    """The source with `export` taken out, every line where it was."""
    if "export" not in source:
        return source
    source = _EXPORT_NAMELESS.sub(r"\1var decodeUplink = \2", source)
    return _EXPORT_LIST.sub(_aliases, _EXPORT.sub(r"\1", source))


def _aliases(found: re.Match[str]) -> str:
    """What `export {a as decodeUplink}` says, as a script; as many lines as it had."""
    said = []
    for each in found[1].split(","):
        if ":" in each:  # of an object: its name first
            outer, inner = (part.strip() for part in each.split(":", 1))
        else:
            inner, _, outer = (part.strip() for part in re.sub(r"\s+as\s+", "\0", each.strip()).partition("\0"))
        if outer in ENTRIES and inner != outer:
            said.append(f"var {outer} = {inner};")
    return "".join(said) + "\n" * found[0].count("\n")
