"""What one running application holds, as `app.state.api`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from api.config import ApiConfig
from api.database import Database
from api.throttle import Throttle
from devices.codecs.javascript import Sandbox

if TYPE_CHECKING:
    from api.instruments import Instruments
    from api.live import Hub
    from api.tiles import TileFile
    from ingest.intake import Intake


@dataclass(slots=True)
class ApiState:
    """Made by `create_app`, shared by every request of the process."""

    config: ApiConfig
    database: Database
    hub: Hub
    instruments: Instruments
    tiles: TileFile
    intake: Intake | None = None
    sandbox: Sandbox = field(default_factory=Sandbox)  # where pages try manufacturers' codecs; starts when one is tried
    throttle_login: Throttle = field(default_factory=lambda: Throttle(free=3))
    # a whole town hall may sit behind one address
    throttle_address: Throttle = field(default_factory=lambda: Throttle(free=30))
    throttle_intake: Throttle = field(default_factory=lambda: Throttle(free=30))
    throttle_answer: Throttle = field(default_factory=lambda: Throttle(free=30))

    @property
    def session_length(self) -> timedelta:
        return timedelta(hours=self.config.session_hours)
