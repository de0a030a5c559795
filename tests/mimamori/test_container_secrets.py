"""The folder of secrets of a town in containers: whole, coherent, and never changed behind anybody's back."""

from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from mimamori.cli import app
from mimamori.container_secrets import ACCOUNTS, make
from mimamori.errors import InputError


def files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_one_command_makes_all_of_them_and_tells_none(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    said = CliRunner().invoke(app, ["secrets", str(folder)])
    assert said.exit_code == 0, said.output
    made = files(folder)
    assert all(name in said.output for name in made)
    words = {line.rpartition(":")[2] for text in made.values() for line in text.splitlines()}
    assert [word for word in words if word in said.output] == []
    addresses = [urlsplit(made[name].strip()) for name in ("owner_dsn", "worker_dsn", "api_dsn")]
    assert [address.username for address in addresses] == ["mimamori", "mimamori_worker", "mimamori_api"]
    passwords = [address.password or "" for address in addresses]
    assert len({*passwords, made["broker_ingest"], made["broker_network_server"], made["metrics_token"]}) == 6
    assert all(len(password) >= 32 for password in passwords)
    assert passwords[0] == made["owner_password"].strip()
    assert [line.partition(":")[0] for line in made["broker_passwords"].splitlines()] == list(ACCOUNTS)


def test_only_the_owner_of_the_folder_gets_to_the_files_and_every_container_can_read_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make(folder, "gauge-7")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.rglob("*") if p.is_file()} == {0o644}


def test_a_second_run_changes_nothing_and_a_lost_file_is_made_anew(tmp_path: Path) -> None:
    make(tmp_path)
    before = files(tmp_path)
    assert "nothing changed" in make(tmp_path)
    assert files(tmp_path) == before
    (tmp_path / "broker_ingest").unlink()
    assert "broker_ingest, broker_passwords made" in make(tmp_path)
    after = files(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"broker_ingest", "broker_passwords"}
    old, new = before["broker_passwords"].splitlines(), after["broker_passwords"].splitlines()
    assert len(new) == len(old) and old[1] in new, "the network server's password still holds"
    (tmp_path / "broker_passwords").unlink()
    make(tmp_path)
    assert sorted(line.partition(":")[0] for line in files(tmp_path)["broker_passwords"].splitlines()) == [*ACCOUNTS]


def test_a_device_gets_an_account_and_the_file_stays_the_one_the_broker_has_open(tmp_path: Path) -> None:
    make(tmp_path)
    hashes = tmp_path / "broker_passwords"
    inode, before = hashes.stat().st_ino, hashes.read_text()
    assert f"the password of gauge-7 is in {tmp_path / 'devices' / 'gauge-7'}" in make(tmp_path, "gauge-7")
    assert hashes.stat().st_ino == inode
    assert hashes.read_text().startswith(before) and "\ngauge-7:$7$" in hashes.read_text()


@pytest.mark.parametrize("key", ["ingest", "network-server", "Gauge", "a/b", "../x", "a:b", "", "+"])
def test_what_is_no_devices_key_gets_no_account(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match="cannot be a device's key"):
        make(tmp_path / "secrets", key)
    assert not (tmp_path / "secrets").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=f"{tmp_path / 'file'}.* cannot be written"):
        make(tmp_path / "file" / "secrets")
