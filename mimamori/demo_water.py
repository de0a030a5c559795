"""What the demo's waterworks have entered before anybody looks: all of it invented, and says so.

works(conn, code, now)    which pipes lie behind the inlet, what is used there at night, what customers' meters read,
                          the price of water, and a case of a leak search in each column of the board
smart_meters(conn, code, key_file, now)    six weeks of the hourly readings of a street, by a key of the demo's own

Everything is dated before `now` and written once, in the name of the demo's waterworks.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from analytics.leaks.blocks import stored as blocks
from analytics.leaks.blocks.meter_file import Plan
from analytics.leaks.blocks.night_use import Use
from analytics.leaks.cases import stored as cases
from analytics.leaks.cases.case import ENDED, FOUND, NOTHING, PLANNED, REPAIRED
from analytics.leaks.cases.stored import NewCase, NewStep
from analytics.leaks.cases.walk import around, of_block
from analytics.leaks.meters import intake
from analytics.leaks.meters import stored as meters
from analytics.leaks.meters.keyed import new_key
from analytics.leaks.network import stored as networks
from mimamori.key_files import make
from simulators.chance import uniform
from store import Connection

INLET = "block-hamamachi"
_USE = Use(1050, 3.0, 0.0)  # of 2,500 people; what the simulated town draws at three o'clock
_BILLED_A_DAY = 615.0  # m3, of the simulated 625
_YEN_M3 = 182.0
_NOTE = "【模擬】"
_METERS, _DAYS = 16, 42
_LEAKING, _STILL = 4, 11  # of the meters: one whose water does not stop, one that stands still
_LEAK, _STILL_FROM = 18, 15  # L/h; days ago
# Of a day's litres, by hour: nobody draws before dawn.
_DRAWN = (0, 0, 0, 0, 0, 1, 4, 6, 5, 3, 2, 2, 3, 2, 1, 2, 3, 5, 7, 7, 6, 5, 3, 1)


def works(conn: Connection, code: str, now: datetime) -> None:
    """Writes it down where nobody has; nothing where the town has no network or no such inlet."""
    row = conn.execute(
        "select municipality_id, user_id from app_user join municipality using (municipality_id) "
        "where code = %s and role = 'water' order by user_id limit 1",
        (code,),
    ).fetchone()
    assert row is not None, "the demo's accounts are there"
    town, user = row
    of_block_ = conn.execute(
        "select s.station_id, m.name from station s join map_shape m using (municipality_id) "
        "where s.municipality_id = %s and s.code = %s and m.kind = 'block' and m.properties ->> 'station' = s.code",
        (town, INLET),
    ).fetchone()
    number = networks.present(conn, town)
    if of_block_ is None or number is None or cases.cases(conn, town):
        return
    station, name = of_block_
    blocks.choose_pipes(conn, town, station, name, at=now, user_id=user)
    blocks.put_use(conn, town, station, _USE, fills=None, note=_NOTE, at=now, user_id=user)
    plan = Plan()
    for first, last in ((date(2026, 2, 10), date(2026, 4, 10)), (date(2026, 4, 10), date(2026, 6, 10))):
        plan.put[station, (first, last)] = (_BILLED_A_DAY * (last - first).days, 600.0)
    blocks.put_metered(conn, town, plan, file="【模擬】検針.csv", at=now, user_id=user)
    cases.set_price(conn, town, _YEN_M3, now=now, user_id=user)
    _cases(conn, town, user, station, number, name, now)


def smart_meters(conn: Connection, code: str, key_file: Path, now: datetime) -> None:
    """Takes in, once, what the meters of a street have sent; the key is made beside the demo's other things."""
    row = conn.execute(
        "select municipality_id, user_id, timezone from app_user join municipality using (municipality_id) "
        "where code = %s and role = 'water' order by user_id limit 1",
        (code,),
    ).fetchone()
    assert row is not None, "the demo's accounts are there"
    town, user, zone = row[0], row[1], ZoneInfo(row[2])
    if meters.files(conn, town):
        return
    make(key_file, new_key, "")
    block = next((each.pipes for each in blocks.blocks(conn) if each.pipes is not None), None) or ""
    first = now.astimezone(zone).date() - timedelta(days=_DAYS)
    lines = ["メーター番号,日時,使用量(L),ブロック"]
    for meter in range(1, _METERS + 1):
        for day in range(_DAYS):
            for hour, share in enumerate(_DRAWN):
                drawn = 5 * round(share * uniform("meter", meter, day, hour) * 3)
                if meter == _STILL and day >= _DAYS - _STILL_FROM:
                    drawn = 0
                if meter == _LEAKING and day >= _DAYS - 6:
                    drawn += _LEAK
                at = first + timedelta(days=day)
                lines.append(f"900{meter:03},{at} {hour:02}:00,{drawn},{block}")
    found = intake.understood("\n".join(lines).encode(), zone=zone, now=now)
    key = key_file.read_text(encoding="utf-8").strip()
    intake.take_in(conn, (town, code), key, found, "【模擬】検針.csv", now=now, user_id=user)


def _cases(conn: Connection, town: int, user: int, station: int, number: int, block: str, now: datetime) -> None:
    network = networks.network_of(conn, town, number)
    names = network.pipes.names
    everywhere = tuple(of_block(network, block).tolist())
    if not everywhere:
        return

    def near(place: int) -> tuple[tuple[int, ...], int]:
        pipe = everywhere[place % len(everywhere)]
        return tuple(around(network, pipe, 300).tolist()), pipe

    def days(n: float) -> datetime:
        return now - timedelta(days=n)

    def opened(name: str, reason: str, ago: float, began: float, size: float | None, place: int | None) -> int:
        pipes, suspect = (everywhere, None) if place is None else near(place)
        new = NewCase(
            f"{_NOTE}{name}",
            reason,
            None,
            number,
            pipes,
            suspect,
            days(began),
            size,
            station if place is None else None,
        )
        return cases.open_case(conn, town, new, now=days(ago), user_id=user)

    def step(case_id: int, kind: str, ago: float, at: datetime | None = None, **said: object) -> None:
        (case,) = cases.cases(conn, town, case_id)
        new = NewStep(kind, days(ago) if at is None else at, **said)  # type: ignore[arg-type]
        cases.take(conn, town, case, new, now=days(ago), user_id=user)

    mended = opened("港通り 道路のぬれ", "通報：雨でもないのに舗装がぬれている", 40, 44, 0.8, 4)
    step(mended, NOTHING, 38, km=1.2, text="昼は交通音で聞き取れず")
    step(mended, FOUND, 36, what="service", pipe=names[near(4)[1]], size_m3h=0.6, km=0.9)
    step(mended, REPAIRED, 35, text="分水栓を交換")
    none = opened("公民館裏 夜間の流れ", "検針員の気づき", 30, 33, None, 9)
    step(none, NOTHING, 28, km=1.6)
    step(none, ENDED, 27, what="explained", text="冷却水の使用と分かった")
    found = opened("浜町東 音聴で反応", "消火栓で漏水音", 9, 15, 1.1, 14)
    step(found, FOUND, 2, what="joint", pipe=names[near(14)[1]], size_m3h=0.9, km=1.4, text="資材待ち")
    planned = opened("漁協前 水圧低下の声", "2軒から水の出が悪いとの電話", 4, 6, 0.7, 20)
    step(planned, PLANNED, 3, at=now + timedelta(days=2), text="夜11時から")
    opened("浜町 夜間の超過", "夜間最小流量がふだんの使用より多い", 1, 20, 1.5, None)
