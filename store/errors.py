"""What the store raises.

StoreError
  ServerError        the embedded PostgreSQL could not be prepared, started or stopped
  MigrationError     the schema could not be brought up to date
  ClockNotSet        the database has no town clock yet: `mimamori migrate` or the demo writes it
  BackupError        a backup could not be made, or cannot be put back: which file, what is wrong, what to do
  TownConflict       a town file contradicts what the database already holds
  RegistrationError  a station, device, model or codec cannot be registered like this: which field, what, what to do
  SpotError          a spot cannot be changed like this, or a count or factor not be kept: what is wrong with it
  RecordError        the headquarters' record cannot be written like this: which field, what is wrong with it
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of what this room raises."""


class ServerError(StoreError):
    """The embedded PostgreSQL could not be prepared, started or stopped."""


class MigrationError(StoreError):
    """The schema could not be brought up to date."""


class ClockNotSet(StoreError):
    """The database has no town clock yet."""


class BackupError(StoreError):
    """A backup could not be made, or cannot be put back."""


class TownConflict(StoreError):
    """A town file contradicts what the database already holds."""


class RegistrationError(StoreError):
    """A station, device, device model or codec cannot be registered like this.

    `field` names what is to be put right, as the functions of `store.registration` and `store.models` call it (`key`,
    `name`, `mapping`, ...); the text says what is wrong and what to do.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class RecordError(StoreError):
    """The headquarters' record cannot be written like this.

    `field` names what is to be put right, `code` says what is wrong with it: `empty`, `long`, `unreadable`, `future`,
    `order` (an end before its beginning), `changed` (somebody else has corrected it meanwhile), `unknown` (there is no
    such thing). Those of a camera stand in `store.cameras`.
    """

    def __init__(self, field: str, code: str) -> None:
        super().__init__(f"{field}: {code}")
        self.field = field
        self.code = code


class SpotError(StoreError):
    """A spot cannot be changed like this, or a manual count or factor not be kept.

    `code` says what is wrong, as the functions of `store.spots` and `store.count_factors` name it.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
