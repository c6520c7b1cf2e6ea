"""`jalon ingest`: read the exports, map rows set aside again, list them."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from commands.terminal import AsJson, Data, Home, Lang, Where, progress, tell
from features.errors import ConfigurationError, JalonError

__all__ = ["ingest"]


def ingest(
    where: Where,
    retry: Annotated[
        bool, typer.Option("--retry", help="Map the rows set aside again, by the present mapping.")
    ] = False,
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="List the rows set aside: why, where, the remedy.")
    ] = False,
    trial: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what the first rows would give; write nothing."),
    ] = False,
    rows: Annotated[int, typer.Option(min=1, help="Of --dry-run: rows of each file.")] = 1000,
    tables: Annotated[
        bool, typer.Option("--tables", help="Account for every row, table by table.")
    ] = False,
    lang: Lang = "fr",
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Read the exports into timelines; rows that do not fit are set aside with the reason."""
    from jalon import open_territory

    if retry + set_aside + trial > 1:
        raise ConfigurationError(
            "ingesting",
            expected="one of --retry, --set-aside and --dry-run",
            got="several",
            hint="Give --set-aside or --dry-run to look, --retry to act.",
        )
    territory = open_territory(where, home=home, data=data)
    if trial:
        _try(territory, where if data is None else f"{where} --data {data}", rows, lang, as_json)
    elif set_aside:
        _list(territory, where, lang, as_json)
    elif retry:
        _retry(territory, where, as_json)
    else:
        _read(territory, where, as_json, tables)


def _read(territory: Any, where: str, as_json: bool, tables: bool) -> None:
    from features.accounts import accounts_text
    from features.ingest import ingest as run
    from jalon import SIMULATED

    if not territory.data.is_dir():
        raise JalonError(
            f"ingesting '{territory.name}'",
            expected=f"the folder of its exports at '{territory.data}'",
            got="none",
            hint=f"jalon simulate {where}"
            if territory.raw.get("data") == SIMULATED
            else f"Say where it is: jalon ingest {where} --data FOLDER",
        )
    with progress("ingest") as report:
        result = run(territory, progress=report)
    then = f"jalon features build {where}"
    if result.failures:
        then = f"mend what was not read, then again: jalon ingest {where}"
    places = list(result.places.values())
    text = "\n\n".join([result.text(), *([accounts_text(result)] if tables else [])])
    tell(result.as_dict(), as_json, lambda: _say(text), then, places)


def _try(territory: Any, where: str, rows: int, lang: str, as_json: bool) -> None:
    from features.dry_run import dry_run

    result = dry_run(territory, rows=rows)
    then = f"jalon ingest {where}" if not result.failures else "mend what was not read"
    tell(result.as_dict(), as_json, lambda: _say(result.text(lang)), then)


def _retry(territory: Any, where: str, as_json: bool) -> None:
    from features.replay import retry as run

    with progress("retry") as report:
        result = run(territory, progress=report)
    then = f"jalon ingest {where} --set-aside"
    if not result.aside:
        then = f"jalon features build {where}"
    tell(result.as_dict(), as_json, lambda: _say(result.text()), then)


def _list(territory: Any, where: str, lang: str, as_json: bool) -> None:
    from features.aside_list import aside_list

    found = aside_list(territory.home / "set-aside", lang)
    then = f"mend the mapping, then: jalon ingest {where} --retry" if found.lines else ""
    tell(found.as_dict(), as_json, lambda: _say(found.text()), then)


def _say(text: str) -> None:
    """Text that is laid out already."""
    sys.stdout.write(text + "\n\n")
