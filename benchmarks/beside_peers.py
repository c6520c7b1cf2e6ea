"""(a) The job at 20,000 people, beside Polars, DuckDB, pandas and featuretools."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import peers_duckdb, peers_featuretools, peers_pandas, peers_polars
from benchmarks.figures import timed
from benchmarks.jalon_side import Streamed, job_catalogue, streamed_from_table, whole_from_table
from benchmarks.job import make_cohort, make_events
from benchmarks.reference import answer, check
from benchmarks.shown import Shown, verdict

__all__ = ["run"]

PEOPLE = 20_000
FEATURETOOLS = 20_000


def run(people: int = PEOPLE, fewer: int = FEATURETOOLS) -> Iterator[Shown]:
    """Jalon's lines, then its peers'; ratio = seconds over those of the first line.

    Args:
        people: In the job.
        fewer: In featuretools' job.
    """
    events, cohort = make_events(people), make_cohort(people)
    mixed = make_events(people, in_order=False)
    catalogue, rows, wanted = job_catalogue(), cohort.num_rows, answer(events, cohort)

    job = Streamed.of(events, cohort, catalogue)
    check("Jalon, streamed", job.kept(), wanted)
    came, ours = timed(job.stream, runs=9)
    if came != rows:
        raise AssertionError(f"{came} rows came, {rows} were asked for")
    others = []
    whole, seconds = timed(job.whole)
    check("Jalon, whole matrix", whole, wanted)
    others.append(Shown("a", "Jalon, whole matrix in new memory", rows, seconds, seconds / ours))
    whole, seconds = timed(lambda: whole_from_table(events, cohort, catalogue))
    check("Jalon, sorted table to matrix", whole, wanted)
    table_to_matrix = seconds
    others.append(Shown("a", "Jalon, sorted table to whole matrix", rows, seconds, seconds / ours))
    unsorted = Streamed.of(mixed, cohort, catalogue)
    check("Jalon, unsorted table", unsorted.kept(), wanted)
    _, seconds = timed(lambda: streamed_from_table(mixed, cohort, catalogue))
    who = "Jalon, unsorted table, prepared, streamed"
    others.append(Shown("a", who, rows, seconds, seconds / ours))
    del whole, unsorted

    peers = []
    for peer in (peers_polars, peers_duckdb, peers_pandas):
        for who, do in peer.jobs(events, cohort).items():
            got, seconds = timed(do)
            check(who, got, wanted)
            del got
            peers.append(Shown("a", who, rows, seconds, seconds / ours))
    fastest = min(one.seconds for one in peers)
    aims = (
        verdict("at least 5,000,000 rows/s", rows / ours >= 5e6),
        verdict("100 × the fastest of three", fastest / ours >= 100)
        + f" ({fastest / ours:,.0f} ×; table to matrix {fastest / table_to_matrix:,.1f} ×)",
    )
    yield Shown("a", "Jalon, streamed from sorted arrays", rows, ours, 1.0, "; ".join(aims))
    yield from others
    yield from peers
    yield _featuretools(fewer, rows / ours)


def _featuretools(people: int, ours: float) -> Shown:
    events, cohort = make_events(people), make_cohort(people)
    got, seconds = peers_featuretools.run(events, cohort)
    check("featuretools", got, answer(events, cohort))
    rows = cohort.num_rows
    ratio = ours / (rows / seconds)
    note = f"{people:,} people, one run; " + verdict("Jalon 700 ×", ratio >= 700)
    return Shown("a", "featuretools, dfs with cutoff times", rows, seconds, ratio, note)
