# Mimamori. `make demo` shows a living town; `make test` proves it. Needed: make and Python >= 3.11, nothing else.
#
#   make install        .venv from requirements.lock, and the front end's libraries
#   make demo           PORT=8000 DATA=data/demo; Ctrl-C ends it and leaves nothing running
#   make test           the whole suite, browser tests included
#   make test-browser   only what drives a real Chromium
#   make chaos          ROUNDS=200: kills everything under load, and counts; ends with one JSON object
#   make pictures       the READMEs' pictures anew, in docs/pictures
#   make check          ruff, mypy --strict (for Windows too), import-linter
#   make lock           the four lock files anew

PORT ?= 8000
DATA ?= data/demo
PYTEST ?=
ROUNDS ?= 200
SEED ?= 0
RATE ?= 1000
BROKER ?= both

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --quiet

# A town is a dozen processes, and the tests start hundreds: no one compiles anew what another has compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test test-browser chaos pictures check lock chromium
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:
	@sed -n '3,10s/^#   //p' Makefile

# --- installation ------------------------------------------------------------------------------------------

# A virtual environment of the first Python that is new enough; one that is there and new enough is taken as it is.
$(VENV)/made:
	@set -eu; found=; \
	if $(PYTHON) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then touch $@; exit; fi; \
	for python in python3.13 python3.12 python3.11 python3 python; do \
	  if command -v $$python >/dev/null 2>&1 && \
	     $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found=$$python; \
	    if $$python -c 'import ensurepip, venv' 2>/dev/null; then break; fi; found="$$python-without-venv"; \
	  fi; \
	done; \
	case "$$found" in \
	  "") echo "Mimamori needs Python 3.11 or newer, and none is on the PATH." >&2; exit 1;; \
	  *-without-venv) echo "$${found%-without-venv} cannot make a virtual environment:" \
	    "install its venv module (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1;; \
	esac; \
	echo "making $(VENV) with $$($$found --version)"; \
	$$found -m venv --clear $(VENV); touch $@

$(VENV)/installed: $(VENV)/made requirements.lock requirements-build.lock pyproject.toml
	@echo "installing from requirements.lock"
	@$(PIP) install --require-hashes -r requirements-build.lock
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/vendored: $(VENV)/installed package.json package-lock.json dashboards/vendor.py
	@echo "fetching the front end's libraries by package-lock.json"
	@$(PYTHON) -m dashboards.vendor --runtime
	@touch $@

$(VENV)/developing: $(VENV)/vendored requirements-dev.lock
	@echo "installing the developer's tools from requirements-dev.lock"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PYTHON) -m dashboards.vendor
	@touch $@

install: $(VENV)/vendored
	@echo "install: ready, $$($(PYTHON) --version) in $(VENV); next: make demo"

# --- running -----------------------------------------------------------------------------------------------

demo: $(VENV)/vendored
	@exec $(VENV)/bin/mimamori demo --port $(PORT) --data $(DATA)

# --- testing -----------------------------------------------------------------------------------------------

# Four at a time on two cores, as half of the time is waiting; tests/conftest.py says what stays together.
test: $(VENV)/developing chromium
	@$(PYTHON) -m pytest -n 4 --dist loadfile $(PYTEST); status=$$?; \
	if [ $$status = 0 ]; then echo "test: passed"; else echo "test: FAILED"; fi; exit $$status

test-browser: $(VENV)/developing chromium
	@$(PYTHON) -m pytest -m browser $(PYTEST); status=$$?; \
	if [ $$status = 0 ]; then echo "test-browser: passed"; else echo "test-browser: FAILED"; fi; exit $$status

# docs/reliability.md says what is done to the town and what is promised.
chaos: $(VENV)/developing
	@$(PYTHON) -m tests.chaos --rounds $(ROUNDS) --seed $(SEED) --rate $(RATE) --broker $(BROKER)

pictures: $(VENV)/developing chromium
	@MIMAMORI_TEST_PICTURES=docs/pictures $(PYTHON) -m pytest -q tests/browser/test_pictures.py

# A Chromium for the browser tests: the system's, or Playwright's own, or a new one. Without one they are skipped.
chromium: $(VENV)/developing
	@has() { for name in chromium chromium-browser google-chrome; do command -v $$name && return; done; \
	  $(PYTHON) -c 'import pathlib, sys; from playwright.sync_api import sync_playwright as start; \
	    p = start().start(); path = p.chromium.executable_path; p.stop(); \
	    sys.exit(0 if pathlib.Path(path).exists() and not print(path) else 1)' 2>/dev/null; }; \
	found=$$(has) || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing Chromium and a Japanese font by apt"; \
	    apt-get update -qq; apt-get install -qq -y --no-install-recommends chromium fonts-noto-cjk >/dev/null; \
	  else \
	    echo "installing Playwright's Chromium"; $(PYTHON) -m playwright install chromium; \
	  fi; found=$$(has); }; \
	if [ -n "$$found" ]; then echo "Chromium: $$found"; \
	else echo "no Chromium here and none could be installed (see above): the browser tests are SKIPPED"; fi; \
	command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || \
	  echo "no mosquitto on the PATH: the tests that need it are SKIPPED, the others use the NATS wheel"

# mypy for both systems at the same time, each with a cache of its own: a shared one would be made anew by each.
check: $(VENV)/developing
	@$(VENV)/bin/ruff check . \
	  && $(VENV)/bin/ruff format --check . \
	  && { $(VENV)/bin/mypy --platform win32 --cache-dir .mypy_cache/win32 & windows=$$!; \
	       $(VENV)/bin/mypy; here=$$?; wait $$windows && [ $$here = 0 ]; } \
	  && $(VENV)/bin/lint-imports \
	  && echo "check: passed" || { echo "check: FAILED"; exit 1; }

# --- locks -------------------------------------------------------------------------------------------------

COMPILE = build/uv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
  --python-version 3.11 $(UPGRADE)

build/uv/bin/uv:
	@$(PYTHON) -m venv build/uv && build/uv/bin/python -m pip --quiet --disable-pip-version-check install uv

# `make lock` keeps what still fits; `make lock UPGRADE=--upgrade` takes the newest.
lock: $(VENV)/made build/uv/bin/uv
	@$(COMPILE) --group pyproject.toml:build -o requirements-build.lock
	@$(COMPILE) --extra embedded pyproject.toml -o requirements.lock
	@$(COMPILE) --extra embedded --extra apprise pyproject.toml -o requirements-apprise.lock
	@$(COMPILE) --extra embedded --extra apprise --extra plots --group dev pyproject.toml -o requirements-dev.lock
	@echo "lock: requirements.lock and its -apprise, -dev and -build are up to date"
