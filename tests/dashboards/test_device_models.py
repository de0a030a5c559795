"""機種とコーデック: bringing a codec, what its fields mean, and another version that is taken only on purpose."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from api.access import Role
from api.errors import Text
from api.pages.codec_files import Refusal, model_name, read_examples
from store import connect, registration
from tests.api.serving import TownHall
from tests.conftest import START, Registered
from tests.dashboards.test_quarantine import deliver, text_of
from tests.ingest.town import chirpstack, query

KEY = "24e124713b000001"
MODEL = "milesight/em500-udl"
CODEC = """\
function decodeUplink(input) {
  if (input.bytes.length !== 2) return { errors: ["two bytes are expected"] };
  return { data: { distance: { value: input.bytes[0] * 256 + input.bytes[1], unit: "mm" } } };
}
"""
RENAMED = CODEC.replace("distance:", "water_distance:")
GOOD = [{"input": {"bytes": "10cc", "fPort": 1}, "output": {"data": {"distance": {"value": 4300, "unit": "mm"}}}}]
WRONG = [{"description": "off by one", "input": {"bytes": [16, 204]}, "output": {"data": {"distance": 1}}}]


def bring(client: httpx.Client, source: str | bytes, examples: object = "", **said: str) -> httpx.Response:
    data = {"maker": "Milesight", "model": "EM500-UDL", "title": "超音波水位計"} | said
    if examples:
        data["examples"] = examples if isinstance(examples, str) else json.dumps(examples)
    return client.post("/digital/models", data=data, files={"file": ("em500.js", source)})


def ours(registered: Registered) -> list[tuple[Any, ...]]:
    return query(
        registered.owner,
        "select name, title, file_name, encode(sha256, 'hex') from device_model join codec using (codec_id)",
    )


def device(registered: Registered, model: str = MODEL) -> None:
    """A gauge of the model at river-okusawa, 6.20 m above gauge zero, and two of its messages."""
    with connect(registered.owner, name="test") as conn:
        town = registered.municipality_id
        registration.add_device(conn, town, key=KEY, model=model, silence_after=timedelta(hours=1))
    deliver(
        registered,
        *(chirpstack(KEY, bytes([16, 204 + n]), counter=n, time=START + n * timedelta(seconds=1)) for n in (0, 1)),
    )


def test_a_codec_is_tried_kept_and_read_by(registered: Registered, hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        answer = bring(client, CODEC, GOOD)
        assert answer.headers["location"] == f"/digital/models/{MODEL}?done=made"
        assert [row[:3] for row in ours(registered)] == [(MODEL, "超音波水位計", "em500.js")]
        listed = text_of(client.get("/digital/models").text)
        assert "例 1件すべて一致" in listed and ours(registered)[0][3][:12] in client.get("/digital/models").text
        # its example tells the field, and the field what it means, before any device has spoken
        page = client.get(answer.headers["location"]).text
        assert 'name="is.distance"' in page and "機種を追加しました" in page
        assert re.search(r'name="unit.distance"[^>]*value="mm"', page)
        assert bring(client, CODEC, GOOD).headers["location"] == f"/digital/models/{MODEL}?done=same"
        # a model that nobody names is called as its file is
        assert bring(client, CODEC, model="").headers["location"] == "/digital/models/milesight/em500?done=made"


def test_for_a_new_device_one_comes_back_to_it(registered: Registered, hall: TownHall) -> None:
    deliver(registered, chirpstack(KEY, bytes([16, 204]), counter=1, time=START))
    with hall.visitor(Role.DIGITAL) as client:
        answer = bring(client, CODEC, GOOD, **{"for": KEY})
        target = urlsplit(answer.headers["location"])
        assert (target.path, parse_qs(target.query)) == ("/digital/register", {"key": [KEY], "model": [MODEL]})
        assert "distance=" in client.get(answer.headers["location"]).text


@pytest.mark.parametrize(
    ("source", "examples", "said", "wrong"),
    [
        ("", "", {}, "ファイル（.js）を選んでください"),
        ("function decodeUplink(input) {\n  return {data: {a: 1};\n}", "", {}, "line 2 of the codec is not JavaScript"),
        ("var a = 1;", "", {}, "none of the functions"),
        (b"\xff\xfe", "", {}, "not UTF-8"),
        (CODEC, "[1, 2", {}, "1 行目が読めません"),
        (CODEC, "examples:\n  - input: {bytes: '01'\n", {}, "行目が読めません"),
        (CODEC, "just words", {}, "一覧（JSON か YAML）"),
        (CODEC, "[" * 5000, {}, "読めません"),
        (CODEC, "", {"maker": "ミレサイト"}, "英数字で入れてください"),
        (CODEC, "", {"maker": ""}, "英数字で入れてください"),
        (CODEC, "", {"model": "水位計"}, "英数字で入れてください"),
    ],
)
def test_what_is_no_codec_is_refused_with_the_reason(
    registered: Registered, hall: TownHall, source: str | bytes, examples: str, said: dict[str, str], wrong: str
) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        answer = bring(client, source, examples, **said)
        assert answer.status_code == 422 and wrong in text_of(answer.text), text_of(answer.text)[:600]
        if "maker" not in said:
            assert 'value="Milesight"' in answer.text  # what was typed is still there
    assert query(registered.owner, "select (select count(*) from codec), (select count(*) from device_model)") == [
        (0, 0)
    ]


def test_examples_that_come_out_otherwise_are_shown_and_a_person_decides(
    registered: Registered, hall: TownHall
) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        answer = bring(client, CODEC, GOOD + WRONG)
        assert answer.headers["location"].startswith("/digital/codecs/") and ours(registered) == []
        page = client.get(answer.headers["location"])
        text = text_of(page.text)
        assert "例 2件のうち1件が一致" in text and "off by one" in text and "expected 1" in text
        assert "一致しない例があることを承知で使います" in text
        sha256 = urlsplit(answer.headers["location"]).path.rpartition("/")[2]
        made = client.post(f"/digital/codecs/{sha256}", data={"maker": "Milesight", "model": "EM500-UDL"})
        assert made.headers["location"] == f"/digital/models/{MODEL}?done=made"
    assert [row[0] for row in ours(registered)] == [MODEL]


def test_another_version_changes_nothing_until_somebody_says_so(registered: Registered, hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        bring(client, CODEC, GOOD)
        client.post(
            f"/digital/models/{MODEL}",
            data={
                "do": "save",
                "is.distance": "water_level",
                "unit.distance": "mm",
                "down.distance": "1",
                "plus.distance": "6.2",
            },
        )
        device(registered)
        before = ours(registered)
        answer = bring(client, RENAMED)
        assert ours(registered) == before
        shown = text_of(client.get(answer.headers["location"]).text)
        assert "まだ入れ替えていません" in shown and "観測に使っている項目がなくなります：distance" in shown
        assert re.search(r"distance 観測に使用中 4\d{3} なし なくなります", shown), shown[:900]
        assert re.search(r"water_distance なし 4\d{3} 増えます", shown)
        sha256 = urlsplit(answer.headers["location"]).path.rpartition("/")[2]
        pinned = client.post(f"/digital/codecs/{sha256}/pin", data={"model": MODEL})
        assert pinned.headers["location"] == f"/digital/models/{MODEL}?done=pinned"
        assert ours(registered)[0][3] == sha256 != before[0][3]
        history = client.get(pinned.headers["location"]).text
        assert history.index(sha256[:12], history.index('id="history"')) < history.rindex(before[0][3][:12])
        # what was read by it stays; what nothing ever read by goes
        kept = client.post(f"/digital/codecs/{before[0][3]}/remove")
        assert "削除しません" in client.get(kept.headers["location"]).text
        spare = bring(client, CODEC + "// 3")
        gone = client.post(urlsplit(spare.headers["location"]).path + "/remove")
        assert gone.headers["location"] == "/digital/models?done=removed"
    assert query(registered.owner, "select count(*) from codec") == [(2,)]


def test_what_a_field_means_is_tried_on_the_last_messages_and_then_saved(
    registered: Registered, hall: TownHall
) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        bring(client, CODEC)
        device(registered)
        page = client.get(f"/digital/models/{MODEL}")
        assert re.search(r'name="down.distance" value="1" checked', page.text)
        said = {"is.distance": "water_level", "unit.distance": "mm", "down.distance": "1", "plus.distance": "6.2"}
        tried = client.post(f"/digital/models/{MODEL}", data=said | {"do": "try"}, follow_redirects=True)
        assert "水位 1.90 m" in text_of(tried.text) and "まだ何も保存していません" in tried.text
        assert query(registered.owner, "select count(*) from model_field") == [(0,)]
        wrong = client.post(
            f"/digital/models/{MODEL}", data=said | {"do": "save", "is.distance": "pressure"}, follow_redirects=True
        )
        assert "単位「mm」は「kPa」に直せません" in text_of(wrong.text)
        assert query(registered.owner, "select count(*) from model_field") == [(0,)]
        saved = client.post(f"/digital/models/{MODEL}", data=said | {"do": "save"})
        assert saved.headers["location"] == f"/digital/models/{MODEL}?done=saved"
        shown = client.get(saved.headers["location"])
        assert "水位 1.90 m" in text_of(shown.text) and re.search(r'name="plus.distance"[^>]*value="6.2"', shown.text)
    assert query(registered.owner, "select field, unit, observed_property, scale, value_offset from model_field") == [
        ("distance", "mm", "water_level", -0.001, 6.2)
    ]


def test_only_the_digital_section_of_the_own_town_sees_its_models(registered: Registered, hall: TownHall) -> None:
    with hall.visitor(Role.DIGITAL) as client:
        bring(client, CODEC, GOOD)
    sha256 = ours(registered)[0][3]
    with hall.visitor(Role.DISASTER) as client:
        assert client.get("/digital/models").status_code == 403
        assert "/digital/models" not in client.get("/digital").text
    with hall.visitor(Role.DIGITAL, town="other") as client:
        assert MODEL not in client.get("/digital/models").text
        assert client.get(f"/digital/models/{MODEL}").status_code == 404
        assert client.get(f"/digital/codecs/{sha256}").status_code == 404
        assert client.post(f"/digital/codecs/{sha256}/pin", data={"model": MODEL}).status_code == 404
        assert client.get("/digital/models/radar_level").status_code == 200


def test_examples_are_read_however_they_are_written() -> None:
    expected = [{"name": "#1", "input": {"bytes": [1], "fPort": 1}, "output": {"data": {"a": 1}}}]
    example = {"input": {"bytes": [1], "fPort": 1}, "output": {"data": {"a": 1}}}
    for text in (
        json.dumps([example]),
        json.dumps({"examples": [example]}),
        json.dumps(example),
        "uplinkDecoder:\n  file: a.js\n  examples:\n  - input: {bytes: [0x01], fPort: 1}\n    output: {data: {a: 1}}\n",
        json.dumps([example, {**example, "type": "downlink-encode"}]),
    ):
        assert read_examples(text) == expected, text
    # YAML 1.2: on is a word and no truth
    assert read_examples("- {input: {bytes: []}, output: {data: {state: on}}}")[0]["output"] == {
        "data": {"state": "on"}
    }
    with pytest.raises(Refusal) as refused:
        read_examples(json.dumps([example] * 501))
    assert refused.value.said == Text("例は 500 件までです。", "There may be at most 500 examples.")


@pytest.mark.parametrize(
    ("maker", "model", "name"),
    [
        ("Milesight", "EM500 UDL", "milesight/em500-udl"),
        ("Ｄｒａｇｉｎｏ", "LDDS75", "dragino/ldds75"),
        ("ミレサイト", "EM500", None),
        ("", "EM500", None),
        ("a" * 60, "b" * 60, None),
        ("../x", "y", None),
    ],
)
def test_a_model_is_named_by_what_a_person_types(maker: str, model: str, name: str | None) -> None:
    assert model_name(maker, model) == name
