"""The rule of outage: one cause, one incident, whoever was heard when; and what a single fault never looks like."""

from __future__ import annotations

import bisect
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from alerts.rules.outage import FEWEST, LATE, Judged, OpenOutage, Outage, Sender, judge_outages
from alerts.rules.silence import Hearing, Listened, Listening, hearing

MINUTE = timedelta(minutes=1)
ORIGIN = datetime(2026, 6, 1, tzinfo=UTC)
SEEDS = range(6)
LONGEST = 5000.0  # minutes


def at(minute: float) -> datetime:
    return ORIGIN + minute * MINUTE


def listening(minute: float, since: float = -10_000) -> Listening:
    return Listening(at(since), at(minute))


def sender(
    number: int,
    heard: float,
    *,
    interval: float = 10,
    after: float = 40,
    network: str | None = "lora",
    gateway: str | None = "north",
) -> Sender:
    listened = Listened(f"d{number}", after * MINUTE, at(-100_000), at(heard))
    return Sender(number, listened, interval * MINUTE, network, gateway)


def judged(senders: Sequence[Sender], minute: float, open_: Sequence[OpenOutage] = (), **heard: float) -> Judged:
    return judge_outages(senders, listening(minute), {name: at(time) for name, time in heard.items()}, open_)


@dataclass(frozen=True)
class Device:
    """A device of a made-up town; `died`: the minute from which it is broken by itself."""

    number: int
    interval: float
    patience: float
    network: str
    gateway: str | None
    phase: float
    died: float | None = None


class TownRadio:
    """Devices that speak at their own pace; gateways and networks that fail; messages that get lost."""

    def __init__(self, seed: int, devices: Sequence[Device], *, loss: float = 0.1) -> None:
        self.devices = devices
        self.failures: list[tuple[str, float, float]] = []  # a gateway or network, from, to
        self._loss = loss
        self._seed = seed
        self._came: dict[object, list[float]] = {}

    def heard(self, device: Device, minute: float) -> float | None:
        """The last message of a device that came by then."""
        key = (device.number, device.died, *self.failures)
        if key not in self._came:
            self._came[key] = [
                time
                for number in range(int(LONGEST // device.interval))
                if self._comes(device, number, time := device.phase + number * device.interval)
            ]
        came = self._came[key]
        position = bisect.bisect_right(came, minute)
        return came[position - 1] if position else None

    def _comes(self, device: Device, number: int, time: float) -> bool:
        down = any(
            name in (device.gateway, device.network) and start <= time < end for name, start, end in self.failures
        )
        lost = random.Random(f"{self._seed} {device.number} {number}").random() < self._loss
        return not down and not lost and (device.died is None or time < device.died)

    def senders(self, minute: float, ended: Mapping[int, datetime]) -> list[Sender]:
        found = []
        for each in self.devices:
            heard = self.heard(each, minute)
            if heard is not None:
                listened = Listened(
                    f"d{each.number}", each.patience * MINUTE, at(-100_000), at(heard), ended.get(each.number)
                )
                found.append(Sender(each.number, listened, each.interval * MINUTE, each.network, each.gateway))
        return found

    def gateways(self, minute: float) -> dict[str, datetime]:
        found: dict[str, datetime] = {}
        for each in self.devices:
            heard = self.heard(each, minute)
            if each.gateway is not None and heard is not None:
                found[each.gateway] = max(found.get(each.gateway, at(heard)), at(heard))
        return found


@dataclass
class Told:
    """What somebody was told: outages with when they were raised and cleared, and single devices."""

    raised: list[tuple[float, Outage]]
    cleared: list[tuple[float, str]]
    single: dict[int, float]


def last(senders: Sequence[Sender], devices: Iterable[int]) -> dict[int, datetime]:
    wanted = set(devices)
    return {each.device_id: each.heard.last_heard or ORIGIN for each in senders if each.device_id in wanted}


def watch(town: TownRadio, minutes: Sequence[int]) -> Told:
    """Both rules over time, as the evaluator keeps them."""
    told = Told([], [], {})
    open_: dict[int, OpenOutage] = {}
    ended: dict[int, datetime] = {}
    for minute in minutes:
        senders = town.senders(minute, ended)
        found = judge_outages(senders, listening(minute, minutes[0]), town.gateways(minute), list(open_.values()))
        for alert_id, back in found.returned.items():
            open_[alert_id] = replace(open_[alert_id], returned=open_[alert_id].returned | back.keys())
        for alert_id, over in found.cleared.items():
            outage = open_.pop(alert_id)
            told.cleared.append((minute, outage.cause))
            ended |= dict.fromkeys(outage.devices, over)
        for alert_id, more in found.joined.items():
            open_[alert_id] = replace(open_[alert_id], devices={**open_[alert_id].devices, **last(senders, more)})
        for outage in found.raised:
            alert_id = len(told.raised)
            told.raised.append((minute, outage))
            open_[alert_id] = OpenOutage(alert_id, outage.cause, outage.since, last(senders, outage.devices))
        explained = {device for each in open_.values() for device in each.devices.keys() - each.returned}
        for each in town.senders(minute, ended) if found.cleared else senders:
            heard = replace(each.heard, excused=True) if each.device_id in explained else each.heard
            if hearing(heard, at(minutes[0]), at(minute)) is Hearing.SILENT:
                told.single.setdefault(each.device_id, minute)
            elif (each.heard.last_heard or ORIGIN) > at(told.single.get(each.device_id, LONGEST)):
                del told.single[each.device_id]
    return told


def town_of(seed: int, *, gateways: int = 3, devices: int = 60, loss: float = 0.1) -> TownRadio:
    """Devices of 5, 10, 30 and 60 minutes and one in ten that speaks once a day, behind several gateways."""
    rng = random.Random(seed)
    made = []
    for number in range(devices):
        interval = 1440.0 if number % 10 == 9 else rng.choice([5.0, 10.0, 10.0, 30.0, 60.0])
        patience = interval + 120 if interval > 360 else interval * rng.choice([4, 5, 6])
        gateway = f"g{number % gateways}"
        made.append(Device(number, interval, patience, "lora", gateway, rng.uniform(0, interval)))
    return TownRadio(seed, made, loss=loss)


# --- a gateway -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gateway_that_fails_is_one_incident_that_names_it(seed: int) -> None:
    town = town_of(seed)
    town.failures = [("g1", 3000.0, 3300.0)]
    told = watch(town, range(1600, 3400, 5))
    behind = {each.number for each in town.devices if each.gateway == "g1"}
    during = [(minute, outage) for minute, outage in told.raised if minute >= 3000]
    assert [outage.cause for _, outage in during] == ["gateway:g1"]
    minute, outage = during[0]
    assert 3000 < minute <= 3090, "no later than the least patient of its devices with some loss"
    assert outage.devices <= behind and len(outage.devices) >= len(behind) - 2, "also those due only tomorrow"
    assert [cause for cleared, cause in told.cleared if cleared > 3000] == ["gateway:g1"]
    assert not {number for number, since in told.single.items() if 3000 < since < 3300} & outage.devices


@pytest.mark.parametrize("seed", SEEDS)
def test_who_does_not_come_back_with_the_others_is_told_of_by_itself(seed: int) -> None:
    town = town_of(seed)
    town.failures = [("g1", 3000.0, 3200.0)]
    broken = next(each for each in town.devices if each.gateway == "g1" and each.interval == 10)
    town.devices = [replace(each, died=3100.0) if each is broken else each for each in town.devices]
    told = watch(town, range(1600, 3500, 5))
    assert [outage.cause for minute, outage in told.raised if minute >= 3000] == ["gateway:g1"]
    assert told.single[broken.number] > 3200 + broken.patience - 1, "with its own patience, from the return"


def test_the_gateway_is_named_and_not_its_network_where_there_is_no_other() -> None:
    everybody = [sender(n, n % 10) for n in range(6)]
    (outage,) = judged(everybody, 60).raised
    assert (outage.cause, outage.since, outage.devices) == ("gateway:north", at(5), frozenset(range(6)))


def test_several_gateways_at_once_are_their_network() -> None:
    everybody = [sender(n, n % 10, gateway="north" if n % 2 else "south") for n in range(8)]
    (outage,) = judged(everybody, 60).raised
    assert (outage.cause, outage.devices) == ("network:lora", frozenset(range(8)))


def test_one_of_two_gateways_is_the_gateway_alone() -> None:
    dark = [sender(n, n % 10) for n in range(6)]
    heard = [sender(n, 55, gateway="south") for n in range(6, 12)]
    (outage,) = judged([*dark, *heard], 60).raised
    assert (outage.cause, outage.devices) == ("gateway:north", frozenset(range(6)))


def test_all_networks_at_once_are_the_way_to_us() -> None:
    lora = [sender(n, n % 10) for n in range(4)]
    others = [sender(n, n % 10, network="sigfox", gateway=None) for n in range(4, 8)]
    (outage,) = judged([*lora, *others], 60).raised
    assert (outage.cause, outage.devices) == ("all", frozenset(range(8)))


def test_a_network_that_names_no_gateway_is_named_itself() -> None:
    quiet = [sender(n, n % 10, network="sigfox", gateway=None) for n in range(4)]
    heard = [sender(n, 58) for n in range(4, 8)]
    (outage,) = judged([*quiet, *heard], 60).raised
    assert outage.cause == "network:sigfox"


# --- what is none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_losses_alone_never_make_an_incident(seed: int) -> None:
    told = watch(town_of(seed, loss=0.2), range(1600, 4600, 10))
    assert told.raised == []


@pytest.mark.parametrize("seed", SEEDS)
def test_devices_that_break_one_after_the_other_are_single_cases(seed: int) -> None:
    town = town_of(seed)
    rng = random.Random(seed)
    fast = [each.number for each in town.devices if each.interval == 10]
    broken = {number: 2000.0 + 400 * n for n, number in enumerate(rng.sample(fast, 5))}
    town.devices = [replace(each, died=broken.get(each.number)) for each in town.devices]
    told = watch(town, range(1600, 4200, 10))
    assert told.raised == []
    assert broken.keys() <= told.single.keys()


def test_two_devices_are_no_incident() -> None:
    assert FEWEST == 3
    assert judged([sender(1, 0), sender(2, 1)], 120).raised == ()


def test_nobody_is_told_before_the_first_patience_is_over() -> None:
    everybody = [sender(n, n % 10, after=240) for n in range(30)]
    assert judged(everybody, 200).raised == ()
    assert [each.cause for each in judged(everybody, 246).raised] == ["gateway:north"]


def test_who_was_quiet_while_others_were_heard_is_a_case_of_its_own() -> None:
    """Three are long dead, and the others of the gateway were heard until just now."""
    dead = [sender(n, n) for n in range(3)]
    heard = [sender(n, 595) for n in range(3, 9)]
    assert judged([*dead, *heard], 600).raised == ()
    later = judged([*dead, *heard], 660).raised
    assert [each.devices for each in later] == [frozenset(range(3, 9))]


def test_devices_in_standby_are_silent_by_right() -> None:
    everybody = [sender(n, n * 60, interval=1440, after=1560) for n in range(10)]
    assert judged(everybody, 1400).raised == ()


def test_while_nobody_listens_nothing_is_known() -> None:
    everybody = [sender(n, n % 10) for n in range(6)]
    assert judge_outages(everybody, None, {}, []) == Judged()
    assert judge_outages(everybody, listening(60, since=50), {}, []).raised == ()


# --- a part of a network ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_many_of_one_network_at_once_are_one_incident_though_others_are_heard(seed: int) -> None:
    rng = random.Random(seed)
    town = TownRadio(
        seed,
        [
            Device(
                n, 10.0, rng.choice([30.0, 40.0, 50.0]), "sigfox", None, rng.uniform(0, 10), 3000.0 if n < 20 else None
            )
            for n in range(80)
        ],
    )
    told = watch(town, range(2000, 3200, 2))
    assert [outage.cause for _, outage in told.raised] == ["part:sigfox"]
    # those with most loss before may have looked like cases of their own
    assert len(set(range(20)) & told.single.keys()) <= 3


def test_a_part_is_over_when_half_of_it_is_back() -> None:
    open_ = OpenOutage(7, "part:sigfox", at(0), dict.fromkeys(range(6), at(0)))
    some = [sender(n, 100 if n < 2 else -5, network="sigfox", gateway=None) for n in range(6)]
    assert judged(some, 110, [open_]).cleared == {}
    assert judged(some, 110, [open_]).returned == {7: {0: at(100), 1: at(100)}}
    more = [sender(n, 100 if n < 3 else -5, network="sigfox", gateway=None) for n in range(6)]
    assert judged(more, 110, [open_]).cleared == {7: at(100)}


# --- what is open ----------------------------------------------------------------------------------------------


def test_the_first_word_through_a_gateway_ends_its_outage() -> None:
    open_ = OpenOutage(7, "gateway:north", at(5), dict.fromkeys(range(6), at(5)))
    quiet = [sender(n, n % 5) for n in range(6)]
    assert judged(quiet, 200, [open_], north=5) == Judged()
    found = judged(quiet, 200, [open_], north=190)
    assert found.cleared == {7: at(190)} and found.raised == (), "and is not raised anew by those still to come"


def test_other_gateways_may_take_over() -> None:
    open_ = OpenOutage(7, "gateway:north", at(5), dict.fromkeys(range(4), at(5)))
    over = [sender(n, 100, gateway="south") if n < 2 else sender(n, 3) for n in range(4)]
    assert judged(over, 110, [open_]).cleared == {7: at(100)}


def test_an_outage_of_devices_that_are_all_taken_down_is_over() -> None:
    open_ = OpenOutage(7, "network:lora", at(5), dict.fromkeys((1, 2, 3), at(5)))
    assert judged([sender(9, 4, network="sigfox")], 100, [open_]).cleared == {7: at(100)}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_the_devices_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    everybody = [
        sender(
            n,
            rng.uniform(0, 60),
            interval=rng.choice([5, 10, 30]),
            after=rng.choice([30, 60]),
            network=rng.choice(["lora", "sigfox"]),
            gateway=rng.choice([None, "north", "south"]),
        )
        for n in range(40)
    ]
    first = judged(everybody, 120)
    rng.shuffle(everybody)
    again = judged(everybody, 120)
    assert sorted(first.raised, key=lambda each: each.cause) == sorted(again.raised, key=lambda each: each.cause)


def test_late_is_what_two_lost_messages_are_not() -> None:
    assert LATE > 2
