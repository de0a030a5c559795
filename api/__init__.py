"""The way out: JSON API, live stream, sign-in, and the pages' server.

`api.app.create_app(config)` builds the application, `api.run(config, ...)` serves it until told to stop. Every
route declares who may use it where it is written (`api.access`); every error has one body (`api.errors`); every
row is read in the transaction of one municipality (`api.database`).
"""

from typing import TYPE_CHECKING, Any

from api.config import ApiConfig

if TYPE_CHECKING:
    from api.server import run

__all__ = ["ApiConfig", "run"]


def __getattr__(name: str) -> Any:
    """`run`, when it is asked for: who wants a role or a password needs no server, which takes a second to import."""
    if name == "run":
        from api.server import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
