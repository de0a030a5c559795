"""Who may bring a message over HTTP: sources, their secrets, and what is said to whoever has none."""

from __future__ import annotations

import base64
import logging
from dataclasses import replace

import psycopg
import pytest

from api.database import enter_municipality
from ingest.errors import SourceError
from ingest.sources import SourceEntry, add_source, list_sources, revoke_source
from store import connect
from tests.api.serving import OTHER_TOWN, assert_problem, populate, serving
from tests.brokers.running import wait_for
from tests.conftest import START, Registered
from tests.ingest.posts import (
    Intake,
    Post,
    make_source,
    minutes_ago,
    numbered,
    post_of,
    taking,
    wait_until_open,
)
from tests.ingest.town import count, query


def test_a_source_is_refused_without_a_word_about_what_was_wrong(intake: Intake) -> None:
    owner, post = intake.database.owner, post_of("sigfox", 1.0, counter=1, time=minutes_ago(1))
    intake.secrets["revoked"] = make_source(owner, "revoked", "sigfox")
    with connect(owner, name="test") as conn:
        revoke_source(conn, "revoked")
    intake.secrets["nonsense"] = "x" * 43
    answers = []
    for source, secret_of in (
        ("sigfox", "nonsense"),
        ("sigfox", "soracom"),
        ("revoked", "revoked"),
        ("nobody", "sigfox"),
    ):
        answer = intake.post(source, post, secret_of=secret_of)
        body = assert_problem(answer, 401, "source_refused")
        answers.append({key: value for key, value in body.items() if key != "instance"})
    with intake.client(None) as client:
        for headers in ({}, {"Authorization": "Basic !!!"}, {"Authorization": "Bearer"}, {"X-Mimamori-Secret": "ü"}):
            answer = client.post(
                "/intake/sigfox", content=post.body, headers=[(k, v.encode("utf-8")) for k, v in headers.items()]
            )
            body = assert_problem(answer, 401, "source_refused")
            answers.append({key: value for key, value in body.items() if key != "instance"})
        assert client.post("/intake/sigfox?secret=" + intake.secrets["sigfox"]).status_code == 401
    assert all(answer == answers[0] for answer in answers)
    assert count(intake.database, "uplink") == 0


def test_a_secret_comes_as_bearer_as_basic_password_or_in_a_header_of_its_own(intake: Intake) -> None:
    secret = intake.secrets["sigfox"]
    ways = [
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": "Basic " + base64.b64encode(f"anybody:{secret}".encode()).decode()},
        {"X-Mimamori-Secret": secret},
        {"Authorization": "Bearer of-some-proxy", "X-Mimamori-Secret": secret},
    ]
    with intake.client(None) as client:
        for n, headers in enumerate(ways):
            post = post_of("sigfox", 1.0, counter=n, time=minutes_ago(1))
            assert client.post("/intake/sigfox", content=post.body, headers=headers).status_code == 202
    assert count(intake.database, "uplink") == len(ways)


def test_a_source_made_or_revoked_while_the_api_runs_is_known_within_seconds(intake: Intake) -> None:
    owner = intake.database.owner
    intake.secrets["new"] = make_source(owner, "new", "sigfox")
    counters = iter(range(10_000))

    def status() -> int:
        return intake.post("new", post_of("sigfox", 1.0, counter=next(counters), time=minutes_ago(1))).status_code

    wait_for(lambda: status() == 202, "the new source to be let in")
    with connect(owner, name="test") as conn:
        revoke_source(conn, "new")
    wait_for(lambda: status() == 401, "the revoked source to be refused")
    old = intake.secrets["new"]
    intake.secrets["new"] = make_source(owner, "new", "sigfox")
    assert intake.secrets["new"] != old
    wait_for(lambda: status() == 202, "the name to be in use again")

    def entries() -> list[SourceEntry]:
        with connect(owner, name="test") as conn:
            return [entry for entry in list_sources(conn) if entry.name == "new"]

    def heard() -> bool:  # written down just after the answer
        return all(entry.last_message_at is not None and entry.last_message_at >= START for entry in entries())

    wait_for(heard, "both to have brought something")
    assert [entry.revoked_at is None for entry in entries()] == [True, False]


def test_a_device_of_another_town_is_unknown_to_a_source(registered: Registered) -> None:
    populate(registered)
    with taking(registered) as intake:
        intake.secrets["neighbour"] = make_source(
            registered.owner, "neighbour", "chirpstack_v4", municipality=OTHER_TOWN
        )
        wait_until_open(intake)
        post = post_of("chirpstack_v4", 1.0, counter=1, time=minutes_ago(1))
        wait_for(lambda: intake.post("neighbour", post).status_code == 202, "the neighbour's source to be known")
        assert intake.post("chirpstack-v4", post).json()["outcome"] == "accepted"
    rows = query(
        registered.owner,
        "select m.code, u.outcome, u.reason from uplink u join municipality m using (municipality_id) order by 1",
    )
    assert rows == [(OTHER_TOWN, "quarantined", "unknown_device"), ("999999", "accepted", None)]


def test_without_the_workers_address_there_is_no_way_in(registered: Registered) -> None:
    with serving(registered) as hall, hall.visitor(None) as client:
        assert_problem(client.post("/intake/sigfox", content=b"{}"), 404, "not_found")


def test_the_api_sees_of_its_own_towns_sources_everything_but_the_secret(registered: Registered) -> None:
    populate(registered)
    with connect(registered.owner, name="test") as conn:
        add_source(conn, name="own", kind="sigfox", municipality="999999")
        add_source(conn, name="others", kind="sigfox", municipality=OTHER_TOWN)
    may = dict(
        query(
            registered.owner,
            """
            select attname::text, has_column_privilege('mimamori_api', attrelid, attnum, 'select')
            from pg_attribute where attrelid = 'intake_source'::regclass and attnum > 0
            """,
        )
    )
    assert len(may) > 3 and {column for column, seen in may.items() if not seen} == {"secret_hash"}
    with connect(registered.api, name="test") as conn:
        assert conn.execute("select name from intake_source").fetchall() == []
        enter_municipality(conn, registered.municipality_id)
        assert conn.execute("select name from intake_source").fetchall() == [("own",)]
        for statement in (
            "select secret_hash from intake_source",
            "select * from intake_source",
            "select 1 from intake_source where secret_hash is not null",
            "update intake_source set secret_hash = ''",
            "delete from intake_source",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                conn.execute(statement)
    with connect(registered.worker, name="test") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("update intake_source set secret_hash = ''")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Town Hall"}, "part of an address"),
        ({"name": "../x"}, "part of an address"),
        ({"name": ""}, "part of an address"),
        ({"kind": "mqtt"}, "use one of chirpstack_v4"),
        ({"municipality": "010006"}, "010006"),
        ({"per_minute": 0}, "1 to 1000000"),
    ],
)
def test_a_source_that_will_not_do_is_refused_in_words(
    registered: Registered, changes: dict[str, object], words: str
) -> None:
    wanted: dict[str, object] = {"name": "sigfox", "kind": "sigfox", "municipality": "999999"}
    with connect(registered.owner, name="test") as conn:
        with pytest.raises(SourceError, match=words):
            add_source(conn, **(wanted | changes))  # type: ignore[arg-type]
        add_source(conn, **wanted)  # type: ignore[arg-type]
        with pytest.raises(SourceError, match="already"):
            add_source(conn, **wanted)  # type: ignore[arg-type]
        with pytest.raises(SourceError, match="no source nobody"):
            revoke_source(conn, "nobody")


def test_no_secret_is_ever_logged(
    intake: Intake, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "wrong-" + "y" * 37
    intake.secrets["wrong"] = wrong
    post = post_of("sigfox", 1.0, counter=1, time=minutes_ago(1))
    assert intake.post("sigfox", post).status_code == 202
    assert intake.post("sigfox", post, secret_of="wrong").status_code == 401
    assert intake.post("sigfox", replace(post, headers={"X-Mimamori-Secret": wrong})).status_code == 202
    assert intake.post("sigfox", Post(b"x" * 70_000)).status_code == 413
    with connect(intake.database.owner, name="test") as conn:
        conn.execute("revoke insert on uplink from mimamori_worker")
    assert intake.post("sigfox", numbered(5)).status_code == 503
    spoken = capfd.readouterr()
    text = caplog.text + spoken.out + spoken.err
    assert "wrong or no secret for 'sigfox'" in text and "intake cannot store" in text
    assert wrong not in text and not any(secret in text for secret in intake.secrets.values())
    kept = query(intake.database.owner, "select topic || detail from uplink")
    assert not any(secret in str(kept) for secret in intake.secrets.values())
