"""What this room raises.

IngestError
  ConfigError    the configuration cannot work: which field, why, what to do
  BrokerError    a broker is missing, did not start, or does not accept us: which one, where its log is
  HistoryError   a file cannot be read at all: which file and line, what to do; in both languages
  SourceError    a source of the HTTP intake cannot be made or revoked: why, what to do
  DrainRefused   a worker's sessions may not be emptied: why, what to do
  NotTaken       a posted message was not stored: the sender is to send it again

A line of it that cannot be taken is no error but an entry of the file's report: `Wrong` is why, in both languages, as
the people who mend a file are not those who read logs.
A message that cannot be read is not an error of this room: it is stored raw as quarantined, with the reason.
"""

from __future__ import annotations


class IngestError(Exception):
    """Base of what this room raises."""


class ConfigError(IngestError):
    """The configuration cannot work."""


class BrokerError(IngestError):
    """A broker is missing, did not start, or does not accept us."""


class Wrong(ValueError):
    """Why something of a line cannot be taken; `str` is the English sentence."""

    def __init__(self, en: str, ja: str) -> None:
        super().__init__(en)
        self.ja = ja


class HistoryError(IngestError):
    """A file cannot be read at all; `str` is the English sentence."""

    def __init__(self, en: str, ja: str) -> None:
        super().__init__(en)
        self.ja = ja


class SourceError(IngestError):
    """A source of the HTTP intake cannot be made or revoked."""


class DrainRefused(IngestError):
    """A worker's sessions may not be emptied."""


class NotTaken(IngestError):
    """A posted message was not stored; `soon`: it may be sent again at once."""

    def __init__(self, why: str, *, soon: bool = False) -> None:
        super().__init__(why)
        self.soon = soon
