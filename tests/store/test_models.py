"""Codecs and device models of a municipality: pinned by their hash, changed only on purpose, nobody else's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from devices.codecs import MODELS
from devices.mapping import MappingEntry
from devices.model import ObservedProperty
from store import Connection, connect
from store.errors import RegistrationError
from store.models import (
    Battery,
    CodecUpload,
    ModelEntry,
    add_model,
    change_model,
    codec,
    codec_source,
    codecs,
    history,
    known_models,
    model,
    models,
    pin,
    remove_codec,
    remove_model,
    upload,
)
from store.registration import add_device
from store.registry import load_directory
from tests.conftest import START, Registered
from tests.store.rights import as_api, neighbour

SOURCE = b"function decodeUplink(input) { return {data: {level: input.bytes[0] / 100}}; }\n"
OTHER = b"function decodeUplink(input) { return {data: {depth: input.bytes[0] / 100}}; }\n"
VECTOR = {"name": "one", "input": {"bytes": "7b", "fPort": 1}, "output": {"data": {"level": 1.23}}}
LEVEL = MappingEntry("level", ObservedProperty.WATER_LEVEL, unit="m")
HOUR = timedelta(hours=1)


@pytest.fixture(params=["api", "owner"])
def conn(request: pytest.FixtureRequest, registered: Registered) -> Iterator[Connection]:
    """Pages and commands do the same with other rights."""
    if request.param == "owner":
        with connect(registered.owner, name="test") as conn:
            yield conn
    else:
        with as_api(registered) as conn:
            yield conn


def person(registered: Registered) -> int:
    with connect(registered.owner, name="test") as conn:
        row = conn.execute(
            """
            insert into app_user (municipality_id, login, display_name, role, password_hash)
            values (%s, 'sato', '佐藤', 'digital', 'x') returning user_id
            """,
            (registered.municipality_id,),
        ).fetchone()
    assert row is not None
    return int(row[0])


def bring(conn: Connection, town: int, source: bytes = SOURCE, *, user_id: int | None = None) -> int:
    given = CodecUpload(
        "level.js", source, "a test", "Apache-2.0", [VECTOR], {"passed": 1, "failed": 0, "failures": []}, stateless=True
    )
    return upload(conn, town, given, at=START, user_id=user_id)


def gauge(codec_id: int | None = None, **said: object) -> ModelEntry:
    entry = ModelEntry("example/level", "水位計", "Level gauge", "Example", codec_id=codec_id, fields=(LEVEL,))
    return replace(entry, **said)  # type: ignore[arg-type]


def test_a_codec_is_kept_as_it_came(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    codec_id = bring(conn, town, user_id=person(registered))
    (found,) = codecs(conn, town)
    assert found == codec(conn, town, codec_id)
    assert found.sha256 == hashlib.sha256(SOURCE).hexdigest()
    assert (found.file_name, found.size, found.licence, found.uploaded_by) == (
        "level.js", len(SOURCE), "Apache-2.0", "佐藤",
    )  # fmt: skip
    assert (found.vectors, found.passed, found.failed, found.stateless) == ((VECTOR,), 1, 0, True)
    assert codec_source(conn, town, codec_id).encode() == SOURCE


def test_the_same_file_is_the_same_codec(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    first = bring(conn, town)
    again = CodecUpload("renamed.js", SOURCE, "elsewhere")
    assert upload(conn, town, again, at=START + HOUR, user_id=None) == first
    (found,) = codecs(conn, town)
    assert (found.file_name, found.origin, found.uploaded_at) == ("level.js", "a test", START)


def test_a_byte_order_mark_belongs_to_the_file(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    source = b"\xef\xbb\xbf" + SOURCE
    codec_id = bring(conn, town, source)
    assert codec(conn, town, codec_id).sha256 == hashlib.sha256(source).hexdigest()
    add_model(conn, town, gauge(codec_id), at=START, user_id=None)
    add_device(conn, town, key="a", model="example/level", silence_after=HOUR)
    conn.commit()
    with connect(registered.worker, name="test") as worker:
        loaded = load_directory(worker, town).models["example/level"].codec
    assert loaded is not None and loaded.source.encode() == SOURCE
    assert loaded.sha256 == hashlib.sha256(source).hexdigest()


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        (CodecUpload("a.js", b"x" * 1_048_577, "a test"), "source", "1,048,577 bytes, at most 1,048,576"),
        (CodecUpload("a.js", b"var a;\nvar b = '\x83e';", "a test"), "source", "line 2 of the codec is not UTF-8"),
        (CodecUpload("a.js", b"var a;\0", "a test"), "source", "NUL"),
        (CodecUpload("", SOURCE, "a test"), "file_name", "is empty"),
        (CodecUpload("a.js", SOURCE, "a\0test"), "origin", "cannot be kept"),
        (CodecUpload("a.js", SOURCE, "a test", vectors=[VECTOR] * 1001), "vectors", "at most 1000"),
        (CodecUpload("a.js", SOURCE, "a test", result={"passed": float("nan")}), "result", "JSON"),
    ],
)
def test_what_cannot_be_a_codec_is_said(
    conn: Connection, registered: Registered, given: CodecUpload, field: str, said: str
) -> None:
    with pytest.raises(RegistrationError, match=said) as refused:
        upload(conn, registered.municipality_id, given, at=START, user_id=None)
    assert refused.value.field == field
    assert codecs(conn, registered.municipality_id) == []


def test_a_codec_of_just_one_mebibyte_is_kept(conn: Connection, registered: Registered) -> None:
    source = SOURCE + b"//" + b"x" * (2**20 - len(SOURCE) - 2)
    assert codec(conn, registered.municipality_id, bring(conn, registered.municipality_id, source)).size == 2**20


def test_what_no_database_keeps_in_an_example_does_not_refuse_the_codec(
    conn: Connection, registered: Registered
) -> None:
    given = CodecUpload("a.js", SOURCE, "a test", vectors=[{"name": "nul \0, half \ud800, written \\u0000"}])
    codec_id = upload(conn, registered.municipality_id, given, at=START, user_id=None)
    assert codec(conn, registered.municipality_id, codec_id).vectors == (
        {"name": "nul \ufffd, half \ufffd, written \\u0000"},
    )


def test_a_stored_codec_cannot_be_changed(registered: Registered) -> None:
    with connect(registered.owner, name="test") as conn:
        codec_id = bring(conn, registered.municipality_id)
        conn.commit()
        with pytest.raises(psycopg.errors.CheckViolation):
            conn.execute("update codec set source = 'x' where codec_id = %s", (codec_id,))
        conn.rollback()
    with as_api(registered) as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("update codec set sha256 = sha256('x'), source = 'x' where codec_id = %s", (codec_id,))
        conn.rollback()


def test_a_model_comes_back_as_it_was_said(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    codec_id = bring(conn, town)
    entry = gauge(
        codec_id,
        battery=Battery("batv", "mV", 3300.0),
        fields=(
            MappingEntry("batv", None, unit="mV"),
            MappingEntry("ch[1].level", ObservedProperty.WATER_LEVEL, "mm", -0.001, 8.5, channel="2"),
            MappingEntry("tips", ObservedProperty.PRECIPITATION, "1", 0.5, modulus=65536),
        ),
    )
    add_model(conn, town, entry, at=START, user_id=None)
    (found,) = models(conn, town)
    assert found == model(conn, town, "example/level")
    assert (found.entry, found.sha256, found.devices) == (entry, hashlib.sha256(SOURCE).hexdigest(), 0)
    known = known_models(conn, town)
    assert set(known) == {*MODELS, "example/level"}
    assert known["example/level"].fields == {"batv": "mV", "ch[1].level": "mm", "tips": "1"}
    assert known["example/level"].counters["tips"].modulus == 65536
    assert known["example/level"].battery_low == pytest.approx(3.3)


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"name": "radar_level"}, "name", "slash between"),
        ({"name": "Example/Level"}, "name", "lower case"),
        ({"name": "a/" + "b" * 100}, "name", "names no device model"),
        ({"title": " "}, "title", "is empty"),
        ({"codec_id": 4711}, "codec", "no codec 4711"),
        ({"builtin": "nothing"}, "builtin", "there are radar_level"),
        ({"battery": Battery("b", "A")}, "battery", "V, mV, %"),
        ({"battery": Battery("b", "V", float("nan"))}, "battery", "give a number"),
        ({"fields": (LEVEL, LEVEL)}, "fields", "twice"),
        ({"fields": (replace(LEVEL, unit="mA"),)}, "fields", "mA cannot become m: give scale and offset yourself"),
    ],
)
def test_what_cannot_be_a_model_is_said(
    conn: Connection, registered: Registered, wrong: dict[str, object], field: str, said: str
) -> None:
    with pytest.raises(RegistrationError, match=said) as refused:
        add_model(conn, registered.municipality_id, gauge(**wrong), at=START, user_id=None)
    assert refused.value.field == field
    assert models(conn, registered.municipality_id) == []


def test_two_codecs_at_once_are_refused(conn: Connection, registered: Registered) -> None:
    codec_id = bring(conn, registered.municipality_id)
    with pytest.raises(RegistrationError, match="not by both"):
        add_model(conn, registered.municipality_id, gauge(codec_id, builtin="radar_level"), at=START, user_id=None)


def test_a_model_is_there_once(conn: Connection, registered: Registered) -> None:
    add_model(conn, registered.municipality_id, gauge(builtin="radar_level"), at=START, user_id=None)
    with pytest.raises(RegistrationError, match="already: change that one"):
        add_model(conn, registered.municipality_id, gauge(), at=START, user_id=None)


def test_another_codec_is_pinned_only_on_purpose_and_the_history_says_by_whom(
    conn: Connection, registered: Registered
) -> None:
    town, sato = registered.municipality_id, person(registered)
    first, second = bring(conn, town), bring(conn, town, OTHER)
    add_model(conn, town, gauge(first), at=START, user_id=None)
    with pytest.raises(RegistrationError, match="until another is pinned on purpose"):
        change_model(conn, town, gauge(second))
    change_model(conn, town, gauge(first, title="新しい名前"))
    assert model(conn, town, "example/level").sha256 == hashlib.sha256(SOURCE).hexdigest()
    pin(conn, town, "example/level", codec_id=second, at=START + HOUR, user_id=sato)
    pin(conn, town, "example/level", codec_id=second, at=START + 2 * HOUR, user_id=sato)  # is so already
    found = model(conn, town, "example/level")
    assert (found.entry.title, found.sha256) == ("新しい名前", hashlib.sha256(OTHER).hexdigest())
    assert [(each.at, each.by, each.codec_id) for each in history(conn, town, "example/level")] == [
        (START + HOUR, "佐藤", second),
        (START, None, first),
    ]
    assert codec(conn, town, second).models == ("example/level",)
    pin(conn, town, "example/level", at=START + 3 * HOUR, user_id=sato)  # what the network has decoded
    assert model(conn, town, "example/level").sha256 is None


def test_a_codec_that_was_ever_read_by_stays(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    first, second, unused = bring(conn, town), bring(conn, town, OTHER), bring(conn, town, SOURCE + b"//")
    add_model(conn, town, gauge(first), at=START, user_id=None)
    with pytest.raises(RegistrationError, match="example/level reads by"):
        remove_codec(conn, town, first)
    pin(conn, town, "example/level", codec_id=second, at=START, user_id=None)
    with pytest.raises(RegistrationError, match="read by before"):
        remove_codec(conn, town, first)
    remove_codec(conn, town, unused)
    assert {each.codec_id for each in codecs(conn, town)} == {first, second}
    with pytest.raises(RegistrationError, match="no codec"):
        remove_codec(conn, town, unused)


def test_a_model_with_devices_stays(conn: Connection, registered: Registered) -> None:
    town = registered.municipality_id
    add_model(conn, town, gauge(bring(conn, town)), at=START, user_id=None)
    add_device(conn, town, key="a", model="example/level", silence_after=HOUR)
    with pytest.raises(RegistrationError, match="1 devices are registered"):
        remove_model(conn, town, "example/level")
    add_model(conn, town, gauge(name="example/other"), at=START, user_id=None)
    remove_model(conn, town, "example/other")
    assert [each.entry.name for each in models(conn, town)] == ["example/level"]


def test_another_municipality_sees_and_uses_none_of_it(registered: Registered) -> None:
    town, other = registered.municipality_id, neighbour(registered)
    with as_api(registered) as conn:
        codec_id = bring(conn, town)
        add_model(conn, town, gauge(codec_id), at=START, user_id=None)
    with as_api(registered, other) as conn:
        assert (codecs(conn, other), models(conn, other), set(known_models(conn, other))) == ([], [], set(MODELS))
        # Not even by its own name, or when the program asks for the wrong town.
        assert (codecs(conn, town), models(conn, town)) == ([], [])
        with pytest.raises(RegistrationError, match="no codec"):
            add_model(conn, other, gauge(codec_id), at=START, user_id=None)
        with pytest.raises(RegistrationError, match="no device model"):
            add_device(conn, other, key="a", model="example/level", silence_after=HOUR)
        # The same file may be everybody's own.
        own = bring(conn, other)
        assert own != codec_id
        add_model(conn, other, gauge(own, title="隣の水位計"), at=START, user_id=None)
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            conn.execute("update device_model set codec_id = %s", (codec_id,))
        conn.rollback()
    with connect(registered.owner, name="test") as conn:  # whose rights see all towns
        assert [each.entry.title for each in models(conn, town)] == ["水位計"]
        with pytest.raises(RegistrationError, match="no codec"):
            pin(conn, other, "example/level", codec_id=codec_id, at=START, user_id=None)


def test_a_directory_brings_the_models_of_its_devices_and_reads_a_codec_once(registered: Registered) -> None:
    town = registered.municipality_id
    assert registered.directory.models == MODELS
    with as_api(registered) as conn:
        codec_id = bring(conn, town)
        add_model(conn, town, gauge(codec_id), at=START, user_id=None)
        add_model(conn, town, gauge(codec_id, name="example/unused"), at=START, user_id=None)
        add_device(conn, town, key="a", model="example/level", silence_after=HOUR)
    with connect(registered.worker, name="test") as conn:
        first = load_directory(conn, town)
        again = load_directory(conn, town, first)
    assert set(first.models) == {*MODELS, "example/level"}
    loaded = first.models["example/level"].codec
    assert loaded is not None and loaded.source.encode() == SOURCE and loaded.stateless
    assert again.models["example/level"].codec is loaded


def test_a_model_with_a_builtin_codec_reads_as_that_one_does(registered: Registered) -> None:
    town = registered.municipality_id
    with as_api(registered) as conn:
        add_model(conn, town, gauge(builtin="rain_gauge", fields=()), at=START, user_id=None)
        known = known_models(conn, town)["example/level"]
    builtin = MODELS["rain_gauge"]
    assert (known.decode, known.fields, known.counters) == (builtin.decode, builtin.fields, builtin.counters)
    assert (known.battery_field, known.battery_low) == (builtin.battery_field, builtin.battery_low)
    assert known.battery_low_bit == builtin.battery_low_bit
