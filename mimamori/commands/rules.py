"""`mimamori rules`: rules for alerts as files (docs/alerts.md), for what the page's form has no fields for.

    list                 {"rules": [{"rule", "place", "name", "severity", "active", "valid_from", "reason", "body"}]}
    rehearse FILE        {"n", "start", "end", "left_out", "seconds",
                          "stations": [{"station", "n", "judged", "first", "missing", "fired": [{"start", "end"}]}]}
    save FILE            {"rule", "version"}
    waits                {"stations": [{"station", "confirm_within_minutes", "confirming_rain_mm",
                                        "tell_within_hours"}]}

FILE is the JSON of a body (`alerts.rules.condition.Body`).
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mimamori.commands import settings
from mimamori.errors import InputError

if TYPE_CHECKING:
    from alerts.rules.condition import Body
    from devices.model import StationKind
    from store import Connection

rules = typer.Typer(help="Rules for alerts as files: tried on the stored history, and saved.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(help="JSON of the rule's body (docs/alerts.md).", exists=True, dir_okay=False)]
_Station = Annotated[str | None, typer.Option(help="Code of the station that it is about.")]
_Kind = Annotated[str | None, typer.Option(help="Or every station of this kind, such as river_gauge.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@rules.command("list")
def show(as_json: _Json = False) -> None:
    """The rules in force, in words."""
    from alerts import rule_words
    from alerts.rule_book import rules_of
    from alerts.rule_series import sites
    from alerts.rules.condition import encoded
    from store import connect

    with connect(settings().need("owner_dsn"), name="rules list") as conn:
        town = _town(conn)
        known = sites(conn, [town])
        found = []
        for rule in rules_of(conn, town):
            version = rule.versions[-1]
            place = str(rule.kind) if rule.station_id is None else known[rule.station_id].code
            found.append(
                {
                    "rule": rule.rule_id,
                    "place": place,
                    "name": version.name,
                    "severity": version.severity,
                    "active": version.active,
                    "valid_from": version.valid_from.isoformat(),
                    "reason": version.reason,
                    "body": json.loads(encoded(version.body)),
                }
            )
            if not as_json:
                off = "" if version.active else " (off)"
                typer.echo(
                    f"{rule.rule_id:>5}  {place}: {version.name}{off}: {rule_words.condition(version.body, 'en')}"
                )
    if as_json:
        typer.echo(json.dumps({"rules": found}, ensure_ascii=False))


@rules.command("rehearse")
def try_rule(
    file: _File,
    station: _Station = None,
    kind: _Kind = None,
    days: Annotated[int, typer.Option(help="So many days up to now, by the town's clock.", min=1, max=3660)] = 365,
    as_json: _Json = False,
) -> None:
    """How often a rule would have been so in the stored history; nothing is saved."""
    from alerts.rehearsal import rehearse
    from store import connect
    from store.town_clock import load_clock

    body = _body(file)
    with connect(settings().need("owner_dsn"), name="rules rehearse") as conn:
        town, now = _town(conn), load_clock(conn).now()
        station_id, of_kind = _place(conn, town, station, kind)
        began = time.perf_counter()
        played = rehearse(
            conn, town, body, station_id=station_id, kind=of_kind, start=now - timedelta(days=days), end=now
        )
        seconds = time.perf_counter() - began
    if as_json:
        told = [
            {
                "station": each.site.code,
                "n": each.n,
                "judged": each.judged,
                "first": None if each.first is None else each.first.isoformat(),
                "missing": list(each.missing),
                "fired": [
                    {"start": f.start.isoformat(), "end": None if f.end is None else f.end.isoformat()}
                    for f in each.fired
                ],
            }
            for each in played.stations
        ]
        figures = {"n": played.n, "start": played.start.isoformat(), "end": played.end.isoformat()}
        typer.echo(json.dumps({**figures, "left_out": played.left_out, "seconds": round(seconds, 3), "stations": told}))
        return
    typer.echo(f"{played.n} times in {days} days ({seconds:.2f} s)")
    for each in played.stations:
        typer.echo(f"{each.site.code}: {each.n} times, judged at {each.judged:,} observations")
        for f in each.fired:
            typer.echo(f"  {f.start:%Y-%m-%d %H:%M}Z to {'now' if f.end is None else f'{f.end:%Y-%m-%d %H:%M}Z'}")
            for _, said in f.figures:
                typer.echo(f"    {said}")


@rules.command("save")
def save(
    file: _File,
    name: Annotated[str, typer.Option(help="Stands in the subject of its messages.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever asks later.")],
    station: _Station = None,
    kind: _Kind = None,
    rule: Annotated[int | None, typer.Option(help="Another version of this rule, instead of a new one.")] = None,
    severity: Annotated[int, typer.Option(help="3 act at once, 2 act, 1 look at it, 0 information.", min=0, max=3)] = 2,
    as_json: _Json = False,
) -> None:
    """Saves a rule, or another version of one, in force from now."""
    from alerts.rule_book import add_rule, add_version, rules_of
    from store import connect
    from store.errors import RegistrationError
    from store.town_clock import load_clock

    body = _body(file)
    with connect(settings().need("owner_dsn"), name="rules save") as conn:
        town, now = _town(conn), load_clock(conn).now()
        if rule is None:
            station_id, of_kind = _place(conn, town, station, kind)
            rule = add_rule(conn, town, station_id=station_id, kind=of_kind, now=now)
        elif not rules_of(conn, town, rule):
            raise InputError(f"--rule {rule}: there is no such rule; `mimamori rules list` shows them")
        try:
            version = add_version(
                conn,
                town,
                rule,
                valid_from=now,
                name=name,
                severity=severity or None,
                active=True,
                body=body,
                reason=reason,
                now=now,
                user_id=None,
            )
        except RegistrationError as error:
            conn.rollback()
            raise InputError(f"{error.field}: {error}") from error
    typer.echo(
        json.dumps({"rule": rule, "version": version})
        if as_json
        else f"rule {rule}, version {version}, from {now:%F %R}Z"
    )


@rules.command("waits")
def waits(
    station: Annotated[str | None, typer.Option(help="Code of the station; without one all are shown.")] = None,
    confirm_within: Annotated[
        float | None,
        typer.Option(help="Minutes for a second reading before people are told; 0: none.", min=0, max=1440),
    ] = None,
    rain: Annotated[
        float | None, typer.Option(help="So many mm in an hour speak for a single reading.", min=0.1, max=1000)
    ] = None,
    tell_within: Annotated[
        float | None, typer.Option(help="Hours: of what is known later than that nobody is told.", min=0.1, max=8760)
    ] = None,
    reason: Annotated[str, typer.Option(help="Why it is changed, for whoever asks later.")] = "",
    as_json: _Json = False,
) -> None:
    """How long people wait at each station with reference levels; with options, changes it at one."""
    from alerts.patience import patience, set_patience
    from store import connect
    from store.errors import RegistrationError
    from store.town_clock import load_clock

    changes = any(each is not None for each in (confirm_within, rain, tell_within))
    if changes and station is None:
        raise InputError("say with --station whose waiting is to be changed")
    with connect(settings().need("owner_dsn"), name="rules waits") as conn:
        town = _town(conn)
        if changes and station is not None:
            try:
                set_patience(
                    conn,
                    town,
                    station,
                    reason=reason,
                    now=load_clock(conn).now(),
                    user_id=None,
                    confirm_within=None if confirm_within is None else timedelta(minutes=confirm_within),
                    confirming_rain=rain,
                    tell_within=None if tell_within is None else timedelta(hours=tell_within),
                )
            except RegistrationError as error:
                conn.rollback()
                raise InputError(f"{error.field}: {error}") from error
        found = patience(conn, town, station)
        if station is not None and not found:
            raise InputError(f"--station {station}: there is no such station")
    if as_json:
        told = [
            {
                "station": each.station,
                "confirm_within_minutes": each.waits.confirm_within / timedelta(minutes=1),
                "confirming_rain_mm": each.waits.confirming_rain,
                "tell_within_hours": each.waits.tell_within / timedelta(hours=1),
            }
            for each in found
        ]
        typer.echo(json.dumps({"stations": told}, ensure_ascii=False))
        return
    for each in found:
        minutes, hours = each.waits.confirm_within / timedelta(minutes=1), each.waits.tell_within / timedelta(hours=1)
        typer.echo(
            f"{each.station}: a second reading within {minutes:g} min, "
            f"or {each.waits.confirming_rain:g} mm of rain in an hour; told up to {hours:g} h late"
        )


def _body(file: Path) -> Body:
    from alerts.rules.condition import BodyError, decoded

    try:
        return decoded(file.read_bytes())
    except BodyError as error:
        raise InputError(f"{file}: {error}") from error


def _town(conn: Connection) -> int:
    from mimamori import rooms
    from store.registry import municipality_id_of

    code = rooms.municipality_of(settings(), settings().need("owner_dsn"))
    municipality_id = municipality_id_of(conn, code)
    if municipality_id is None:
        raise InputError(f"municipality {code} is not in the database: load its town file first")
    return municipality_id


def _place(conn: Connection, town: int, station: str | None, kind: str | None) -> tuple[int | None, StationKind | None]:
    from devices.model import StationKind

    if (station is None) == (kind is None):
        raise InputError("say --station with a code, or --kind with a kind of station")
    if kind is not None:
        if kind not in set(StationKind):
            raise InputError(f"--kind {kind}: one of {', '.join(StationKind)}")
        return None, StationKind(kind)
    row = conn.execute(
        "select station_id from station where municipality_id = %s and code = %s", (town, station)
    ).fetchone()
    if row is None:
        raise InputError(f"--station {station}: there is no such station")
    return int(row[0]), None
