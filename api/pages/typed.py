"""A form whose fields have names that only the page knows (a field of a codec, say), as a route takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request


async def _typed(request: Request) -> Mapping[str, str]:
    """The texts of a form by name, whatever they are called; of a repeated one the last."""
    return {name: value for name, value in (await request.form()).multi_items() if isinstance(value, str)}


Form = Annotated[Mapping[str, str], Depends(_typed)]
