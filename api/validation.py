"""Says in words what pydantic found wrong with an input: where, what, and what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.language import Language

# pydantic's error type -> sentence; {…} are the error's own context values.
_SENTENCES: Mapping[str, tuple[str, str]] = {
    "missing": ("必須です。", "is required."),
    "json_invalid": ("JSON として読めません。", "is not valid JSON."),
    "int_parsing": ("整数で指定してください。", "must be a whole number."),
    "int_from_float": ("整数で指定してください。", "must be a whole number."),
    "float_parsing": ("数値で指定してください。", "must be a number."),
    "bool_parsing": ("true か false で指定してください。", "must be true or false."),
    "string_type": ("文字列で指定してください。", "must be a string."),
    "string_too_short": ("{min_length} 文字以上にしてください。", "must have at least {min_length} characters."),
    "string_too_long": ("{max_length} 文字以内にしてください。", "must have at most {max_length} characters."),
    "greater_than_equal": ("{ge} 以上にしてください。", "must be at least {ge}."),
    "less_than_equal": ("{le} 以下にしてください。", "must be at most {le}."),
    "greater_than": ("{gt} より大きくしてください。", "must be above {gt}."),
    "enum": ("次のどれかにしてください: {expected}", "must be one of: {expected}"),
    "literal_error": ("次のどれかにしてください: {expected}", "must be one of: {expected}"),
    "extra_forbidden": ("知らない項目です。", "is not a known field."),
    "model_attributes_type": ("JSON のオブジェクトで送ってください。", "must be a JSON object."),
    "dict_type": ("JSON のオブジェクトで送ってください。", "must be a JSON object."),
}


def explain(error: Mapping[str, Any], language: Language) -> dict[str, str]:
    """One item of `errors`: `where` (dotted path, first word is query, path, body...) and `problem`.

    The rejected value itself is never repeated: it may be a password.
    """
    where = ".".join(str(part) for part in error.get("loc", ()))
    ja, en = _SENTENCES.get(str(error.get("type")), ("", ""))
    context = {key: str(value) for key, value in (error.get("ctx") or {}).items()}
    if not en:
        ja = f"正しくありません（{error.get('msg', '')}）。"
        en = f"is not valid: {error.get('msg', '')}"
        return {"where": where, "problem": ja if language == "ja" else en}
    sentence = ja if language == "ja" else en
    return {"where": where, "problem": sentence.format_map(context)}
