"""The command line of devices and of manufacturers' codecs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mimamori.commands import settings

devices = typer.Typer(help="Device models and manufacturers' codecs.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


@devices.callback()
def group() -> None:
    """Device models and manufacturers' codecs."""


@devices.command("check")
def check(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Shaped like lorawan-devices or chirpstack-device-profiles."),
    ],
    as_json: AsJson = False,
) -> None:
    """Run every example of a folder of manufacturers' codecs: how many pass, which fail and why. Nothing is stored."""
    from devices.codecs.folders import check_folder, read_folder
    from devices.codecs.javascript import Sandbox
    from mimamori.bench.report import bar

    with Sandbox() as sandbox:
        with bar("reading", quiet=as_json) as progress:
            contents = read_folder(folder, sandbox, models=False, progress=progress)
        with bar("examples", quiet=as_json) as progress:
            checked = check_folder(contents, sandbox, progress=progress)
    figures = {
        "folder": contents.shape,
        "codecs": checked.codecs,
        "stateless": checked.stateless,
        "passed": checked.passed,
        "failed": len(checked.failures),
        "failures": [failure.to_json() for failure in checked.failures],
    }
    if as_json:
        typer.echo(json.dumps(figures, ensure_ascii=False))
        return
    for each in checked.failures:  # a line each, as compilers do: nothing is cut off, and a line can be looked for
        place = each.file if each.line is None else f"{each.file}:{each.line}"
        typer.echo(": ".join(part for part in (place, each.example, each.reason) if part))
    codecs = f"{checked.codecs} codec{'' if checked.codecs == 1 else 's'} with examples"
    typer.echo(
        f"{checked.passed} passed, {len(checked.failures)} failed; {codecs}, {checked.stateless} of them stateless"
    )


@devices.command("import")
def import_folder(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Shaped like lorawan-devices or chirpstack-device-profiles."),
    ],
    municipality: Annotated[str, typer.Option(help="6-digit code (全国地方公共団体コード).")],
    model: Annotated[
        list[str] | None, typer.Option(help="Only this one: VENDOR/MODEL or VENDOR/*. May be said several times.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Models that are there with another codec read by the folder's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring device models with their codecs out of a folder. Everything is written at once, or nothing."""
    from devices.codecs.folders import read_folder
    from devices.codecs.javascript import Sandbox
    from mimamori.bench.report import bar, give
    from mimamori.device_import import Became, chosen, import_models
    from store import connect

    with connect(settings().need("owner_dsn"), name="devices import") as conn, Sandbox() as sandbox:
        with bar("reading", quiet=as_json) as progress:
            contents = read_folder(folder, sandbox, progress=progress)
        wanted = chosen(contents, model or ())
        with bar("examples", quiet=as_json) as progress:
            origin = f"folder {folder.resolve().name}"
            found = import_models(
                conn, municipality, contents, wanted, sandbox, origin=origin, replace=replace, progress=progress
            )
    counts = {each.value: sum(one.became is each for one in found) for each in Became}
    figures = {
        "municipality": municipality,
        "folder": contents.shape,
        **counts,
        "models": [each.to_json() for each in found],
        "problems": [{"file": each.file, "line": each.line, "reason": each.reason} for each in contents.problems],
    }
    rows = []
    for each in found:
        passed, failed = ("", "") if each.result is None else (str(each.result.passed), str(each.result.failed))
        rows.append((each.name, passed, failed, each.became.value, each.reason or ""))
    give(figures, "device models", ("model", "passed", "failed", "became", "why"), rows, as_json=as_json)
    if not as_json:
        for problem in contents.problems:
            line = "" if problem.line is None else f":{problem.line}"
            typer.echo(f"{problem.file}{line}: {problem.reason}", err=True)
        typer.echo(", ".join(f"{n} {word}" for word, n in counts.items() if n) or "nothing to import")


@devices.command("bulk")
def bulk(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Excel (.xlsx) or CSV, one line a device.")],
    municipality: Annotated[str, typer.Option(help="6-digit code (全国地方公共団体コード).")],
    only_check: Annotated[bool, typer.Option("--check", help="Say what is wrong, and register nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register and update devices by a list: all of its lines, or none. Exits with 1 where one is wrong."""
    from mimamori.device_lists import bulk as register

    if not register(settings(), file, municipality, check=only_check, as_json=as_json):
        raise typer.Exit(1)
