"""The pages: routes of the four desks, signing in, and the files they need. Server-rendered, in Japanese and English.

`router` holds every route (`demo_router` the demo's own); `problem_page` renders an error for a person's browser. A
page's module makes a view model from plain SQL in the visit's transaction (disaster, water, tourism, alert_list, ...);
the template holds no computation beyond showing it.

  AssetsError   the static files are not complete (`api.pages.assets`)
  WordsError    a catalogue lacks keys (`api.pages.words`)
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from api.access import Router
from api.errors import Problem
from api.pages import (
    actions,
    answer,
    bulk,
    call_tests,
    cameras,
    catchments,
    checklist,
    count_periods,
    counters,
    daily_entry,
    day_checks,
    delivery,
    demo,
    desks,
    device,
    device_list,
    device_models,
    drills,
    duty_roster,
    entry,
    evacuation,
    event,
    event_day,
    events,
    field,
    field_links,
    field_reports,
    floods,
    folders,
    gatherings,
    headquarters_log,
    hour_entry,
    jma,
    levels,
    model_page,
    months,
    notices,
    notifications,
    official,
    outlooks,
    paste,
    people,
    pipes,
    public,
    public_field,
    public_rss,
    public_visitors,
    quality,
    quarantine,
    reception,
    register,
    retracting,
    review,
    rules,
    shelters,
    sources,
    spot_calibration,
    spot_compare,
    spots,
    spots_ahead,
    standing,
    static,
    stations,
    travel,
    trials,
    visit_layout,
    visit_mail,
    visit_reports,
    visit_standard,
    visits,
    waits,
    weekly,
)
from api.pages.field_form import MOST_BODY
from api.pages.site import plain_page

router = Router(include_in_schema=False)
for part in (
    entry.router,
    desks.router,
    notices.router,
    standing.router,
    outlooks.router,
    public.router,
    public_field.router,
    public_rss.router,
    public_visitors.router,
    quality.router,
    quarantine.router,
    register.router,
    device_models.router,
    model_page.router,
    bulk.router,
    device_list.router,
    device.router,
    reception.router,
    sources.router,
    folders.router,
    people.router,
    pipes.router,
    duty_roster.router,
    notifications.router,
    official.router,
    call_tests.router,
    cameras.router,
    delivery.router,
    retracting.router,
    answer.router,
    stations.router,
    floods.router,
    catchments.router,
    travel.router,
    weekly.router,
    headquarters_log.router,
    jma.router,
    evacuation.router,
    checklist.router,
    review.router,
    field.router,
    field_reports.router,
    field_links.router,
    shelters.router,
    drills.router,
    trials.router,
    daily_entry.router,
    visits.router,
    visit_reports.router,
    visit_layout.router,
    visit_standard.router,
    visit_mail.router,
    hour_entry.router,
    gatherings.router,
    paste.router,
    months.router,
    day_checks.router,
    count_periods.router,
    counters.router,
    events.router,
    event.router,
    event_day.router,
    spots.router,
    spot_compare.router,
    spot_calibration.router,
    spots_ahead.router,
    rules.router,
    levels.router,
    waits.router,
    actions.router,
    static.router,
):
    router.include_router(part)


# Where photos are posted: by the beginning of the path, how many bytes a request may have (`api.boundary`).
LARGER_BODIES = {"/field/": MOST_BODY, field.STAFF: MOST_BODY, pipes.PIPES: pipes.MOST_BYTES}

# Only in a demo: `create_app` includes it there and nowhere else.
demo_router = demo.router


def problem_page(request: Request, problem: Problem) -> Response:
    """An error as a page, in the language its texts already have."""
    return plain_page(request, "problem", status=problem.status, language=problem.language, problem=problem)


__all__ = ["LARGER_BODIES", "demo_router", "problem_page", "router"]
