"""Settings: read once, named in every error, secrets also from files."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mimamori.errors import SettingError
from mimamori.rooms import run_api
from mimamori.settings import Settings


def test_a_setting_comes_from_its_variable_and_has_its_type() -> None:
    settings = Settings.read(
        {"MIMAMORI_HTTP_PORT": "8080", "MIMAMORI_SECURE_COOKIES": "false", "MIMAMORI_SESSION_HOURS": "0.5", "HOME": "/"}
    )
    assert (settings.http_port, settings.secure_cookies, settings.session_hours) == (8080, False, 0.5)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.read({"MIMAMORI_MAIL_HOST": ""}).mail_host is None


def test_a_misspelt_setting_is_an_error_that_names_the_right_one() -> None:
    with pytest.raises(
        SettingError, match=r"MIMAMORI_BROKER_HOTS is not a setting; did you mean MIMAMORI_BROKER_HOST\?"
    ):
        Settings.read({"MIMAMORI_BROKER_HOTS": "x"})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MIMAMORI_HTTP_PORT", "eighty", "a whole number"),
        ("MIMAMORI_SECURE_COOKIES", "perhaps", "true or false"),
        ("MIMAMORI_SESSION_HOURS", "long", "a number"),
    ],
)
def test_a_wrong_value_is_an_error_that_says_what_it_should_be(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingError, match=f"{name} must be {expected}, not '{value}'"):
        Settings.read({name: value})


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("postgresql://somewhere\n")
    assert Settings.read({"MIMAMORI_API_DSN_FILE": str(tmp_path / "dsn")}).api_dsn == "postgresql://somewhere"


def test_a_secret_given_twice_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("a")
    with pytest.raises(SettingError, match="both set"):
        Settings.read({"MIMAMORI_API_DSN_FILE": str(tmp_path / "dsn"), "MIMAMORI_API_DSN": "b"})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty: put the secret into it"),
        (b"\n", "is empty"),
        (b"one\ntwo\n", "has more than one line"),
        (b"\xff\xfe", "is not a text file in UTF-8"),
    ],
)
def test_a_secret_file_that_holds_no_secret_is_an_error_that_names_it(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "dsn"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingError, match=f"^MIMAMORI_API_DSN_FILE={file} {complaint}"):
        Settings.read({"MIMAMORI_API_DSN_FILE": str(file)})


def test_a_secret_files_line_is_taken_as_it_is_but_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b" with spaces \r\n")
    settings = Settings.read({"MIMAMORI_BROKER_PASSWORD_FILE": str(tmp_path / "password")})
    assert settings.broker_password == " with spaces "


def test_a_folder_where_a_secret_should_be_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=f"MIMAMORI_API_DSN_FILE={tmp_path} cannot be read: Is a directory"):
        Settings.read({"MIMAMORI_API_DSN_FILE": str(tmp_path)})


def test_an_empty_name_of_a_secret_file_counts_as_not_set() -> None:
    assert Settings.read({"MIMAMORI_API_DSN_FILE": "", "MIMAMORI_API_DSN": "b"}).api_dsn == "b"


def test_what_is_no_secret_does_not_come_from_a_file() -> None:
    with pytest.raises(SettingError, match="MIMAMORI_HTTP_HOST_FILE is not a setting"):
        Settings.read({"MIMAMORI_HTTP_HOST_FILE": "/etc/hostname"})


def test_a_needed_setting_that_is_missing_is_named() -> None:
    with pytest.raises(SettingError, match="MIMAMORI_WORKER_DSN is not set"):
        Settings.read({}).need("worker_dsn")


def test_no_password_has_a_default() -> None:
    settings = Settings.read({})
    assert settings.broker_password is settings.mail_password is settings.worker_dsn is None


def test_what_could_reach_real_people_is_recognised() -> None:
    assert Settings.read({}).real_channels == []
    assert Settings.read({"MIMAMORI_MAIL_HOST": "mail.example.jp"}).real_channels == ["MIMAMORI_MAIL_HOST"]


def test_a_map_needs_its_credit_and_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIMAMORI_API_DSN", "postgresql://nowhere")
    monkeypatch.setenv("MIMAMORI_TILES", "town.pmtiles")
    with pytest.raises(SettingError, match="MIMAMORI_TILES_CREDIT is not set"):
        run_api(Settings.read(os.environ), threading.Event())
