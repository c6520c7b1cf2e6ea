"""(e) Two years of weekly prediction times beside two years of monthly ones."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import timed
from benchmarks.jalon_side import Streamed, job_catalogue
from benchmarks.job import make_cohort, make_events
from benchmarks.reference import answer, check
from benchmarks.shown import Shown, verdict

__all__ = ["run"]

PEOPLE = 20_000
CHECKED = 2_000


def run(people: int = PEOPLE, checked: int = CHECKED) -> Iterator[Shown]:
    """Both streamed from sorted arrays; ratio = seconds over the monthly ones.

    Args:
        people: In the timed job.
        checked: People whose rows are compared with the reference, at both rhythms.
    """
    events, catalogue = make_events(people), job_catalogue()
    some = make_events(checked)
    seconds: dict[int, float] = {}
    for dates in (24, 104):
        small = make_cohort(checked, dates)
        check(f"{dates} dates", Streamed.of(some, small, catalogue).kept(), answer(some, small))
        job = Streamed.of(events, make_cohort(people, dates), catalogue)
        rows, seconds[dates] = timed(job.stream)
        ratio = seconds[dates] / seconds[24]
        note = "" if dates == 24 else verdict("at most 2.5 ×, not 4.3 ×", ratio <= 2.5)
        who = f"{dates} {'monthly' if dates == 24 else 'weekly'} dates each, streamed"
        yield Shown("e", who, rows, seconds[dates], ratio, note)
