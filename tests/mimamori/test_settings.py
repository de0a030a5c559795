"""Settings: read once, named in every error, secrets also from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimamori.errors import SettingError
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


def test_a_secret_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SettingError, match=r"MIMAMORI_API_DSN_FILE=/nowhere/dsn cannot be read"):
        Settings.read({"MIMAMORI_API_DSN_FILE": "/nowhere/dsn"})


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
