"""`python -m benchmarks`: run every benchmark, print one table; ratios are to the peer."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks import feature_job, ingest_job
from benchmarks.figures import Figure

JOBS: dict[str, Callable[[], list[Figure]]] = {
    "features": feature_job.run,
    "ingest": ingest_job.run,
}


def main(names: list[str]) -> None:
    """Run the named jobs, by default all."""
    unknown = [name for name in names if name not in JOBS]
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(unknown)}; known: {', '.join(JOBS)}")
    table = Table(title="Rows a second, median of 3 runs; results checked equal")
    for column in ("job", "who", "rows", "seconds", "rows/s", "ratio to peer"):
        table.add_column(column, justify="left" if column in ("job", "who") else "right")
    for name in names or JOBS:
        figures = JOBS[name]()
        peer = figures[-1].rate
        for figure in figures:
            table.add_row(
                name,
                figure.who,
                f"{figure.rows:,}",
                f"{figure.seconds:.2f}",
                f"{figure.rate:,.0f}",
                f"{figure.rate / peer:.2f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
