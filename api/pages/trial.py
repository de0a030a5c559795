"""Messages tried with a model and a mapping that nobody has registered yet; nothing is stored.

The same code as ingest's works on them, with a directory that holds one device more: what a page shows of a message is
what would be stored of it, but for what its neighbours say to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from api.access import Visit
from devices import codecs, envelopes
from devices.codecs.javascript import Sandbox, codec_of
from devices.codecs.models import DeviceModel
from devices.envelopes.definitions import NOTHING, Definitions
from devices.mapping import MappingEntry, resolve
from devices.model import Datastream, DecodeError, ObservedProperty, Quality, Reading, Uplink
from ingest.replay import read_again
from quality.clock import Clock
from quality.gate import CLOCK
from store import models
from store.connection import Connection
from store.quarantine import Held
from store.registry import DatastreamInfo, Directory, MappedField, RegisteredAttachment, RegisteredDevice
from store.sources import load_definitions

# Trying stops here: a slow codec, or very many of them, shall not hold up the page.
TRYING_SECONDS = 1.0
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a message says by one model: its readings, or why it cannot be read. `payload` in hex, empty where the
    sender brings values; `at` is when the network heard it, None where it does not say.
    """

    payload: str
    readings: tuple[Reading, ...] = ()
    event: bool = False
    wrong: str | None = None
    at: datetime | None = None

    @property
    def fields(self) -> list[tuple[str, float | None]]:
        """The newest reading of each field."""
        return list({reading.field: reading.value for reading in sorted(self.readings, key=_newness)}.items())


@dataclass(frozen=True, slots=True)
class Value:
    """A value that a message would bring. `value` None: the device could not measure. `doubt`: why it is not simply
    good, by itself.
    """

    observed: str
    value: float | None
    unit: str
    time: datetime
    quality: str
    doubt: str | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What would become of a message: its values and readings of counters, or the reason why it cannot be stored.
    `detail` is for people who read English.
    """

    received: datetime
    values: tuple[Value, ...] = ()
    counters: int = 0
    event: bool = False
    reason: str | None = None
    detail: str | None = None


@dataclass(slots=True)
class Bench:
    """The models of a municipality as one page tries them. A codec's source is read when it is first wanted."""

    conn: Connection
    municipality_id: int
    sandbox: Sandbox
    known: Mapping[str, DeviceModel]
    _codecs: Mapping[str, int] = field(default_factory=dict)
    _whole: dict[str, DeviceModel] = field(default_factory=dict)
    definitions: Definitions = NOTHING
    _until: float = field(default_factory=lambda: time.monotonic() + TRYING_SECONDS)

    @property
    def late(self) -> bool:
        """Whether trying has taken long enough."""
        return time.monotonic() > self._until

    def model(self, name: str) -> DeviceModel | None:
        """The model with its codec, None where there is none of that name."""
        if name not in self._whole and name in self.known:
            model = self.known[name]
            if name in self._codecs and model.codec is None:
                source = models.codec_source(self.conn, self.municipality_id, self._codecs[name])
                model = replace(model, codec=codec_of(source))
            self._whole[name] = model
        return self._whole.get(name)

    def try_codec(self, model: DeviceModel) -> None:
        """Takes a model as it would be, under its name."""
        self._whole[model.name] = model

    def read(self, message: Held, name: str) -> Sent:
        """What the message says by this model."""
        try:
            uplink = envelopes.open_uplink(message.topic, message.raw, self.definitions, message.received_time)
        except DecodeError as error:
            return Sent("", wrong=str(error))
        payload = uplink.payload.hex(" ")
        if uplink.event is not None:
            return Sent(payload, event=True, at=uplink.network_time)
        model = self.model(name)
        try:
            readings = self._decode(uplink, model, message.received_time) if model else ()
            return Sent(payload, readings, at=uplink.network_time)
        except DecodeError as error:
            wrong = str(error).removeprefix(f"device {uplink.device_key}: ")
            return Sent(payload, wrong=wrong, at=uplink.network_time)

    def _decode(self, uplink: Uplink, model: DeviceModel, received: datetime) -> tuple[Reading, ...]:
        return codecs.decode(model.name, uplink, {model.name: model}, self.sandbox, received)

    def store(
        self,
        messages: Iterable[Held],
        device: RegisteredDevice,
        datastreams: Mapping[int, DatastreamInfo],
        possible: Clock = CLOCK,
    ) -> list[Tried]:
        """What would be stored of the messages if their sender were this device."""
        model = self.model(device.model)
        assert model is not None, "a device is tried with a model that there is"
        directory = Directory(
            self.municipality_id, {device.key: device}, datastreams, {model.name: model}, definitions=self.definitions
        )
        tried = []
        for message in messages:
            if self.late:
                break
            row = read_again(message, directory, possible, self.sandbox)
            values = tuple(
                Value(
                    datastreams[each.datastream_id].observed_property,
                    each.value,
                    datastreams[each.datastream_id].unit,
                    each.phenomenon_time,
                    Quality(each.quality).value,
                    each.reason if each.quality not in (Quality.GOOD, Quality.MISSING) else None,
                )
                for each in row.observations
            )
            tried.append(
                Tried(
                    message.received_time,
                    values,
                    len(row.counts),
                    row.outcome == "event",
                    row.reason,
                    row.detail if row.outcome != "event" else None,
                )
            )
        return tried


def bench(visit: Visit, conn: Connection) -> Bench:
    """The bench for one page of a visit."""
    municipality_id = visit.tenant.municipality_id
    stored = models.models(conn, municipality_id)
    codecs_of = {each.entry.name: each.entry.codec_id for each in stored if each.entry.codec_id is not None}
    known = models.known_models(conn, municipality_id)
    definitions = load_definitions(conn, municipality_id)
    return Bench(conn, municipality_id, visit.state.sandbox, known, codecs_of, definitions=definitions)


def imagined(
    key: str,
    model: str,
    silence_after: timedelta,
    since: datetime,
    streams: Sequence[tuple[str, Datastream]],
    defaults: Sequence[MappingEntry],
    own: Sequence[MappingEntry],
) -> tuple[RegisteredDevice, dict[int, DatastreamInfo]]:
    """The device as it would be, with these datastreams, each of the station that a channel watches ("": the device's
    own). MappingError where the mapping cannot be meant.
    """
    infos: dict[int, DatastreamInfo] = {}
    series: dict[str, dict[ObservedProperty, int]] = {}
    for n, (channel, stream) in enumerate(streams, start=1):
        infos[n] = _info(n, stream)
        series.setdefault(channel, {})[stream.observed_property] = n
    resolved = resolve(defaults, own, series or {"": {}})
    fields = {each.field: MappedField(each.datastream_id, each.scale, each.offset) for each in resolved}
    attachment = RegisteredAttachment(0, "new", since, None, fields)
    return RegisteredDevice(0, key, model, silence_after, (attachment,)), infos


def last_messages(conn: Connection, model: str, limit: int) -> list[Held]:
    """The newest messages of the devices of a model that were read, or could not be read with it."""
    rows = conn.execute(
        """
        select u.uplink_id, u.topic, u.raw, u.received_time, d.key, coalesce(u.reason, ''), u.detail
        from device d cross join lateral (
            select uplink_id, topic, raw, received_time, reason, detail from uplink
            where device_id = d.device_id and outcome in ('accepted', 'quarantined') and raw is not null
            order by received_time desc limit %(limit)s
        ) u
        where d.model = %(model)s order by u.received_time desc limit %(limit)s
        """,
        {"model": model, "limit": limit},
    )
    return [Held(uplink_id, topic, bytes(raw), *rest) for uplink_id, topic, raw, *rest in rows]


def _info(n: int, stream: Datastream) -> DatastreamInfo:
    prop = stream.observed_property
    return DatastreamInfo(
        n,
        0,
        "new",
        prop.value,
        prop.unit,
        prop.statistic.value,
        stream.interval,
        *stream.valid_range,
        stream.max_rate,
        stream.stuck_after,
    )


def _newness(reading: Reading) -> tuple[datetime, float]:
    return reading.time or _EVER, -reading.age.total_seconds()
