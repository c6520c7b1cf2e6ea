"""`python -m benchmarks.features [a b ...]`: what the feature engine costs, one table, one run.

a beside its peers; b disk to disk at three sizes; c 20,000 codes; d the default catalogue on the
demo territory; e weekly beside monthly; f one person; g the start of a process; h OULAD's models.
Every result is checked before its time is shown. Data is kept in `.jalon/bench` for the next run.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable

from rich.console import Console

from benchmarks import beside_peers, many_dates, on_disk, one_person, oulad
from benchmarks.shown import Shown, table
from features.engine import cores

__all__ = ["LINES", "main"]

LINES: dict[str, Callable[[], Iterable[Shown]]] = {
    "a": beside_peers.run,
    "b": on_disk.run_dense,
    "c": on_disk.run_sparse,
    "d": on_disk.run_demo,
    "e": many_dates.run,
    "f": one_person.run,
    "g": one_person.run_start,
    "h": oulad.run,
}


def main(names: list[str]) -> None:
    """Run the named lines, by default all, and print what they showed."""
    unknown = [name for name in names if name not in LINES]
    if unknown:
        sys.exit(f"no such line: {', '.join(unknown)}; known: {', '.join(LINES)}")
    console = Console() if sys.stdout.isatty() else Console(width=160)
    shown: list[Shown] = []
    left_out: list[str] = []
    try:
        for name in names or LINES:
            console.print(f"line {name} ...", style="dim")
            try:
                shown += LINES[name]()
            except FileNotFoundError as error:
                left_out.append(f"line {name} is not whole: {error}")
    finally:
        # What was measured is shown even when a later line fails.
        title = (
            f"Medians, results checked. {cores()} cores, {platform.machine()}, "
            f"Python {platform.python_version()}, load now {os.getloadavg()[0]:.1f}"
        )
        console.print(table(title, shown))
    if left_out:
        sys.exit("\n".join(left_out))


if __name__ == "__main__":
    main(sys.argv[1:])
