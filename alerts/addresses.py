"""What an address looks like on a kind of channel, so that a slip of the pen is told when it is made, not at night.

Only the form is looked at. Whether somebody reads there is known once they have answered.
"""

from __future__ import annotations

import re

MOST_LETTERS = 200
_FORMS = {
    "mail": re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+"),
    "line": re.compile(r"U[0-9a-f]{32}"),
    "webpush": re.compile(r"(?!)"),  # a browser is allowed by its owner, not typed in by somebody else
}


def fits(kind: str, address: str) -> bool:
    """Whether it can be an address of that kind of channel.

    >>> fits("mail", "tanaka@town.example.jp"), fits("mail", "tanaka@town, suzuki@town"), fits("mail", "")
    (True, False, False)
    >>> fits("line", "U" + "0123456789abcdef" * 2), fits("line", "@mimamori"), fits("http", "+81-90-0000-0000")
    (True, False, True)
    >>> fits("webpush", "Android Chrome #12")
    False
    """
    if not 0 < len(address) <= MOST_LETTERS or not address.isprintable():
        return False
    form = _FORMS.get(kind)
    return form is None or form.fullmatch(address) is not None
