"""From a finding to a person: rules, the life cycle of alerts, the outbox and its channels, and the wording."""

from typing import TYPE_CHECKING, Any

from alerts.config import AlertsConfig, MailConfig

if TYPE_CHECKING:
    from alerts.service import run

__all__ = ["AlertsConfig", "MailConfig", "run"]


def __getattr__(name: str) -> Any:
    """The service, when it is asked for: the pages need this room's words and what people do with an alert."""
    if name == "run":
        from alerts.service import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
