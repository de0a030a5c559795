"""Operators' maps: what they say is found, what is wrong is said with its place, and nothing that is written loops."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.envelopes import mapped
from devices.envelopes.jsonpaths import LONGEST_PATH, MOST_FOUND, Path, PathError
from devices.envelopes.message_map import (
    SIGFOX,
    BytesForm,
    Form,
    MapError,
    MessageMap,
    TimeForm,
    check,
    from_json,
    to_json,
)
from devices.model import EnvelopeError, Reading, Uplink
from tests.devices.envelopes.vectors import EUI, EUI_IN_BASE64, IN_BASE64, NOON, PAYLOAD, SECONDS

TOPIC = "eltres/okusawa/data"
MESSAGE: dict[str, Any] = {
    "dev": {"id": "CLIP-0042"},
    "seq": 41,
    "at": NOON.isoformat(),
    "measured": "2026/06/01 11:59:30",
    "bin": {"hex": PAYLOAD.hex(), "b64": IN_BASE64},
    "values": [{"name": "level", "value": "1.25"}, {"name": "battery", "value": 3.3}, {"name": "wet", "value": True}],
    "nothing": None,
}
BYTES = MessageMap(device="$.dev.id", counter="$.seq", network_time="$.at", payload="$.bin.hex")
VALUES = MessageMap(
    device="$.dev.id",
    measured_time="$.measured",
    measured_time_form=TimeForm.JAPAN,
    fields=(("water_level", "$.values[?@.name == 'level'].value"), ("battery", "$.values[1].value")),
)


def opened(said: MessageMap, body: Any = MESSAGE, topic: str = TOPIC, **beside: str) -> Uplink:
    check(said)
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return mapped.opened(said, "mapped", topic, beside, raw)


def changed(said: MessageMap, **changes: Any) -> MessageMap:
    return MessageMap(**{name: getattr(said, name) for name in MessageMap.__dataclass_fields__} | changes)


def refused(said: MessageMap, body: Any = MESSAGE, **more: Any) -> str:
    with pytest.raises(EnvelopeError) as caught:
        opened(said, body, **more)
    return str(caught.value)


def problems(said: MessageMap) -> dict[str, str]:
    with pytest.raises(MapError) as caught:
        check(said)
    return caught.value.problems


def test_bytes_are_found() -> None:
    assert opened(BYTES) == Uplink("mapped", "clip-0042", "", 41, NOON, payload=PAYLOAD)
    in_base64 = changed(BYTES, payload="$.bin.b64", payload_form=BytesForm.BASE64)
    assert opened(in_base64) == opened(BYTES)
    as_text = changed(BYTES, payload="$.dev.id", payload_form=BytesForm.TEXT)
    assert opened(as_text).payload == b"CLIP-0042"


def test_values_are_found_with_their_own_time() -> None:
    at = NOON - timedelta(seconds=30)
    uplink = opened(VALUES)
    assert uplink.readings == (Reading("water_level", 1.25, at), Reading("battery", 3.3, at))
    assert (uplink.counter, uplink.network_time) == (None, None)


def test_null_could_not_be_measured_and_what_is_absent_is_no_reading() -> None:
    said = changed(VALUES, fields=(("a", "$.nothing"), ("b", "$.values[2].value"), ("c", "$.not.here")))
    assert [(each.field, each.value) for each in opened(said).readings or ()] == [("a", None), ("b", 1.0)]


def test_one_field_that_is_no_number_costs_only_itself() -> None:
    said = changed(VALUES, fields=(("a", "$.dev.id"), ("b", "$.seq"), ("c", "$.values[*].value")))
    first, second, third = opened(said).readings or ()
    assert first.value is None and first.problem is not None and "'CLIP-0042' is not a number" in first.problem
    assert second.value == 41 and second.problem is None
    assert third.problem is not None and "3 different values" in third.problem


def test_what_the_network_has_decoded_is_passed_on() -> None:
    uplink = opened(changed(BYTES, payload="", decoded="$.dev"))
    assert uplink.decoded == uplink.payload == b'{"id":"CLIP-0042"}'


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("2026-06-01T12:00:00+09:00", TimeForm.RFC3339),
        ("2026-06-01 12:00", TimeForm.JAPAN),
        ("2026/6/1 12:00:00", TimeForm.JAPAN),
        ("20260601120000", TimeForm.JAPAN),
        (20260601120000, TimeForm.JAPAN),
        ("2026-06-01T03:00:00Z", TimeForm.JAPAN),
        (SECONDS, TimeForm.SECONDS),
        (str(SECONDS), TimeForm.SECONDS),
        (float(SECONDS), TimeForm.SECONDS),
        (SECONDS * 1000, TimeForm.MILLISECONDS),
        (SECONDS * 1000, TimeForm.EPOCH),
        (SECONDS, TimeForm.EPOCH),
    ],
)
def test_times_are_read_as_they_are_written(written: Any, form: TimeForm) -> None:
    assert opened(changed(BYTES, network_time_form=form), MESSAGE | {"at": written}).network_time == NOON


@pytest.mark.parametrize(
    ("written", "form", "words"),
    [
        ("2026-06-01T12:00:00", TimeForm.RFC3339, "no time zone"),
        ("2026/13/01 12:00:00", TimeForm.JAPAN, "does not exist"),
        (SECONDS * 1000, TimeForm.SECONDS, "milliseconds"),
        ("noon", TimeForm.SECONDS, "not a number"),
        (True, TimeForm.SECONDS, "not a number of seconds"),
        (SECONDS * 10_000_000, TimeForm.EPOCH, "neither seconds"),
        (1e300, TimeForm.MILLISECONDS, "no time"),
        ({"a": 1}, TimeForm.RFC3339, "not a time written as text"),
    ],
)
def test_what_is_no_such_time_is_refused_with_its_place(written: Any, form: TimeForm, words: str) -> None:
    text = refused(changed(BYTES, network_time_form=form), MESSAGE | {"at": written})
    assert words in text and "network_time ($.at)" in text


@pytest.mark.parametrize(
    ("device", "key"),
    [(EUI.upper(), EUI), (EUI_IN_BASE64, EUI), (42, "42"), (" Gauge-1 ", "gauge-1"), ("1A2B3C", "1a2b3c")],
)
def test_a_device_is_the_same_however_it_is_written(device: Any, key: str) -> None:
    assert opened(BYTES, MESSAGE | {"dev": {"id": device}}).device_key == key


@pytest.mark.parametrize("device", [None, "", "機器", "a b", True, 1.5, [], {"a": 1}, "x" * 65, "a\x00b"])
def test_what_is_no_name_of_a_device_is_refused(device: Any) -> None:
    assert "device ($.dev.id)" in refused(BYTES, MESSAGE | {"dev": {"id": device}})


@pytest.mark.parametrize("counter", ["many", -1, 1.5, True, [1], 10**19])
def test_what_is_no_counter_is_refused(counter: Any) -> None:
    assert "counter ($.seq)" in refused(BYTES, MESSAGE | {"seq": counter})


def test_what_stands_beside_the_body_can_be_the_device() -> None:
    assert opened(changed(BYTES, device="topic[1]")).device_key == "okusawa"
    assert opened(changed(BYTES, device="topic[-1]")).device_key == "data"
    assert opened(changed(BYTES, device="query[device]"), device="Pump-1").device_key == "pump-1"
    assert opened(changed(BYTES, device="header[x-device]"), **{"x-device": "Pump-2"}).device_key == "pump-2"
    assert "nothing is no name" in refused(changed(BYTES, device="topic[9]"))


def test_without_counter_and_time_a_message_is_refused() -> None:
    body = {key: value for key, value in MESSAGE.items() if key not in ("seq", "at")}
    assert "neither a counter nor a time" in refused(BYTES, body)


def test_several_measurements_in_one_message_keep_their_times() -> None:
    body = {"id": "g1", "rows": [{"t": SECONDS - 600 + n * 300, "v": n} for n in range(3)]}
    said = MessageMap(
        device="$.id",
        measured_time="$.t",
        measured_time_form=TimeForm.SECONDS,
        samples="$.rows[*]",
        fields=(("level", "$.v"),),
    )
    readings = opened(said, body).readings or ()
    assert [(each.value, each.time, each.age) for each in readings] == [
        (n, NOON - timedelta(minutes=10 - 5 * n), timedelta(minutes=10 - 5 * n)) for n in range(3)
    ]


CSV = "2026-06-01T12:00:00+09:00,g1,1.25,\n\n2026-06-01T12:05:00+09:00,g1,1.30,3\n"
CSV_MAP = MessageMap(
    form=Form.CSV,
    device="$.rows[*].c2",
    measured_time="$.c1",
    samples="$.rows[*]",
    fields=(("level", "$.c3"), ("battery", "$.c4")),
)


@pytest.mark.parametrize(
    "change",
    [
        str,
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
    ],
    ids=["commas", "semicolons", "tabs", "BOM and CRLF"],
)
def test_lines_of_csv_are_measurements(change: Callable[[str], str]) -> None:
    uplink = opened(CSV_MAP, change(CSV).encode())
    assert uplink.device_key == "g1"
    assert [(each.field, each.value) for each in uplink.readings or ()] == [
        ("level", 1.25),
        ("battery", None),
        ("level", 1.3),
        ("battery", 3.0),
    ]


def test_the_columns_of_a_japanese_logger_have_names() -> None:
    said = changed(
        CSV_MAP,
        form=Form.CSV_NAMED,
        device="$.rows[*].地点",
        measured_time="$.時刻",
        measured_time_form=TimeForm.JAPAN,
        fields=(("level", "$['水位(m)']"),),
    )
    text = "時刻,地点,水位(m)\n2026/06/01 12:00:00,okusawa,1.25\n"
    assert opened(said, text.encode("cp932")) == opened(said, text.encode())
    assert opened(said, text.encode()).readings == (Reading("level", 1.25, NOON),)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no line of data"),
        (b"\n\n", "no line of data"),
        (b'a,"b\nc', "not CSV"),
        (b"a,\x00", "not text"),
        (b"\x81\xff\xfe", "neither UTF-8 nor CP932"),
        (b"t,g1,1\nt,g2,1\n", "2 different values"),
        (b"x\n" * 5_001, "more than 5000 lines"),
        (b"x" * 300_000, "more than 262144"),
    ],
)
def test_what_is_no_such_csv_is_refused(body: bytes, words: str) -> None:
    assert words in refused(CSV_MAP, body)


def test_the_map_of_sigfox_reads_what_sigfox_is_read_by_without_one() -> None:
    from devices.envelopes import sigfox

    body = json.dumps({"device": "1A2B3C", "time": SECONDS, "data": PAYLOAD.hex(), "seqNumber": "812"}).encode()
    assert mapped.opened(SIGFOX, "sigfox", TOPIC, {}, body) == sigfox.open_posted({}, body)


# --- the map itself -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [BYTES, VALUES, CSV_MAP, SIGFOX])
def test_a_map_is_the_same_after_it_was_kept(said: MessageMap) -> None:
    assert from_json(json.loads(json.dumps(to_json(said)))) == said


@pytest.mark.parametrize("kept", [{"form": "xml"}, {"device": 5}, {"fields": [["a"]]}])
def test_what_was_not_kept_by_us_is_no_map(kept: dict[str, Any]) -> None:
    with pytest.raises(MapError):
        from_json(kept)


@pytest.mark.parametrize(
    ("said", "place", "words"),
    [
        (MessageMap(), "device", "must be said"),
        (MessageMap(device="$.a", counter="$.b"), "payload", "one of the three"),
        (changed(BYTES, fields=(("a", "$.a"),)), "payload", "one of the three"),
        (MessageMap(device="$.a", payload="$.b"), "counter", "a counter or a time"),
        (changed(BYTES, samples="$.a[*]"), "samples", "samples are for fields"),
        (changed(CSV_MAP, measured_time="", counter="$.x"), "measured_time", "its own time"),
        (changed(BYTES, device="dev.id"), "device", "begins with $"),
        (changed(BYTES, device="$.a["), "device", "no JSONPath"),
        (changed(VALUES, fields=(("a", "$.a"), ("a", "$.b"))), "field 2", "already"),
        (changed(VALUES, fields=(("a b", "$.a"),)), "field 1", "no name of a field"),
        (changed(VALUES, fields=(("a", ""),)), "field 1", "begins with $"),
        (changed(VALUES, fields=tuple((f"f{n}", "$.a") for n in range(65))), "", "too many"),
        (changed(VALUES, fields=(("a", "$.a"),), samples="topic[0]"), "samples", "begins with $"),
    ],
)
def test_a_map_that_will_not_do_says_where(said: MessageMap, place: str, words: str) -> None:
    assert words in problems(said)[place]


def test_a_trial_shows_what_each_place_leads_to() -> None:
    said = changed(BYTES, counter="$.none", payload="$.values[*].name")
    trial = mapped.tried(said, "mapped", TOPIC, {}, json.dumps(MESSAGE).encode())
    assert [(each.place, each.text) for each in trial.found] == [
        ("device", "CLIP-0042"),
        ("counter", None),
        ("network_time", NOON.isoformat()),
        ("payload", "level (+2)"),
    ]
    assert trial.uplink is None and trial.problem is not None and "payload ($.values[*].name)" in trial.problem


def test_the_places_of_a_message_can_all_be_looked_up() -> None:
    body = {"a": {"b c": [{"d": 1}, {"d": 2}], "e'f": None}, "水位": "x" * 50}
    raw = json.dumps(body).encode()
    leaves = dict(mapped.leaves(Form.JSON, TOPIC, {"x-device": "d"}, raw))
    assert leaves == {
        "$.a['b c'][0].d": "1",
        "$.a['e\\'f']": "null",
        "$['水位']": "x" * 40 + "…",
        "topic[0]": "eltres",
        "topic[1]": "okusawa",
        "topic[2]": "data",
        "header[x-device]": "d",
    }
    for place in leaves:
        if place.startswith("$"):
            assert len(Path(place).find(body)) == 1
    assert mapped.leaves(Form.JSON, TOPIC, {}, b"{") == []


# --- paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.b", "begins with $"),
        ("$.a[", "no JSONPath"),
        ("$[?match(@.a, '(x+)+$')]", "no JSONPath"),
        ("$[?search(@.a, 'x')]", "no JSONPath"),
        ("$[?length(@.a) > 1]", "no JSONPath"),
        ("$[?@.a =~ /(x+)+$/]", "no JSONPath"),
        ("$..*..*", "one .."),
        ("$[0, 0]", "one selector"),
        ("$[?@.a == @.b]", "number or a text"),
        ("$[?@.a == $.b]", "number or a text"),
        ("$[?@..a]", "one thing in the element"),
        ("$[?@[?@.a]]", "one thing in the element"),
        ("$[?@.a][?@.b]", "one filter"),
        ("$ | $", "no JSONPath"),
        ("$." + "a" * LONGEST_PATH, f"may have {LONGEST_PATH} characters"),
        ("$[?" + "(" * 180, "no JSONPath"),
    ],
)
def test_a_path_that_is_none_or_could_run_for_long_is_refused(text: str, words: str) -> None:
    with pytest.raises(PathError, match=words.replace("$", r"\$").replace("..", r"\.\.")):
        Path(text)


@pytest.mark.parametrize(
    "text", ["$..*", "$..[?@.a == 1]", "$[*][*][*]", "$..a", "$[?@.a == 'x' && @.b < 3 || !@.c]", "$[::2][*]"]
)
def test_the_worst_path_on_the_worst_message_ends_at_once(text: str) -> None:
    message = [[[{"a": n} for n in range(20)] for _ in range(20)] for _ in range(60)]
    begun = time.process_time()
    with contextlib.suppress(PathError):
        assert len(Path(text).find(message)) <= MOST_FOUND
    assert time.process_time() - begun < 5


def test_a_message_that_is_nested_too_deeply_is_refused_in_words() -> None:
    nested: Any = 1
    for _ in range(200):
        nested = [nested]
    with pytest.raises(PathError, match="too deeply"):
        Path("$..a").find(nested)


@given(
    text=st.text(alphabet="$.[]*?@()'\"&|<>=!abc0123,:-~^# /", max_size=40).map(lambda text: "$" + text),
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=12,
    ),
)
def test_whatever_is_written_is_a_path_or_a_path_error(text: str, document: Any) -> None:
    with contextlib.suppress(PathError):
        assert isinstance(Path(text).find(document), list)


PLACE = st.sampled_from(["", "$", "$.a", "$.b[0]", "$..a", "$.b[*].a", "topic[0]", "topic[-3]", "query[device]"])


@given(
    said=st.builds(
        MessageMap,
        form=st.sampled_from(Form),
        device=PLACE,
        session=PLACE,
        counter=PLACE,
        network_time=PLACE,
        network_time_form=st.sampled_from(TimeForm),
        measured_time=PLACE,
        measured_time_form=st.sampled_from(TimeForm),
        payload=PLACE,
        payload_form=st.sampled_from(BytesForm),
        decoded=PLACE,
        samples=PLACE,
        fields=st.lists(st.tuples(st.sampled_from(["level", "flow"]), PLACE), max_size=2).map(tuple),
    ),
    raw=st.binary(max_size=40)
    | st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.sampled_from(["1", "2026-06-01T00:00:00Z", "0a", "x" * 70, "\udcff", "1e400"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=3),
        max_leaves=8,
    ).map(lambda body: json.dumps(body).encode()),
    topic=st.text(max_size=10),
)
def test_whatever_map_and_message_are_it_is_a_message_or_an_envelope_error(
    said: MessageMap, raw: bytes, topic: str
) -> None:
    try:
        uplink = mapped.opened(said, "mapped", topic, {"device": topic}, raw)
    except EnvelopeError:
        return
    assert uplink.device_key
    assert uplink.network_time is None or uplink.network_time > datetime(1, 1, 1, tzinfo=UTC)
