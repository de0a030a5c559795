"""Dockerfile and docker-compose.yml cannot be started here; they are read, and what they name must exist."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from mimamori.cli import app
from mimamori.settings import Settings, secrets, variable

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("image") == "mimamori"}
OTHERS = {name: service for name, service in COMPOSE["services"].items() if name not in OURS}
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def test_every_process_of_a_town_has_its_service() -> None:
    run = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    assert {service["command"][1] for service in OURS.values() if service["command"][0] == "run"} == set(run.commands)
    assert ["migrate"] in [service["command"] for service in OURS.values()]


@pytest.mark.parametrize("service", OURS)
def test_a_service_runs_a_command_that_exists(service: str) -> None:
    command: Any = typer.main.get_command(app)
    for word in OURS[service]["command"]:
        command = command.commands[word]


@pytest.mark.parametrize("service", OURS)
def test_a_services_settings_exist_and_its_passwords_come_from_outside(service: str) -> None:
    environment = {name: str(value) for name, value in OURS[service]["environment"].items()}
    Settings.read({name: value for name, value in environment.items() if name != "MIMAMORI_MUNICIPALITY"})
    for name in {variable(n) for n in secrets()} & set(environment):
        assert re.match(r"(postgresql://\w+:)?\$\{[A-Z_]+(:[?-][^}]*)?\}(@|$)", environment[name]), name


@pytest.mark.parametrize("service", OURS)
def test_a_service_has_the_settings_its_process_needs(service: str) -> None:
    needs = {
        "migrate": "OWNER_DSN",
        "ingest": "WORKER_DSN",
        "analytics": "WORKER_DSN",
        "alerts": "WORKER_DSN",
        "api": "API_DSN",
    }
    assert f"MIMAMORI_{needs[OURS[service]['command'][-1]]}" in OURS[service]["environment"]
    assert {f"MIMAMORI_{f.name.upper()}" for f in fields(Settings)} >= set(OURS[service]["environment"])


@pytest.mark.parametrize("service", OTHERS)
def test_other_peoples_images_are_pinned(service: str) -> None:
    assert re.fullmatch(r"[\w/.-]+:\d+\.\d+\.\d+[\w.-]*", OTHERS[service]["image"])


def test_everything_that_is_waited_for_exists() -> None:
    for service in COMPOSE["services"].values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in COMPOSE["services"]
            if how["condition"] == "service_healthy":
                assert "healthcheck" in COMPOSE["services"][needed]


def test_the_broker_of_the_containers_keeps_what_the_embedded_one_keeps() -> None:
    text = COMPOSE["configs"]["mosquitto"]["content"]
    for line in ("persistence true", "max_queued_messages 0", "autosave_on_changes true", "allow_anonymous false"):
        assert line in text.splitlines()
    window = re.search(r"max_inflight_messages (\d+)", text)
    assert window and int(window[1]) == OURS["ingest"]["environment"]["MIMAMORI_BROKER_MAX_UNACKED"]


def test_the_image_copies_what_exists_and_every_package() -> None:
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    ]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    assert {name.split(".")[0] for name in packages} <= set(copied)


def test_the_image_runs_as_nobody_in_particular() -> None:
    user = re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE)
    assert user == ["mimamori"] and DOCKERFILE.index("USER mimamori") < DOCKERFILE.index("ENTRYPOINT")
