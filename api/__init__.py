"""The way out: JSON API, live stream, sign-in, and the pages' server.

`api.app.create_app(config)` builds the application, `api.run(config, ...)` serves it until told to stop. Every
route declares who may use it where it is written (`api.access`); every error has one body (`api.errors`); every
row is read in the transaction of one municipality (`api.database`).
"""

from api.config import ApiConfig
from api.server import run

__all__ = ["ApiConfig", "run"]
