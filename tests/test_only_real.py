"""Drills and trials are never public and never counted: every query of the project that reads what they have rows in
says that it wants what is real only, or stands here with the reason why it need not.

A new query that fails here: restrict it (`drill_run is null`, `mode = 'actual'`, `drill = %s`), or say under which
reason it belongs. A table that is a placeholder in a query is not seen here. What pages, exports and reports make of it
is compared in tests/dashboards/test_drills.py and test_trials.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("store", "ingest", "analytics", "alerts", "api", "mimamori")
# What the benchmarks make they make in databases of their own.
LEFT_OUT = ("mimamori/bench/",)

# Tables in which a drill has rows of its own, and those that are worked out from them.
TABLES = (
    "datastream", "observation", "tenant_observation", "datastream_latest", "observation_revision",
    "rollup_hour", "rollup_day", "night_flow", "finding", "quality_event",
    "alert", "alert_history", "alert_judged", "outbox", "late_excursion", "public_notice",
    "headquarters_log", "evacuation_order", "response_stage", "checklist_tick",
    "field_report", "field_photo", "shelter_word", "alert_retraction",
    "jma_telegram",
)  # fmt: skip
READS = re.compile(rf"\b(?:from|join|using)\s+(?:lateral\s+)?(?:only\s+)?({'|'.join(TABLES)})\b(?!\s*\()", re.I)
# The agency's own drills and tests are told by their status.
ONLY_REAL = re.compile(
    r"\bstatus = (?:%|any\(%|t\.status)|\bdrill_run is null\b"
    r"|\bmode = 'actual'|\bmode = %|\bdrill = %|\bnot \w\.drill\b"
)

EXEMPT = {
    "reads the one that its caller has chosen; who lists what can be chosen leaves drills out": """
        alerts/actions.py:_locked alerts/actions.py:_refuse_while_above alerts/answers.py:_ASKED
        alerts/public/acts.py:_alert alerts/public/acts.py:_refuse_changed_reading alerts/public/making.py:facts_of
        alerts/public/making.py:insert alerts/public/notices.py:chain_before
        alerts/public/standing_publish.py:Standing._one alerts/public/standing_publish.py:_CHAIN
        alerts/public/standing_publish.py:_SITUATION alerts/public/standing_publish.py:outlook
        alerts/alert_cause.py:_CAUSE
        analytics/visitors/usual.py:_counted_list analytics/visitors/checks/counter.py:_counts_again
        analytics/visitors/checks/counter.py:_blocked analytics/visitors/checks/counter.py:_jammed
        analytics/visitors/checks/counter.py:_varied
        api/alerting.py:_ALERT api/alerting.py:act api/alerting.py:_detail
        api/curves.py:_QUERIES api/export.py:_part api/observations.py:_raw
        api/pages/daily_counts.py:_entered api/pages/daily_entry.py:_range_of api/pages/day_entries.py:standing
        api/pages/day_entries.py:_ENTRIES api/pages/doubts.py:doubted_series api/pages/doubts.py:month_of
        api/pages/drill_plan.py:_history api/pages/gauge_file.py:observations analytics/rivers/amounts.py:_AMOUNTS
        api/pages/readings.py:history api/pages/review.py:_range api/pages/station.py:_provenance
        api/pages/tourism.py:counters_now store/correct.py:_count store/correct.py:_STRETCH store/correct.py:_HOLD
        store/correct.py:_CHANGE store/correct.py:_PUT store/correct.py:_NEWEST store/observations.py:series
        store/observations.py:before store/observations.py:after store/reviews.py:_settle
        store/reviews.py:confirmed_months store/evacuation.py:amend store/evacuation.py:order_revisions
        store/evacuation.py:redeclare store/evacuation.py:stage_revisions store/headquarters.py:correct
        store/headquarters.py:revisions alerts/false_notice.py:_STEP alerts/retraction.py:_locked
        alerts/retraction.py:_MESSAGES api/pages/field_reports.py:reports_page alerts/actions.py:assign
        alerts/assigning.py:tell alerts/assigning.py:_WITHDRAW alerts/assigning.py:_TOLD
        store/alert_reviews.py:mark store/field_photos.py:_said
        store/jma.py:telegram store/jma.py:_KEPT
        store/field_photos.py:picture store/field_photos.py:PHOTOS store/field_reports.py:_known
        store/field_reports.py:_lately
        analytics/rivers/link_job.py:_on_grid analytics/rivers/floods.py:_OBSERVED
        api/pages/paste_plan.py:_STORED api/pages/paste_plan.py:_LIMITS api/pages/suspects.py:suspect_of
    """,
    "a still is of a camera, and real during a drill too": """
        store/cameras.py:_CAMERAS
    """,
    "a drill has none of these: hours, days, nights and findings are of real series, mappings of devices": """
        analytics/findings.py:last analytics/leaks/nights.py:_recompute_night analytics/leaks/watch.py:_judge_nights
        analytics/leaks/watch.py:told_by_pressures analytics/leaks/loggers/lively.py:_told
        analytics/leaks/loggers/measured.py:_steps analytics/leaks/loggers/measured.py:step
        analytics/leaks/blocks/stored.py:inflows analytics/leaks/blocks/stored.py:nights
        analytics/leaks/loggers/measured.py:hours analytics/leaks/loggers/stored.py:open_suspect
        analytics/leaks/loggers/stored.py:told analytics/leaks/loggers/sounds.py:state
        analytics/leaks/loggers/sounds.py:_settled analytics/leaks/loggers/sounds.py:_suspected
        analytics/leaks/loggers/stored.py:end_settled
        analytics/leaks/blocks/rises.py:_open analytics/leaks/blocks/rises_stored.py:told
        analytics/leaks/blocks/rises_stored.py:in_cases analytics/leaks/blocks/rises_stored.py:case_of
        analytics/leaks/blocks/rises_stored.py:others analytics/leaks/blocks/rises_stored.py:tells_of
        analytics/leaks/blocks/rises_stored.py:nights
        analytics/leaks/blocks/inlets.py:_of_block analytics/leaks/blocks/inlets.py:beside
        analytics/visitors/usual.py:_complete_days analytics/visitors/visits.py:visits_by_hour
        analytics/visitors/visits.py:visits_by_day analytics/visitors/checks/judged.py:days alerts/observed.py:findings
        analytics/visitors/checks/estimates.py:_before
        analytics/visitors/spots/counted.py:began analytics/visitors/spots/counted.py:daily
        analytics/visitors/spots/counted.py:hourly analytics/visitors/spots/calibration.py:typical_hour
        analytics/visitors/spots/trends.py:trends
        api/observations.py:_hours api/observations.py:_days api/pages/daily_counts.py:_counted
        api/pages/suspects.py:suspects api/pages/water.py:_nights api/pages/doubts.py:doubts
        store/doubts.py:newest_events store/doubts.py:doubt store/reviews.py:confirm_month
        alerts/device_health.py:_PROMISED analytics/device_days.py:work_out analytics/duty_reports.py:recompute
        analytics/duty_reports.py:_put_right api/pages/device.py:_series api/pages/device_health.py:_DEVICE
        api/pages/register_plan.py:_occupant store/calibrations.py:calibrations store/duty.py:_check_levels
        store/duty.py:modes_now store/duty.py:datastream_duties
        analytics/visitors/events/watch.py:end_over
        analytics/rivers/link_job.py:_hours analytics/rivers/floods.py:_HOURS analytics/rivers/floods.py:_RAIN
        api/pages/outlook.py:_HIGHEST
    """,
    "a drill has no alert of these rules: silence, outage, the operation": """
        alerts/digest.py:_OUTAGES alerts/heard.py:explained alerts/operation.py:_towns
        alerts/silences.py:_Outages._clear_folded
    """,
    "writes and judges whatever it is given: the values of a drill take the way of all values": """
        ingest/plain.py:_looked_up store/judged.py:count_past_as_judged store/latest.py:standing
        store/values.py:not_there_yet
        store/latest.py:_REMEASURE store/values.py:_standing store/values.py:_update_observations
        store/verdicts.py:behind store/verdicts.py:note store/verdicts.py:give store/verdicts.py:ends
        store/verdicts.py:around
    """,
    "the rules judge a drill as they judge what is real, with the mode; who is told follows from it": """
        alerts/escalation.py:_UNANSWERED alerts/public/expiring.py:remind alerts/public/expiring.py:_STANDING
        alerts/public/expiring.py:_NOT_SAID alerts/observed.py:level_streams alerts/observed.py:unjudged
        alerts/observed.py:judged_already alerts/observed.py:window_before alerts/observed.py:open_levels
        alerts/recording.py:Recorder._calls alerts/recording.py:_SAY_AGAIN alerts/rule_series.py:streams
        alerts/written.py:_targets alerts/written.py:_alerts alerts/written.py:_before
        alerts/still_false.py:_STANDING store/field_reports.py:attach
        alerts/observed.py:newest_judged alerts/observed.py:revised alerts/observed.py:since_raised
        alerts/recording.py:_TAKE_BACK alerts/beside.py:_wait alerts/withheld.py:_version alerts/withheld.py:go_down
        alerts/withheld.py:keep alerts/withheld.py:waiting alerts/calm.py:_PASS alerts/shards.py:Shard.own
    """,
    "of drills or trials, and says so": """
        alerts/apart.py:_OF_DRILL alerts/apart.py:_OF_TRIAL alerts/apart.py:_OVER alerts/apart.py:_TOLD
        alerts/apart.py:_GIVE_UP
        api/pages/apart_now.py:_SHADOWS api/pages/drill_report.py:_RAISED api/pages/drill_report.py:_TOLD
        api/pages/trials.py:_VALUES ingest/drilling.py:_shadows
    """,
    "sends, or tells what waits to be sent, whatever it is about": """
        alerts/corrections.py:_BEGUN alerts/corrections.py:_SPARE alerts/fallback.py:lock_ways
        alerts/fallback.py:stand_in alerts/fallback.py:_FALL_BACK alerts/operation.py:_failed_mails
        alerts/outbox.py:_ASKING alerts/outbox.py:_DUE api/health.py:_WAITING api/health.py:_OLDEST_DUE
        api/pages/machine_room.py:_WAITING alerts/outbox.py:_GONE
    """,
    "of the letters with reports, which no drill has": """
        api/pages/visit_mail.py:_SENT
    """,
    "shows a drill beside what is real, marked, to those who are signed in": """
        api/pages/alert_list.py:late_excursions api/pages/alert_list.py:add_events api/pages/alert_list.py:_ALERTS
        api/pages/delivery.py:delivery_page api/pages/delivery.py:messages_of api/pages/notices.py:_one
        api/readings.py:changed_alerts api/readings.py:_TRIALS alerts/public/notices.py:_NOTICES
    """,
    "of the test messages of 試験, which no drill has": """
        alerts/monthly.py:_MESSAGE alerts/monthly_results.py:_RESULTS alerts/browsers.py:_BROWSERS
        alerts/browsers.py:try_out
    """,
    "the first part of a query, whose ends ask for the one or the other": """
        store/field_reports.py:_REPORTS store/shelters.py:_WORD
    """,
    "what is of a drill grows old and goes like all other": """
        store/field_photos.py:forget_old
        analytics/old_values.py:kept analytics/old_values.py:_forget
    """,
    "of a database of its own, in which no drill is held": """
        mimamori/demo.py:_before mimamori/replay.py:_values
    """,
}


def sources() -> Iterator[Path]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if not path.relative_to(ROOT).as_posix().startswith(LEFT_OUT):
                yield path


def queries(path: Path) -> Iterator[tuple[str, str]]:
    """(where it stands, the text) of every piece of SQL that reads one of the tables: the function, the method as
    Class.method, or the name that it is given.
    """
    file = path.relative_to(ROOT).as_posix()

    def walk(node: ast.AST, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            within = names
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                # what stands in a function is the function's
                within = (*names, child.name) if not names or isinstance(node, ast.ClassDef) else names
            elif isinstance(child, ast.Assign | ast.AnnAssign) and not names:
                within = (ast.unparse(child.targets[0] if isinstance(child, ast.Assign) else child.target),)
            if isinstance(child, ast.Constant) and isinstance(child.value, str) and reads(child.value):
                yield f"{file}:{'.'.join(names)}", child.value
            yield from walk(child, within)

    yield from walk(ast.parse(path.read_text("utf-8")), ())


def reads(text: str) -> bool:
    return re.search(r"\b(select|insert|update|delete)\b", text) is not None and READS.search(text) is not None


REASONS = {where: reason for reason, listed in EXEMPT.items() for where in listed.split()}


@pytest.fixture(scope="module")
def found() -> list[tuple[str, str]]:
    return [each for path in sources() for each in queries(path)]


@pytest.fixture(scope="module")
def unrestricted(found: list[tuple[str, str]]) -> set[str]:
    return {where for where, text in found if not ONLY_REAL.search(text)}


def test_the_queries_are_found(found: list[tuple[str, str]]) -> None:
    assert len(found) > 150
    assert any(where == "api/readings.py:_LATEST" for where, _ in found)


def test_every_query_reads_what_is_real_or_has_a_reason_not_to(unrestricted: set[str]) -> None:
    assert len(unrestricted) > 100
    assert sorted(unrestricted - set(REASONS)) == [], (
        "they read drills among what is real: restrict them, or say above why they need not"
    )


def test_no_reason_is_given_for_what_is_not_there(unrestricted: set[str]) -> None:
    assert sorted(set(REASONS) - unrestricted) == []
    assert sum(len(listed.split()) for listed in EXEMPT.values()) == len(REASONS), "each has one reason"


def test_the_functions_of_the_database_leave_drills_out_as_well() -> None:
    """Those that count or give away; what they write they write for whoever calls them."""
    body = re.compile(r"create (?:or replace )?function (\w+)\(.*?\$\$(.*?)\$\$", re.S)
    texts = [path.read_text("utf-8") for path in sorted((ROOT / "store" / "migrations").glob("*.sql"))]
    newest = {name: text for each in texts for name, text in body.findall(each)}
    open_ = {name for name, text in newest.items() if READS.search(text) and not ONLY_REAL.search(text)}
    assert open_ <= {
        "observation_partition", "observation_compress", "observation_drop_empty", "observation_hold",
        "latest_recompute", "latest_of_entry", "municipality_of_answer",
    }  # fmt: skip
