"""What is kept no longer: persons without contact, rows set aside, entries of what was read."""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from datetime import time as clock
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from features.aside_files import aside_files
from features.aside_lines import drop_lines, lines_of
from features.erased_matrices import STORES, prune_matrices
from features.erasure import Elsewhere, Erased, erase, finish
from features.errors import DataError
from features.event_order import Longs, longs
from features.events import WITHDRAWN
from features.identity import Vault
from features.identity.erased import drop_records
from features.identity.settling import settle
from features.set_aside import PURPOSE
from features.settings import FeaturesSettings
from features.superseded import NEVER
from features.timeline_files import DataFiles, Footers
from features.timelines import Timelines

__all__ = ["Upkeep", "expired", "last_contacts", "limit_of", "maintain"]

_ROWS = 2_000_000
_LEAST = np.iinfo(np.int64).min

Step = Callable[[str, float], None]


@dataclass(frozen=True)
class Upkeep:
    """What maintenance did; or, of a dry run, what it would do.

    Attributes:
        at: The local day it was counted at.
        limit: Persons whose last contact lies before this day go; None when persons are kept.
        finished: Persons of an erasure that was interrupted before.
        expired: Persons whose last contact lies too far back.
        undated: Persons of the vault without a single event, of whom no last contact is known:
            they stay.
        erased: Rows that went with the persons, by what they were.
        compacted: Buckets of the timelines written as one file.
        stale_files: Files of the feature stores that no matrix names.
        ledger: Entries of files that are long gone.
        set_aside: Rows set aside that were kept long enough, and lines that no reader could split
            in which an erased person came again.
        dry_run: Nothing was done.
    """

    at: date
    limit: date | None
    finished: int
    expired: int
    undated: int
    erased: dict[str, int]
    compacted: int
    stale_files: int
    ledger: int
    set_aside: int
    dry_run: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def limit_of(day: date, months: int) -> date:
    """The day that lies some calendar months before another, or the last of its month.

    Example:
        >>> limit_of(date(2026, 1, 31), 2), limit_of(date(2026, 3, 31), 25)
        (datetime.date(2025, 11, 30), datetime.date(2024, 2, 29))
    """
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def last_contacts(timelines: Timelines) -> tuple[Longs, Longs]:
    """When services last had to do with each person, as it is known now.

    Every event counts, of whatever service: the latest of its time and its planned end, so that an
    appointment to come and a contract under way are contacts. What was replaced or withdrawn does
    not, unless a person has nothing else; then, and for events without a time, the entry date
    counts.

    Returns:
        Pseudonyms, int64 ascending, and microseconds UTC, int64.
    """
    columns = ["subject_id", "time", "end_time", "recorded_at", "code"]
    people, moments = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for chunk in timelines.chunks(rows=_ROWS):
        events = timelines.read_chunk(chunk, columns, superseded=True, dictionaries=["code"])
        if not events.num_rows:
            continue
        valid = events["superseded_at"].to_numpy() == NEVER
        valid &= np.asarray(events["code"].cast(pa.string()).to_pandas() != WITHDRAWN)
        recorded = _micros(events["recorded_at"])
        told = np.maximum(_micros(events["time"]), _micros(events["end_time"]))
        told = np.where(told == _LEAST, recorded, told)
        subject = longs(events["subject_id"])
        starts = np.flatnonzero(np.append(True, subject[1:] != subject[:-1]))
        latest = np.maximum.reduceat(np.where(valid, told, _LEAST), starts)
        fallback = np.maximum.reduceat(recorded, starts)
        people.append(subject[starts])
        moments.append(np.where(latest == _LEAST, fallback, latest))
    return np.concatenate(people), np.concatenate(moments)


def expired(timelines: Timelines, before: datetime) -> Longs:
    """Persons whose last contact lies before an instant, int64 ascending.

    Args:
        timelines: The table.
        before: UTC without zone.
    """
    people, moments = last_contacts(timelines)
    return people[moments < np.datetime64(before, "us").astype(np.int64)]


def maintain(
    home: Path,
    settings: FeaturesSettings,
    at: date,
    *,
    dry_run: bool = False,
    elsewhere: Sequence[Elsewhere] = (),
    now: float | None = None,
    progress: Step = lambda step, share: None,
) -> Upkeep:
    """Finish what was interrupted, erase what is kept too long, tidy what is left.

    The caller holds the work folder alone. Done twice in a row, the second time does nothing.

    Args:
        home: The work folder.
        settings: Of the territory.
        at: Local day that the last contact is counted back from, never later than today.
        dry_run: Only count.
        elsewhere: As for :func:`features.erasure.erase`.
        now: Seconds since 1970 that the age of files is counted at; by default the clock's.
        progress: Told the step and the share done.

    Raises:
        DataError: nothing was ingested yet; or a day in the future, at which nobody's last contact
            can be known.
    """
    zone = ZoneInfo(settings.timezone)
    seconds = time.time() if now is None else now
    if at > datetime.fromtimestamp(seconds, zone).date():
        raise DataError(
            "maintaining a work folder",
            expected="a day that is past, or today",
            got="one in the future",
            hint="Give an earlier day with --at.",
        )
    timelines = Timelines.open(home / "timelines")
    vault = Vault.open(home / "identity")
    try:
        finished = Erased(0)
        if not dry_run:
            progress("unfinished work", 0.0)
            finished = finish(home, settings, vault, elsewhere=elsewhere)
            drop_records(vault)
            timelines.refresh()
            settle(vault, timelines)
        progress("last contacts", 0.1)
        months = settings.retention.months_after_last_contact
        limit = None if months is None else limit_of(at, months)
        gone: Longs = np.empty(0, np.int64)
        if limit is not None:
            midnight = datetime.combine(limit, clock(), zone).astimezone(UTC).replace(tzinfo=None)
            gone = expired(timelines, midnight)
        gone = np.array([one for one in gone.tolist() if vault.identifiers(one)], np.int64)
        undated = vault.count() - _known(vault, timelines)
        erased = Erased(len(gone))
        if len(gone) and not dry_run:
            progress("erasing", 0.3)
            erased = erase(
                home, settings, vault, gone.tolist(), "retention", elsewhere=elsewhere,
                tell=lambda step: progress(step, 0.5),
            )  # fmt: skip
            timelines.refresh()
        progress("rows set aside", 0.6)
        aside, secret = home / "set-aside", vault.secret_for(PURPOSE)
        if dry_run:
            lines = sum(1 for _ in lines_of(aside, settings, secret, vault.was_erased))
        else:
            lines = drop_lines(aside, settings, secret, vault.was_erased)
        progress("timelines", 0.7)
        table = timelines.table_id
        compacted = _several(timelines) if dry_run else timelines.compact()
    finally:
        vault.close()
    progress("files", 0.9)
    kept = settings.retention
    return Upkeep(
        at=at,
        limit=limit,
        finished=finished.persons,
        expired=len(gone),
        undated=undated,
        erased=erased.rows,
        compacted=compacted,
        stale_files=sum(prune_matrices(home / one, dry_run=dry_run) for one in STORES),
        ledger=_old_entries(home / "ledger", table, kept.ledger_days, seconds, dry_run),
        set_aside=lines + _old_rows(aside, kept.set_aside_days, seconds, dry_run),
        dry_run=dry_run,
    )


def _known(vault: Vault, timelines: Timelines) -> int:
    """How many persons of the vault have an event."""
    owners = [row[0] for row in vault.rows("SELECT DISTINCT subject_id FROM identifiers")]
    return int(np.isin(np.array(owners, np.int64), timelines.subjects()).sum())


def _several(timelines: Timelines) -> int:
    """Buckets that :meth:`Timelines.compact` would write as one file."""
    files = DataFiles(DeltaTable(str(timelines.folder)), timelines.folder, Footers())
    held = [files.of(bucket) for bucket in range(timelines.buckets)]
    return sum(bool(one) and not (len(one) == 1 and one[0].dated and one[0].issued) for one in held)


def _old_entries(folder: Path, table: str, days: int | None, now: float, dry_run: bool) -> int:
    """Entries of other timelines, and of files that were not met for too long."""
    old = 0
    for file in folder.glob("*.json"):
        said = json.loads(file.read_text("utf-8"))
        gone = days is not None and now - file.stat().st_mtime > days * 86_400
        if gone or said.get("timelines", table) != table:
            old += 1
            if not dry_run:
                file.unlink()
    return old


def _old_rows(folder: Path, days: int | None, now: float, dry_run: bool) -> int:
    old = 0
    for file in aside_files(folder):
        if days is not None and now - file.path.stat().st_mtime > days * 86_400:
            old += file.rows
            if not dry_run:
                file.path.unlink()
    return old


def _micros(column: pa.ChunkedArray[Any]) -> Longs:
    """Instants as int64 microseconds, the smallest int64 where there is none."""
    return longs(column.cast(pa.int64()).fill_null(pa.scalar(_LEAST, pa.int64())))
