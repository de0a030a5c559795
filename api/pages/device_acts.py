"""What the forms of a device's page do: typed texts -> one function of the store each.

ACTS[name](doing, typed)      raises RegistrationError, whose field is the name of the form's field
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from api.pages.duty_form import typed_duty
from devices.duty import WATER_LEVEL
from store import calibrations, planned_work, records, registration
from store.connection import Connection
from store.duty import change_duty, duties
from store.errors import RegistrationError

__all__ = ["ACTS", "UTC", "Doing"]


@dataclass(frozen=True, slots=True)
class Doing:
    """Who does something to which device when, inside a transaction."""

    conn: Connection
    municipality_id: int
    device_id: int
    key: str
    user_id: int
    now: datetime
    zone: ZoneInfo

    def moment(self, typed: Mapping[str, str], field: str) -> datetime:
        """A local time as a form sends it (2026-06-01T09:00)."""
        try:
            given = datetime.fromisoformat(typed.get(field, "").strip())
        except ValueError:
            raise RegistrationError(field, "this is no date and time: write it as 2026-06-01T09:00") from None
        return (given.replace(tzinfo=self.zone) if given.tzinfo is None else given).astimezone(UTC)

    def number(self, typed: Mapping[str, str], field: str, default: float) -> float:
        text = typed.get(field, "").strip()
        if not text:
            return default
        try:
            return float(text)
        except ValueError:
            raise RegistrationError(field, f"{text[:40]!r} is no number") from None


def _day(typed: Mapping[str, str], field: str) -> date | None:
    text = typed.get(field, "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise RegistrationError(field, "this is no date: write it as 2026-06-01") from None


def _text(typed: Mapping[str, str], field: str) -> str | None:
    text = typed.get(field, "").replace("\x00", "").strip()
    return text or None


def _record(doing: Doing, typed: Mapping[str, str]) -> None:
    star = typed.get("jc_star", "")
    if star not in ("", "1", "2", "3", "4"):
        raise RegistrationError("jc_star", "JC-STAR has the levels 1 to 4")
    record = records.DeviceRecord(
        serial_number=_text(typed, "serial_number"),
        owner=_text(typed, "owner"),
        phone=_text(typed, "phone"),
        battery_type=_text(typed, "battery_type"),
        battery_exchanged=_day(typed, "battery_exchanged"),
        solar={"yes": True, "no": False}.get(typed.get("solar", "")),
        service_ends=_day(typed, "service_ends"),
        jc_star=int(star) if star else None,
        jc_star_label=_text(typed, "jc_star_label"),
        note=_text(typed, "note"),
    )
    records.put_record(doing.conn, doing.municipality_id, doing.device_id, record, now=doing.now, user_id=doing.user_id)


def _maintenance(doing: Doing, typed: Mapping[str, str]) -> None:
    records.add_maintenance(
        doing.conn,
        doing.municipality_id,
        doing.device_id,
        done_at=doing.moment(typed, "done_at"),
        done_by=_text(typed, "done_by") or "",
        work=_text(typed, "work") or "",
        now=doing.now,
        user_id=doing.user_id,
    )


def _work(doing: Doing, typed: Mapping[str, str]) -> None:
    planned_work.plan_work(
        doing.conn,
        doing.municipality_id,
        doing.device_id,
        starts_at=doing.moment(typed, "starts_at"),
        ends_at=doing.moment(typed, "ends_at"),
        work=_text(typed, "work") or "",
        now=doing.now,
        user_id=doing.user_id,
    )


def _cancel_work(doing: Doing, typed: Mapping[str, str]) -> None:
    number = typed.get("planned_work", "")
    known = planned_work.planned_work(
        doing.conn, doing.municipality_id, doing.now, datetime.max.replace(tzinfo=UTC), device_id=doing.device_id
    )
    if number not in {str(work.planned_work_id) for work in known} or not planned_work.cancel_work(
        doing.conn, doing.municipality_id, int(number), now=doing.now, user_id=doing.user_id
    ):
        raise RegistrationError("planned_work", "this work is over, or has been called off already")


def _calibrate(doing: Doing, typed: Mapping[str, str]) -> None:
    series = typed.get("datastream", "")
    calibrations.calibrate(
        doing.conn,
        doing.municipality_id,
        doing.device_id,
        int(series) if series.isascii() and series.isdigit() and len(series) < 10 else 0,
        start=doing.moment(typed, "start"),
        end=doing.moment(typed, "end") if typed.get("end", "").strip() else None,
        gain=doing.number(typed, "gain", 1.0),
        offset=doing.number(typed, "offset", 0.0),
        reason=_text(typed, "reason") or "",
        now=doing.now,
        user_id=doing.user_id,
    )


def _withdraw(doing: Doing, typed: Mapping[str, str]) -> None:
    number = typed.get("calibration", "")
    own = calibrations.calibrations(doing.conn, doing.municipality_id, device_id=doing.device_id)
    if number not in {str(each.calibration_id) for each in own}:
        raise RegistrationError("calibration", "there is no such calibration")
    calibrations.withdraw_calibration(
        doing.conn,
        doing.municipality_id,
        int(number),
        reason=_text(typed, "reason") or "",
        now=doing.now,
        user_id=doing.user_id,
    )


def _move(doing: Doing, typed: Mapping[str, str]) -> None:
    """To another station; what the device measures otherwise than its model says goes with it."""
    own = registration.mountings(doing.conn, doing.municipality_id, key=doing.key)
    registration.attach(
        doing.conn,
        doing.municipality_id,
        doing.key,
        typed.get("station", ""),
        since=doing.moment(typed, "since"),
        mapping=own[0].mapping if own else (),
    )


def _detach(doing: Doing, typed: Mapping[str, str]) -> None:
    registration.detach(doing.conn, doing.municipality_id, doing.key, until=doing.moment(typed, "until"))


def _swap(doing: Doing, typed: Mapping[str, str]) -> None:
    registration.swap(doing.conn, doing.municipality_id, doing.key, typed.get("new", ""), at=doing.moment(typed, "at"))


def _silence(doing: Doing, typed: Mapping[str, str]) -> None:
    minutes = doing.number(typed, "minutes", 0.0)
    if not 1 <= minutes <= 366 * 24 * 60:
        raise RegistrationError("minutes", "give the minutes after which somebody should look, like 90")
    registration.change_device(
        doing.conn, doing.municipality_id, doing.key, silence_after=timedelta(minutes=round(minutes))
    )


def _duty(doing: Doing, typed: Mapping[str, str]) -> None:
    before = duties(doing.conn).get(doing.device_id)
    duty = typed_duty(typed, WATER_LEVEL if before is None else before.observed_property)
    change_duty(doing.conn, doing.municipality_id, doing.key, duty)


def _duty_ended(doing: Doing, typed: Mapping[str, str]) -> None:
    if doing.device_id not in duties(doing.conn):
        raise RegistrationError("duty", "this device keeps its pace already")
    change_duty(doing.conn, doing.municipality_id, doing.key, None)


ACTS: Mapping[str, Callable[[Doing, Mapping[str, str]], None]] = MappingProxyType(
    {
        "record": _record,
        "maintenance": _maintenance,
        "work": _work,
        "cancel_work": _cancel_work,
        "calibration": _calibrate,
        "withdraw": _withdraw,
        "move": _move,
        "detach": _detach,
        "swap": _swap,
        "silence": _silence,
        "duty": _duty,
        "duty_ended": _duty_ended,
    }
)
