"""What this room raises.

IngestError
  ConfigError    the configuration cannot work: which field, why, what to do
  BrokerError    a broker is missing, did not start, or does not accept us: which one, where its log is

A message that cannot be read is not an error of this room: it is stored raw as quarantined, with the reason.
"""

from __future__ import annotations


class IngestError(Exception):
    """Base of what this room raises."""


class ConfigError(IngestError):
    """The configuration cannot work."""


class BrokerError(IngestError):
    """A broker is missing, did not start, or does not accept us."""
