"""`jalon connect`: look at a source that nobody has mapped yet, and draft its mapping."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from commands.terminal import AsJson, Lang, tell
from features.errors import ConfigurationError

__all__ = ["connect"]


def connect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A file, a zip archive, a folder of exports, or the address of a database.",
        ),
    ],
    to: Annotated[
        Path | None, typer.Option("--to", help="Write the draft there, as a whole territory file.")
    ] = None,
    service: Annotated[
        str | None, typer.Option(help="Name of the source in the draft; default: the file's.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Rows of each table that are looked at.")] = 5000,
    lang: Lang = "fr",
    as_json: AsJson = False,
) -> None:
    """Look at a source: columns, dates, likely keys and events; draft a mapping to complete."""
    from features.connect import connect as run

    if to is not None and to.exists():
        raise ConfigurationError(
            f"writing the draft to '{to}'",
            expected="a file that is not there yet",
            got="one that is",
            hint="Give another name; a draft never replaces a mapping.",
        )
    found = run(source, rows=rows, service=service, lang=lang)
    if to is not None:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(found.territory, encoding="utf-8")

    def show() -> None:
        sys.stdout.write(found.text() + "\n\n")
        if to is None:
            sys.stdout.write(found.sources + "\n")

    then = f"jalon connect '{source}' --to territory.draft.yaml"
    if to is not None:
        data = Path(source) if Path(source).is_dir() else Path(source).parent
        where = str(to) if found.place.url is not None else f"{to} --data {data}"
        then = f"complete each TODO of {to}, then: jalon ingest {where} --dry-run"
    tell(found.as_dict(), as_json, show, then, [to] if to is not None else [])
