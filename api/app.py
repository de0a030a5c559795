"""Puts the application together: routes, error handling, boundary. Refuses what nobody declared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from api import alerting, basemap, export, health, observations, reception, session, stations, stream, tiles
from api import errors as errors_
from api.access import UndeclaredRoute, undeclared
from api.boundary import Boundary
from api.config import ApiConfig
from api.database import Database
from api.instruments import Instruments
from api.live import Hub
from api.pages import routes as pages
from api.state import ApiState

_ROUTERS = (
    session.router,
    stations.router,
    observations.router,
    export.router,
    alerting.router,
    reception.router,
    basemap.router,
    tiles.router,
    stream.router,
    health.router,
)


def create_app(config: ApiConfig) -> FastAPI:
    """The whole application, pages included. Connects when it starts, not here.

    Raises `UndeclaredRoute` when any route does not say who may use it.
    """
    instruments = Instruments()
    database = Database(config.dsn, size=config.pool_size)
    tile_file = tiles.TileFile(config.tiles, config.tiles_credit)
    tile_file.state()  # a file that will not do is told in the log at the start, not at the first visit
    state = ApiState(config, database, Hub(config.dsn, instruments), instruments, tile_file)
    if config.intake is not None:
        from ingest.intake import Intake

        state.intake = Intake(config.intake)
        instruments.watch_intake(state.intake)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        database.open()
        state.hub.start()
        if state.intake is not None:
            state.intake.start()
        try:
            yield
        finally:
            if state.intake is not None:
                await run_in_threadpool(state.intake.close)
            state.hub.close()
            await run_in_threadpool(state.hub.join)
            await run_in_threadpool(state.sandbox.close)
            await run_in_threadpool(database.close)

    app = FastAPI(
        title="Mimamori API",
        version="1",
        lifespan=lifespan,
        # The description is a route like any other (session.py): it needs a session too.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # A redirect to the path with a slash would repeat the Host header, which is the visitor's to choose.
        redirect_slashes=False,
    )
    app.state.api = state
    routers = [*_ROUTERS, pages.router]
    if config.demo:
        routers.append(pages.demo_router)
    if state.intake is not None:
        from api import intake

        routers.append(intake.router)
    # As they are: `include_router` would work out all of them a second time, to give them a prefix or tags of its own.
    for router in routers:
        app.router.routes.extend(router.routes)
    errors_.install(app, pages.problem_page)
    app.add_middleware(
        GZipMiddleware,
        minimum_size=1000,
        compresslevel=6,
        exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, tiles.MEDIA_TYPE),
    )
    app.add_middleware(
        Boundary,
        instruments=instruments,
        max_body_bytes=config.max_body_bytes,
        page=pages.problem_page,
        larger=pages.LARGER_BODIES,
    )
    if open_routes := list(undeclared(app)):
        raise UndeclaredRoute("these routes do not say who may use them: " + ", ".join(open_routes))
    return app
