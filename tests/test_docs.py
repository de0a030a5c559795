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
from devices.town import load_town
from mimamori.cli import app
from mimamori.settings import Settings, secrets, variable
from tests.browser.test_pictures import FOLDER, LANGUAGES, LARGEST, names

ROOT = Path(__file__).parent.parent
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
READMES = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "README.ja.md")}
DOCUMENTS = [ROOT / "README.md", ROOT / "README.ja.md", *sorted((ROOT / "docs").glob("*.md"))]
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
        if f.default is None or isinstance(f.default, bool):  # 1 equals True
            expected = {None: "-", True: "true", False: "false"}[f.default]
        else:
            expected = f"{f.default:g}" if isinstance(f.default, float) else str(f.default)
        if f.name == "municipality":
            expected = "the only one"
        assert documented[variable(f.name)] == expected, variable(f.name)


def test_exactly_the_secrets_are_documented_as_secret() -> None:
    marked = {name for name, _, text in ROW.findall(OPERATIONS) if text.startswith("*secret*")}
    assert marked == {variable(name) for name in secrets()}


def row_of(command: str) -> str:
    """The row of the table of commands that describes it, alone or with its neighbours; empty where there is none."""
    first, _, last = command.rpartition(" ")
    rows = [line for line in OPERATIONS.splitlines() if line.startswith("| `mimamori ")]
    alone = [row for row in rows if re.match(rf"\| `mimamori {command}[` ]", row)]
    together = [row for row in rows if row.startswith(f"| `mimamori {first} ") and f"`{last}`" in row.split("|")[1]]
    return next(iter(alone + together), "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert row_of(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_stands_in_its_row(command: str) -> None:
    options = [o for parameter in COMMANDS[command].params for o in parameter.opts if o.startswith("--")]
    row = row_of(command)
    assert [option for option in options if not re.search(rf"`(?:[^`]* )?{option}[` ]", row)] == []


def said_commands() -> Iterator[tuple[str, list[str]]]:
    """Every `mimamori ...` that a document tells people to type: where, and its words."""
    for path in DOCUMENTS:
        text = path.read_text("utf-8")
        blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL) + re.findall(
            r"^(?: {4}|\t)(.*)$", text, re.MULTILINE
        )
        inline = re.findall(r"`((?:[\w./]*/)?mimamori [^`]+)`", text)
        for line in "\n".join([*blocks, *inline]).splitlines():
            for said in re.split(r"&&|[;|]", line.split("#")[0]):
                found = re.search(r"(?:^|[ =])(?:\S*[/\\])?mimamori ((?:[a-z][a-z-]*)(?: .*)?)$", said.strip())
                if found and not said.strip().startswith(("docker", "python", "cd ")) and " -m " not in said:
                    yield f"{path.name}: {line.strip()}", found[1].replace("\\|", "|").split()


def test_every_command_that_a_document_tells_people_to_type_exists() -> None:
    groups = {name.rpartition(" ")[0] for name in COMMANDS} - {""}
    seen, wrong = 0, []
    for where, words in said_commands():
        name = " ".join(words[:2]) if words[0] in groups else words[0]
        if name in groups or name not in COMMANDS:
            if not (words[0] in groups and (len(words) == 1 or not words[1][0].isalpha() or words[1].isupper())):
                wrong.append(where)
            continue
        seen += 1
        known = {o for parameter in COMMANDS[name].params for o in parameter.opts} | {"--help"}
        wrong += [where for word in words if word.startswith("--") and word.split("=")[0] not in known]
    assert wrong == []
    assert seen > 30, "the documents' commands are no longer found"


def test_every_setting_and_make_target_that_a_document_names_exists() -> None:
    known = {variable(f.name) for f in fields(Settings)} | {variable(name) + "_FILE" for name in secrets()}
    targets = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in DOCUMENTS:
        text = path.read_text("utf-8")
        named = set(re.findall(r"MIMAMORI_[A-Z_]*[A-Z]", text))
        assert {name for name in named if not name.startswith("MIMAMORI_TEST_")} <= known, path.name
        assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.MULTILINE)) <= targets, path.name


def test_every_command_says_what_it_does() -> None:
    assert all(command.help for command in COMMANDS.values())


@pytest.mark.parametrize("readme", READMES)
def test_the_readmes_name_the_two_commands_and_the_demos_accounts(readme: str) -> None:
    text = READMES[readme]
    assert "make demo" in text and "make test" in text
    assert DEMO_PASSWORD in text
    assert all(f"`{account.login}`" in text for account in DEMO_ACCOUNTS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_points_to_is_there(path: Path) -> None:
    text = path.read_text("utf-8")
    named = re.findall(r"`((?:devices|store|simulators|mimamori|docs|tests|\.ci)/[\w./-]*|docker-compose\.yml)`", text)
    missing = [name for name in named if not (ROOT / name).exists()]
    for target, _, heading in (link.partition("#") for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text)):
        other = path.parent / target if target else path
        if not other.exists() or (heading and heading not in headings(other)):
            missing.append(f"{target}#{heading}")
    assert missing == []


def headings(path: Path) -> set[str]:
    """The anchors of a document, as they are made from its headings."""
    titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("language", "readme"), LANGUAGES.items())
def test_a_readme_shows_the_pictures_that_the_browser_tests_make(language: str, readme: str) -> None:
    shown = set(re.findall(r"docs/pictures/([\w.-]+)", READMES[readme]))
    assert shown == {name for name in names(LANGUAGES) if name.endswith(f"-{language}.webp")}
    for name in names(LANGUAGES):
        assert 5_000 < (FOLDER / name).stat().st_size < LARGEST
    assert {path.name for path in FOLDER.iterdir()} == names(LANGUAGES)


def test_the_town_file_of_the_first_day_can_be_applied(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "start.md").read_text("utf-8"), re.DOTALL)
    assert found is not None
    (tmp_path / "my-town.yaml").write_text(found[1], "utf-8")
    (station,) = load_town(tmp_path / "my-town.yaml").stations
    assert station.code == "river-honcho"


def test_both_languages_of_the_start_tell_the_same_commands() -> None:
    said = {
        name: re.findall(
            r"^ {4,}((?:mimamori|mosquitto_pub|python) .*)$", (ROOT / "docs" / name).read_text("utf-8"), re.M
        )
        for name in ("start.md", "start.ja.md")
    }
    assert said["start.md"] == said["start.ja.md"] and len(said["start.md"]) > 7


def test_both_readmes_describe_every_room() -> None:
    rooms = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
    for name, text in READMES.items():
        assert [room for room in rooms if f"{room}/" not in text] == [], name
