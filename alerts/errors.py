"""What this room raises.

AlertsError
  RealChannelsOnSimulatedClock  a simulated town must not write to real people
  ChannelFileError              the operator's file of channels is not what it should be: where, and what
  AskedAlready                  a test of this group was asked for just now
  ActionError                   a person's action was refused; the text says why and what to do
    AlertNotFound
    AlreadyAcknowledged         the first acknowledgement stands: by whom, when
    AlreadyCleared              by whom (None: the rule), when
    AlreadyRetracted            by whom, when
    NotRetracted                what was not retracted cannot count again
    NoSuchPerson                who is to go there is nobody of the town's people
    NoteRequired                the action needs a reason in words
    NothingUnconfirmed          no reading of it waits for a person's word
    ClearingRefused
      StillAbove                the latest reading is at or above the clearing level
      StillSilent               the device has not been heard again
      StillWrong                what is wrong with the operation is still wrong

`alerts.explaining.explain(error, language)` says each ActionError to the person on the page; str() is for logs and the
API. A caller writes::

    try:
        acknowledge(conn, municipality_id, alert_id, user_id, at=clock.now())
    except AlreadyAcknowledged as first:
        ...
"""

from __future__ import annotations

from datetime import datetime


class AlertsError(Exception):
    """Base of what this room raises."""


class RealChannelsOnSimulatedClock(AlertsError):
    """A simulated town must not write to real people."""


class ChannelFileError(AlertsError):
    """The operator's file of channels is not what it should be; the message names file, channel and fault."""


class AskedAlready(AlertsError):
    """A test message to this group was asked for just now: a second press is none."""

    def __init__(self, group_id: int) -> None:
        super().__init__(f"a test of group {group_id} was asked for less than a minute ago")
        self.group_id = group_id


class ActionError(AlertsError):
    """A person's action was refused."""


class AlertNotFound(ActionError):
    """There is no such alert in this municipality."""

    def __init__(self, alert_id: int) -> None:
        super().__init__(f"there is no alert {alert_id} in this municipality")
        self.alert_id = alert_id


class AlreadyAcknowledged(ActionError):
    """The first acknowledgement stands."""

    def __init__(self, alert_id: int, by: str, at: datetime) -> None:
        super().__init__(f"alert {alert_id} was acknowledged by {by} at {at:%Y-%m-%d %H:%M} UTC")
        self.alert_id, self.by, self.at = alert_id, by, at


class AlreadyCleared(ActionError):
    """It is over; `by` is None where the rule cleared it."""

    def __init__(self, alert_id: int, by: str | None, at: datetime) -> None:
        super().__init__(f"alert {alert_id} was cleared by {by or 'its rule'} at {at:%Y-%m-%d %H:%M} UTC")
        self.alert_id, self.by, self.at = alert_id, by, at


class AlreadyRetracted(ActionError):
    """It was taken back as false: once is enough, and everybody was told."""

    def __init__(self, alert_id: int, by: str, at: datetime) -> None:
        super().__init__(f"alert {alert_id} was retracted by {by} at {at:%Y-%m-%d %H:%M} UTC")
        self.alert_id, self.by, self.at = alert_id, by, at


class NotRetracted(ActionError):
    """Nobody took it back."""

    def __init__(self, alert_id: int) -> None:
        super().__init__(f"alert {alert_id} has not been retracted")
        self.alert_id = alert_id


class NoSuchPerson(ActionError):
    """Who is to go there is not, or no more, among the people of the town."""

    def __init__(self, alert_id: int, person_id: int) -> None:
        super().__init__(f"alert {alert_id}: there is no person {person_id} who could be sent there")
        self.alert_id, self.person_id = alert_id, person_id


class NoteRequired(ActionError):
    """The action needs a reason in words. `overlong` where it has too many."""

    def __init__(self, alert_id: int, *, overlong: bool = False) -> None:
        super().__init__(
            f"alert {alert_id}: the note is longer than a note may be"
            if overlong
            else f"alert {alert_id}: this needs a note that says what you know or have seen"
        )
        self.alert_id, self.overlong = alert_id, overlong


class NothingUnconfirmed(ActionError):
    """No reading of this alert waits for a person's word: others bear it out, or people were told."""

    def __init__(self, alert_id: int) -> None:
        super().__init__(f"alert {alert_id}: no reading of it is unconfirmed any more")
        self.alert_id = alert_id


class ClearingRefused(ActionError):
    """The cause is still there."""


class StillAbove(ClearingRefused):
    """The latest usable reading (`value` metres at `time`) is not below the clearing level."""

    def __init__(self, alert_id: int, value: float, time: datetime, clearing_level: float) -> None:
        super().__init__(
            f"alert {alert_id} cannot be cleared: the latest reading is {value:.2f} m at {time:%Y-%m-%d %H:%M} UTC, "
            f"not below {clearing_level:.2f} m"
        )
        self.alert_id, self.value, self.time, self.clearing_level = alert_id, value, time, clearing_level


class StillSilent(ClearingRefused):
    """The device has not been heard since `since` (None: never)."""

    def __init__(self, alert_id: int, device_key: str, since: datetime | None) -> None:
        heard = "never" if since is None else f"last at {since:%Y-%m-%d %H:%M} UTC"
        super().__init__(f"alert {alert_id} cannot be cleared: device {device_key} is still silent (heard {heard})")
        self.alert_id, self.device_key, self.since = alert_id, device_key, since


class StillWrong(ClearingRefused):
    """What is wrong with the operation, or the outage (`cause` of that rule), is still there."""

    def __init__(self, alert_id: int, cause: str, *, outage: bool = False) -> None:
        super().__init__(
            f"alert {alert_id} cannot be cleared: {cause} is still so; it clears by itself when it is over"
        )
        self.alert_id, self.cause, self.outage = alert_id, cause, outage
