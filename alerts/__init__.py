"""From a finding to a person: rules, the life cycle of alerts, the outbox and its channels, and the wording."""

from alerts.config import AlertsConfig, MailConfig
from alerts.service import run

__all__ = ["AlertsConfig", "MailConfig", "run"]
