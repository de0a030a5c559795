"""JSONPath as an operator writes it (RFC 9535), bounded: whatever is written, looking costs no more than the message is
long, and nothing in it can run.

Allowed are names, indices, slices, wildcards, one ``..`` and one filter that compares what stands directly in the
element with a number or a text, as in ``$.values[?@.name == 'level'].value``. Not allowed: functions (``match`` and
``search`` take regular expressions, of which some never end), several selectors in one pair of brackets, a second
``..``, a filter in a filter, comparing one part of the message with another. So no element is visited twice.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice

from jsonpath import JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError
from jsonpath.filter import (
    BaseExpression,
    BooleanLiteral,
    FilterExpression,
    FloatLiteral,
    InfixExpression,
    IntegerLiteral,
    Nil,
    PrefixExpression,
    RelativeFilterQuery,
    StringLiteral,
)
from jsonpath.segments import JSONPathRecursiveDescentSegment
from jsonpath.selectors import Filter, IndexSelector, NameSelector, SliceSelector, WildcardSelector

LONGEST_PATH = 200
# What one path may find: samples of a month in one message, and no more.
MOST_FOUND = 5_000

_LITERALS = (StringLiteral, IntegerLiteral, FloatLiteral, BooleanLiteral, Nil)
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


class PathError(ValueError):
    """What is wrong with a path, in words for people."""


class _Environment(JSONPathEnvironment):
    max_recursion_depth = 64

    def setup_function_extensions(self) -> None:
        """None."""


_ENVIRONMENT = _Environment(strict=True)


class Path:
    """One path, ready to be looked up. PathError where it is none, or does what is not allowed."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST_PATH:
            raise PathError(f"a path may have {LONGEST_PATH} characters, this one has {len(text)}")
        if not text.startswith("$"):
            raise PathError("a path begins with $, which is the whole message, as in $.device.id")
        try:
            compiled = _ENVIRONMENT.compile(text)
        except JSONPathError as error:
            raise PathError(f"this is no JSONPath: {error.args[0] if error.args else error}") from None
        except (RecursionError, ValueError, OverflowError) as error:
            raise PathError(f"this is no JSONPath: {type(error).__name__}") from None
        if not isinstance(compiled, JSONPath):
            raise PathError("one path at a time: & and | are not for here")
        _check(compiled)
        self.text = text
        self._path = compiled

    def find(self, document: object) -> list[object]:
        """All that it leads to in a document, in order. PathError where that is too much, or nested too deeply."""
        try:
            found = list(islice(self._path.finditer(document), MOST_FOUND + 1))  # type: ignore[arg-type]
        except (JSONPathError, RecursionError):
            raise PathError("the message is nested too deeply for this path") from None
        if len(found) > MOST_FOUND:
            raise PathError(f"the path leads to more than {MOST_FOUND} places")
        return [match.obj for match in found]


@lru_cache(maxsize=512)
def path(text: str) -> Path:
    """The path of that text, made once. PathError as `Path`."""
    return Path(text)


def _check(compiled: JSONPath) -> None:
    descents = filters = 0
    for segment in compiled.segments:
        descents += isinstance(segment, JSONPathRecursiveDescentSegment)
        if len(segment.selectors) != 1:
            raise PathError("one selector in a pair of brackets: several, as in [0, 1], are not for here")
        (selector,) = segment.selectors
        if isinstance(selector, Filter):
            filters += 1
            _check_filter(selector.expression)
        elif not isinstance(selector, NameSelector | IndexSelector | SliceSelector | WildcardSelector):
            raise PathError(f"{selector} is not for here: names, indices, slices, * and a filter are")
    if descents > 1:
        raise PathError("one .. in a path: a second one would look at everything again and again")
    if filters > 1:
        raise PathError("one filter in a path")


def _check_filter(expression: BaseExpression) -> None:
    if isinstance(expression, FilterExpression | PrefixExpression):
        for child in expression.children():
            _check_filter(child)
        return
    if isinstance(expression, RelativeFilterQuery):
        if not expression.path.singular_query():
            raise PathError(f"{expression}: a filter looks at one thing in the element, as in @.name")
        return
    if isinstance(expression, InfixExpression):
        sides = (expression.left, expression.right)
        if expression.logical:
            for side in sides:
                _check_filter(side)
            return
        if expression.operator in _COMPARISONS and sum(isinstance(side, _LITERALS) for side in sides) == 1:
            for side in sides:
                if not isinstance(side, _LITERALS):
                    _check_filter(side)
            return
    raise PathError(f"{expression}: a filter compares what is in the element with a number or a text, and nothing else")
