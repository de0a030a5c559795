"""Documentation that cannot drift: every setting and command is described, and nothing described is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from api.accounts import DEMO_ACCOUNTS, DEMO_PASSWORD
from mimamori.cli import app
from mimamori.settings import Settings, secrets, variable

ROOT = Path(__file__).parent.parent
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
READMES = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "README.ja.md")}
ROW = re.compile(r"^\| `(MIMAMORI_[A-Z_]+)` \| ([^|]*) \| (.*) \|$", re.MULTILINE)


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, groups themselves left out."""
    if hasattr(group, "commands"):
        for name, command in group.commands.items():
            yield from commands(command, *path, name)
    else:
        yield " ".join(path), group


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert [row[0] for row in ROW.findall(OPERATIONS)] == [variable(f.name) for f in fields(Settings)]


def test_the_documented_defaults_are_the_real_ones() -> None:
    documented = {name: default.strip().strip("`") for name, default, _ in ROW.findall(OPERATIONS)}
    for f in fields(Settings):
        shown = {None: "-", True: "true", False: "false"}.get(f.default) if f.default in (None, True, False) else None
        expected = shown or (f"{f.default:g}" if isinstance(f.default, float) else str(f.default))
        if f.name == "municipality":
            expected = "the only one"
        assert documented[variable(f.name)] == expected, variable(f.name)


def test_exactly_the_secrets_are_documented_as_secret() -> None:
    marked = {name for name, _, text in ROW.findall(OPERATIONS) if text.startswith("*secret*")}
    assert marked == {variable(name) for name in secrets()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    first, _, last = command.rpartition(" ")
    rows = [line for line in OPERATIONS.splitlines() if line.startswith("| `mimamori ")]
    assert any(f"`mimamori {command}" in row or (f"mimamori {first}" in row and f"`{last}`" in row) for row in rows)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_documented(command: str) -> None:
    options = [o for parameter in COMMANDS[command].params for o in parameter.opts if o.startswith("--")]
    assert [option for option in options if f"`{option}" not in OPERATIONS] == []


def test_every_command_says_what_it_does() -> None:
    assert all(command.help for command in COMMANDS.values())


@pytest.mark.parametrize("readme", READMES)
def test_the_readmes_name_the_two_commands_and_the_demos_accounts(readme: str) -> None:
    text = READMES[readme]
    assert "make demo" in text and "make test" in text
    assert DEMO_PASSWORD in text
    assert all(f"`{account.login}`" in text for account in DEMO_ACCOUNTS)


@pytest.mark.parametrize("document", ["README.md", "README.ja.md", "docs/architecture.md", "docs/operations.md"])
def test_files_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    named = re.findall(r"`((?:devices|store|simulators|mimamori|docs|tests|\.ci)/[\w./-]*|docker-compose\.yml)`", text)
    missing = [
        name
        for name in linked + named
        if not (ROOT / document).parent.joinpath(name).exists() and not (ROOT / name).exists()
    ]
    assert not missing


def test_both_readmes_describe_every_room() -> None:
    rooms = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
    for name, text in READMES.items():
        assert [room for room in rooms if f"{room}/" not in text] == [], name
