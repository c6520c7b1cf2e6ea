"""What every command shares: its common options, progress, results, tables."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = [
    "AsJson",
    "Data",
    "Home",
    "Lang",
    "Report",
    "Where",
    "cell",
    "err",
    "out",
    "progress",
    "table",
    "tell",
]

Report = Callable[[str, float], None]
"""Told the step under way and the share done, 0 to 1."""

out = Console()
err = Console(stderr=True)

Where = Annotated[
    str, typer.Argument(metavar="TERRITORY", help="A name under territories/, a folder or a file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the exports (or JALON_DATA).")]
Lang = Annotated[Literal["fr", "en"], typer.Option(help="Language of labels and facts.")]
Home = Annotated[
    Path | None, typer.Option("--home", help="Work folder (default .jalon/<territory>).")
]


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """Progress on standard error: the step under way and its share done."""
    columns = (
        TextColumn("[bold]{task.fields[title]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    if not err.is_terminal:
        told: set[str] = set()

        def line(step: str, share: float) -> None:
            if step not in told:
                told.add(step)
                err.print(f"{title.strip()}: {step}", highlight=False, soft_wrap=True)

        yield line
        return
    with Progress(*columns, console=err) as bars:
        bar = bars.add_task("", total=1.0, title=title)

        def report(step: str, share: float) -> None:
            bars.update(bar, description=step, completed=share)

        yield report
        bars.update(bar, description="done", completed=1.0)


@contextmanager
def hints() -> Iterator[None]:
    """Warnings of the work as hints on standard error."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        err.print(f"[yellow]hint:[/yellow] {escape(str(message))}", highlight=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield


def tell(
    payload: Mapping[str, Any],
    as_json: bool,
    show: Callable[[], None],
    then: str,
    places: Sequence[str | Path] = (),
    before: str = "Next:",
) -> None:
    """The result: JSON for a program, or tables, where it lies and what comes next for a person."""
    if as_json:
        sys.stdout.write(json.dumps(payload, ensure_ascii=False, indent=2, default=str) + "\n")
        return
    show()
    if places:
        lie = "  ".join(str(place) for place in places)
        out.print(f"[dim]Results:[/dim] {lie}", highlight=False, soft_wrap=True)
    if then:
        out.print(f"[dim]{before}[/dim] {then}", highlight=False, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    made = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        made.add_row(*(cell(value) for value in row))
    return made


def cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    return str(value)
